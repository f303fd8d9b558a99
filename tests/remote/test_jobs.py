"""A job runs once, is paid once, and is found again: after a restart, from another process, by a twin."""

from wan_duet.remote.journal import State
from wan_duet.tests.remote.conftest import Bench


def test_a_job_is_submitted_once_and_its_file_delivered(any_bench: Bench) -> None:
    outcome = any_bench.run()
    any_bench.check(State.DOWNLOADED, charges=1, files=1)
    assert any_bench.fake.count("submit") == 1
    assert not outcome.attached and outcome.files[0].suffix == ".mp4"


def test_the_same_request_after_a_restart_gives_the_stored_file(any_bench: Bench) -> None:
    first = any_bench.run()
    any_bench.restart()
    polls = any_bench.fake.count("poll")
    again = any_bench.run()
    assert again.attached and again.files == first.files and any_bench.fake.count("poll") == polls
    any_bench.check(State.DOWNLOADED, charges=1, files=1)
