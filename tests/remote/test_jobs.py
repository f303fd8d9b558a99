"""A job runs once, is paid once, and is found again: after a restart, from another process, by a twin."""

import threading

import pytest
from wan_duet.remote.errors import RemoteError
from wan_duet.remote.job import State
from wan_duet.remote.jobs.record import JobUpdate
from wan_duet.tests.fake_providers.faults import Answer
from wan_duet.tests.remote.conftest import REAL_SECONDS, SEEDS, Bench, MakeBench


def test_a_job_is_submitted_once_and_its_file_delivered(any_bench: Bench) -> None:
    outcome = any_bench.run()
    any_bench.check(State.DOWNLOADED, charges=1, files=1)
    assert any_bench.fake.count("submit") == 1
    assert not outcome.attached and outcome.files[0].suffix == ".mp4"


def test_the_same_request_after_a_restart_gives_the_stored_file(any_bench: Bench) -> None:
    first = any_bench.run()
    any_bench.options["environ"] = {}  # not even a key is needed
    any_bench.restart()
    polls = any_bench.fake.count("poll")
    again = any_bench.run()
    assert again.attached and again.files == first.files and any_bench.fake.count("poll") == polls
    any_bench.check(State.DOWNLOADED, charges=1, files=1)


@pytest.mark.parametrize("nsfw", [False, True])
def test_what_was_said_of_a_result_is_said_again(bench: MakeBench, nsfw: bool) -> None:
    runware = bench("runware")
    runware.fake.failed_results, runware.fake.nsfw = (1,), nsfw
    generation = runware.request({"numberResults": 3, "width": 832, "height": 480})
    first = runware.run(generation)
    runware.restart()
    again = runware.run(generation)
    assert again.attached and again.files == first.files
    assert (first.seeds, first.nsfw) == (again.seeds, again.nsfw) == ((5, 7), nsfw)
    assert first.warnings == again.warnings and len(again.warnings) == 3


def test_a_restart_while_a_job_runs_collects_it(any_bench: Bench) -> None:
    any_bench.options["deadline"] = 5.0  # virtual seconds: we give up before the provider is done
    with pytest.raises(RemoteError, match="The job is kept") as given_up:
        any_bench.run()
    assert given_up.value.kind == "timeout" and any_bench.job.id in str(given_up.value)
    assert any_bench.job.state in (State.SUBMITTED, State.QUEUED, State.RUNNING)
    del any_bench.options["deadline"]
    any_bench.restart()
    assert any_bench.run().attached
    any_bench.check(State.DOWNLOADED, charges=1, files=1)


def test_a_job_can_be_collected_by_its_id(any_bench: Bench) -> None:
    any_bench.options["deadline"] = 5.0
    with pytest.raises(RemoteError):
        any_bench.run()
    del any_bench.options["deadline"]
    any_bench.restart().collect(any_bench.job.id).future.result(REAL_SECONDS)
    any_bench.check(State.DOWNLOADED, charges=1, files=1)


def test_a_deleted_file_is_fetched_again_and_not_bought_again(any_bench: Bench) -> None:
    any_bench.run().files[0].unlink()
    any_bench.restart()
    any_bench.run()
    any_bench.check(State.DOWNLOADED, charges=1, files=1)


def test_a_result_that_is_nowhere_any_more_is_said_and_not_bought_again(any_bench: Bench) -> None:
    any_bench.run().files[0].unlink()
    any_bench.fake.generations.clear()
    with pytest.raises(RemoteError, match=r"no longer has the result.*It was charged\. Change force_new"):
        any_bench.run()
    assert any_bench.job.state is State.DOWNLOADED and len(any_bench.fake.charges) == 1
    assert list(any_bench.settings.output.iterdir()) == [] and any_bench.fake.count("submit") == 1


def test_a_result_that_has_become_an_error_is_not_bought_again(bench: MakeBench) -> None:
    fal = bench("fal")
    for answer in (Answer(404, {"detail": "Not found"}), Answer(422, {"detail": "Expired"})):
        for path in fal.run().files:
            path.unlink()
        fal.fake.fault("result", answer)
        with pytest.raises(RemoteError, match="no longer has the result"):
            fal.run()
        assert fal.job.state is State.DOWNLOADED and fal.fake.count("submit") == 1


def test_force_new_makes_another_job(any_bench: Bench) -> None:
    any_bench.run()
    any_bench.run(any_bench.request(force_new=1))
    assert len(any_bench.fake.charges) == 2


def test_another_seed_makes_another_job(any_bench: Bench) -> None:
    any_bench.run()
    any_bench.run(any_bench.request({SEEDS[any_bench.name]: 6}))
    assert len(any_bench.fake.charges) == 2


def test_twins_in_one_graph_get_one_job_each_and_keep_them(any_bench: Bench) -> None:
    for prompt in ("first run", "second run"):
        manager = any_bench.restart()
        twins = [manager.start(any_bench.request(prompt_id=prompt, node_id=node)) for node in ("3", "7")]
        files = [twin.future.result(REAL_SECONDS).files for twin in twins]
        assert files[0] != files[1]
        assert len(any_bench.fake.charges) == 2


def test_two_waiters_share_one_job(any_bench: Bench) -> None:
    handles = [any_bench.manager.start(any_bench.request(prompt_id=prompt, node_id="3")) for prompt in ("a", "b")]
    outcomes = [handle.future.result(REAL_SECONDS) for handle in handles]
    assert outcomes[0].files == outcomes[1].files
    any_bench.check(State.DOWNLOADED, charges=1, files=1)


def test_a_hundred_jobs_at_once_on_one_thread(bench: MakeBench) -> None:
    fal = bench("fal", submit_timeout=30.0)
    handles = [fal.manager.start(fal.request({"seed": seed})) for seed in range(100)]
    assert len({handle.future.result(60).files for handle in handles}) == 100
    ours = [thread for thread in threading.enumerate() if thread.name == "wan-duet remote"]
    assert len(fal.fake.charges) == fal.fake.count("submit") == 100 and len(ours) == 1
    assert {job.state for job in fal.manager.journal.jobs()} == {State.DOWNLOADED}


@pytest.mark.parametrize("seconds", [86_400.0, -86_400.0])
def test_a_clock_that_is_set_ends_no_job(any_bench: Bench, seconds: float) -> None:
    any_bench.fake.fault("poll", None)

    def jump(update: JobUpdate) -> None:
        any_bench.clock.skew = seconds

    any_bench.run(report=jump)
    any_bench.check(State.DOWNLOADED, charges=1, files=1)


def test_progress_is_told_without_invention(any_bench: Bench) -> None:
    updates: list[JobUpdate] = []
    any_bench.run(report=updates.append)
    states = [update.job.state for update in updates]
    assert states[0] is State.SUBMITTING and states[-1] is State.DOWNLOADED and State.RUNNING in states
    assert all(update.percent is None for update in updates)
    assert any("queue 3" in str(update) for update in updates) is (any_bench.name == "fal")
    assert str(updates[-1]).startswith(f"{any_bench.name} - downloaded ")


def test_nothing_happens_before_the_first_job(any_bench: Bench) -> None:
    any_bench.restart()
    assert not any_bench.settings.private.exists()
    assert any_bench.fake.seen == []


def test_a_result_of_another_shape_than_asked_for_is_said(bench: MakeBench) -> None:
    runware = bench("runware")
    outcome = runware.run(runware.request({"width": 832, "height": 480}))
    assert outcome.warnings == ("Asked for 832x480, the result is 64x48.",)
