"""Jobs whose answer was lost: found in fal's list, attached by their request id, or cleared away together."""

import dataclasses
import time

import pytest
from wan_duet.remote.errors import RemoteError
from wan_duet.remote.job import Job, State
from wan_duet.remote.settings import Clock
from wan_duet.tests.fake_providers.faults import Lose, Meet
from wan_duet.tests.remote.conftest import NOTHING, REAL_SECONDS, Bench, MakeBench
from wan_duet.tests.remote.test_processes import killed_before_the_answer


def lost(bench: MakeBench, lists: bool = True) -> Bench:
    """A job that fal has and we have no id of; it is still being made."""
    fal = bench("fal", submit_timeout=0.5)
    fal.fake.lists, fal.fake.running = lists, 1e9
    fal.fake.fault("submit", Lose("close"))
    with pytest.raises(RemoteError, match=r"answer to the submit was lost.*may have been charged"):
        fal.run()
    fal.check(State.UNKNOWN, charges=1, files=0)
    fal.fake.running = 0.0
    for job in fal.fake.generations.values():
        job.queued = job.running = 0.0
    return fal


def test_fal_a_lost_answer_is_found_in_the_list_of_requests(bench: MakeBench) -> None:
    fal = lost(bench)
    fal.run(fal.request({"seed": 6}))  # another input: not the one
    fal.run(fal.request(force_new=1))  # the same input, but its id is known to be another job's
    fal.restart()
    assert fal.run().attached
    assert {job.state for job in fal.manager.journal.jobs()} == {State.DOWNLOADED}
    assert len(fal.fake.charges) == fal.fake.count("submit") == 3


def test_fal_two_requests_that_may_be_the_job_are_both_named_and_none_is_taken(bench: MakeBench) -> None:
    fal = lost(bench)
    ((known, job),) = fal.fake.generations.items()
    fal.fake.generations["another-one"] = dataclasses.replace(job, id="another-one")
    with pytest.raises(RemoteError, match=rf"2 requests like it: .*{known}.*Remote Jobs"):
        fal.run()
    assert fal.job.state is State.UNKNOWN


def test_fal_a_request_of_another_time_is_not_the_job(bench: MakeBench) -> None:
    fal = lost(bench)
    (job,) = fal.fake.generations.values()
    job.created += 7200.0
    fal.fake.clock.advance(9000.0)
    with pytest.raises(RemoteError, match="was lost"):
        fal.run()
    assert fal.job.state is State.UNKNOWN


def test_fal_a_job_is_attached_by_its_request_id(bench: MakeBench) -> None:
    fal = lost(bench, lists=False)
    (known,) = fal.fake.generations
    with pytest.raises(RemoteError, match="fal knows no request 00000000-0000"):
        fal.manager.attach(fal.job.id, "00000000-0000").future.result(REAL_SECONDS)
    assert fal.job.state is State.UNKNOWN and fal.job.remote_id == ""
    for id in ("", "a/b", "../x", "a b", "x?y"):
        with pytest.raises(ValueError, match="Copy the id of the request"):
            fal.manager.attach(fal.job.id, id).future.result(REAL_SECONDS)
    assert fal.manager.attach(fal.job.id, f" {known} ").future.result(REAL_SECONDS).files[0].is_file()
    fal.check(State.DOWNLOADED, charges=1, files=1)
    assert fal.run().attached and fal.fake.count("submit") == 1


def test_a_job_that_has_its_answer_and_an_id_that_is_taken_are_not_attached(bench: MakeBench) -> None:
    fal = lost(bench, lists=False)
    fal.run(fal.request(force_new=1))
    done, unanswered = fal.manager.journal.jobs()
    if done.state is not State.DOWNLOADED:
        done, unanswered = unanswered, done
    with pytest.raises(ValueError, match="Only a job whose answer was lost"):
        fal.manager.attach(done.id, "0000-1111").future.result(REAL_SECONDS)
    with pytest.raises(ValueError, match="which another job of the list has"):
        fal.manager.attach(unanswered.id, done.remote_id).future.result(REAL_SECONDS)


def test_a_set_of_jobs_that_were_never_sent_is_cleared_at_once(any_bench: Bench) -> None:
    journal = any_bench.manager.journal
    for number in range(5):  # killed after the right to submit was taken
        generation = any_bench.request(force_new=number)
        wanted = Job(
            "", generation.fingerprint, any_bench.name, generation.contract.endpoint, "default", {}, State.PLANNED
        )
        job = journal.claim(wanted)
        reserved = dataclasses.replace(NOTHING, amount=1.0, budget=9.0)
        assert journal.begin_submit(job.id, any_bench.clock.now() - 1.0, "{}", reserved)
    alive = journal.claim(dataclasses.replace(wanted, fingerprint="alive"))
    assert journal.begin_submit(alive.id, any_bench.clock.now() + 1000.0, "{}", dataclasses.replace(reserved, amount=0))
    if any_bench.name != "runware":  # the others may be making what they can't tell of
        assert [one.verdict for one in any_bench.manager.clear().result(REAL_SECONDS)] == ["at work"] * 5 + ["kept"]
        assert len(journal.jobs()) == 6
        any_bench.clock.virtual.advance(any_bench.settings.deadline)
        journal.update(alive.id, lease=any_bench.clock.now() + 1000.0)
    cleared = any_bench.manager.clear().result(REAL_SECONDS)
    verdict = "no trace" if any_bench.name == "runware" else "unknown"
    assert [one.verdict for one in cleared] == [verdict] * 5 + ["kept"]
    assert [job.id for job in journal.jobs()] == [alive.id]
    assert any_bench.fake.count("submit") == 0
    assert journal.used_today(any_bench.name) == (0.0 if verdict == "no trace" else 5.0)  # which may have been charged
    for number in range(5):
        any_bench.run(any_bench.request(force_new=number))
    assert len(any_bench.fake.charges) == any_bench.fake.count("submit") == 5


def test_what_its_provider_has_after_all_is_not_cleared(bench: MakeBench) -> None:
    runware = bench("runware")
    killed_before_the_answer(runware)
    runware.clock.skew += 20.0
    runware.restart()
    (one,) = runware.manager.clear().result(REAL_SECONDS)
    assert one.verdict == "found" and runware.job.remote_id in runware.fake.generations
    assert runware.run().attached
    runware.check(State.DOWNLOADED, charges=1, files=1)


def test_what_fal_is_still_making_is_not_cleared(bench: MakeBench) -> None:
    """Its list of requests has the finished ones only."""
    fal = lost(bench)
    (making,) = fal.fake.generations.values()
    making.running = fal.settings.deadline - 60.0
    making.created = fal.clock.now()
    (one,) = fal.manager.clear().result(REAL_SECONDS)
    assert one.verdict == "at work" and fal.job.state is State.UNKNOWN
    fal.clock.virtual.advance(fal.settings.deadline - 30.0)
    (one,) = fal.manager.clear().result(REAL_SECONDS)
    assert one.verdict == "found" and fal.job.remote_id == making.id
    assert fal.run().attached
    fal.check(State.DOWNLOADED, charges=1, files=1)


def test_what_fal_has_several_of_is_not_cleared_however_old(bench: MakeBench) -> None:
    fal = lost(bench)
    (job,) = fal.fake.generations.values()
    fal.fake.generations["another-one"] = dataclasses.replace(job, id="another-one")
    fal.clock.virtual.advance(fal.settings.deadline * 2)
    (one,) = fal.manager.clear().result(REAL_SECONDS)
    assert one.verdict == "like" and fal.job.state is State.UNKNOWN
    fal.manager.attach(fal.job.id, "another-one").future.result(REAL_SECONDS)
    fal.check(State.DOWNLOADED, charges=1, files=1)


def test_what_can_not_be_asked_about_is_kept(bench: MakeBench) -> None:
    fal = lost(bench, lists=False)
    fal.options["environ"] = {}
    fal.restart()
    (one,) = fal.manager.clear().result(REAL_SECONDS)
    assert one.verdict == "kept" and fal.job.state is State.UNKNOWN


def test_what_fal_itself_can_not_be_asked_about_is_kept(bench: MakeBench) -> None:
    fal = lost(bench)
    fal.options["bases"] = {**fal.settings.bases, "fal platform": "http://127.0.0.1:1"}
    fal.restart()
    (one,) = fal.manager.clear().result(REAL_SECONDS)
    assert one.verdict == "kept" and fal.job.state is State.UNKNOWN


def test_a_dead_submit_is_taken_over_within_15_seconds(bench: MakeBench) -> None:
    """Of the clock on the wall, from the death to the answer about the job."""
    runware = bench("runware", clock=Clock(), submit_timeout=60.0, first_poll=0.1)
    runware.fake.queued = runware.fake.running = 0.0
    killed_before_the_answer(runware)
    died = time.monotonic()
    runware.restart()
    assert runware.manager.start(runware.request()).future.result(40).attached
    assert time.monotonic() - died < 15.0
    runware.check(State.DOWNLOADED, charges=1, files=1)


def test_a_submit_that_takes_long_is_not_taken_over(bench: MakeBench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its process lives, and says so while it waits for the answer."""
    from wan_duet.remote.jobs import submit

    monkeypatch.setattr(submit, "LEASE", 1.5)
    monkeypatch.setattr(submit, "BEAT", 0.2)
    fal = bench("fal", clock=Clock(), submit_timeout=20.0, first_poll=0.05)
    fal.fake.queued = fal.fake.running = 0.0
    fal.fake.fault("submit", Meet(count=1, seconds=4.0))
    handles = [fal.restart().start(fal.request()) for _ in range(2)]
    assert len({handle.future.result(REAL_SECONDS).files for handle in handles}) == 1
    assert fal.fake.count("submit") == 1
    fal.check(State.DOWNLOADED, charges=1, files=1)
