"""One call for the files of a request, its summary, and the list of jobs to collect, re-fetch, forget."""

import asyncio

import pytest
from wan_duet.remote.errors import Interrupted, RemoteError
from wan_duet.remote.job import State
from wan_duet.remote.jobs.record import JobUpdate
from wan_duet.remote.jobs.summary import summarize
from wan_duet.remote.jobs.wait import deliver
from wan_duet.tests.fake_providers.faults import Answer
from wan_duet.tests.fake_providers.provider import KEY
from wan_duet.tests.remote.conftest import REAL_SECONDS, Bench, MakeBench


def test_one_call_gives_the_files_of_an_order(any_bench: Bench) -> None:
    updates: list[JobUpdate] = []
    outcome = asyncio.run(deliver(any_bench.manager, any_bench.request(), report=updates.append))
    assert [path.is_file() for path in outcome.files] == [True] and updates
    any_bench.check(State.DOWNLOADED, charges=1, files=1)


def test_one_call_can_be_interrupted(any_bench: Bench) -> None:
    any_bench.fake.running = 1e9
    any_bench.options["deadline"] = float("inf")
    with pytest.raises(Interrupted):
        flags = iter((False, True))
        asyncio.run(
            deliver(any_bench.manager, any_bench.request(), interrupted=lambda: next(flags), on_interrupt="keep")
        )


def test_the_info_says_what_it_was_and_cost(any_bench: Bench) -> None:
    generation = any_bench.request()
    text = summarize(any_bench.run(generation), generation)
    cost = {"runware": "cost: $0.25", "fal": "cost: price unknown", "rivya": "cost: 12 credits"}[any_bench.name]
    assert any_bench.job.id in text and any_bench.job.remote_id in text and cost in text
    assert "seed: 5" in text and KEY not in text
    again = summarize(any_bench.run(generation), generation)
    assert f"({cost.removeprefix('cost: ')}) and collected now: nothing new was charged" in again


def test_the_info_says_what_was_not_sent_and_what_is_not_there(bench: MakeBench) -> None:
    rivya, runware = bench("rivya"), bench("runware")
    generation = rivya.request({"params.num_frames": 80, "params.shift": 5})
    assert "not sent, this mode does not take it: params.num_frames, params.shift" in summarize(
        rivya.run(generation), generation
    )
    runware.fake.failed_results, runware.fake.nsfw = (0,), True
    text = summarize(runware.run(runware.request({"numberResults": 2})))
    assert "One result failed: Runware: The result could not be made." in text and "NSFW" in text


def test_jobs_are_listed_newest_first_and_their_days_added_up(any_bench: Bench) -> None:
    any_bench.run()
    any_bench.clock.virtual.advance(1)
    any_bench.run(any_bench.request(force_new=1))
    manager = any_bench.restart()
    first, second = manager.jobs().result(REAL_SECONDS)
    assert first.created > second.created and len(manager.jobs(1).result(REAL_SECONDS)) == 1
    assert manager.spent().result(REAL_SECONDS) == manager.journal.spent()


def test_files_are_fetched_again_when_asked_for(any_bench: Bench) -> None:
    (path,) = any_bench.run().files
    whole = path.read_bytes()
    path.write_bytes(bytes(len(whole)))  # the same size, which is all that is looked at
    any_bench.manager.collect(any_bench.job.id).future.result(REAL_SECONDS)
    assert path.read_bytes() != whole
    any_bench.manager.collect(any_bench.job.id, again=True).future.result(REAL_SECONDS)
    assert path.read_bytes() == whole
    any_bench.check(State.DOWNLOADED, charges=1, files=1)


def test_files_stay_when_they_can_not_be_fetched_again(bench: MakeBench) -> None:
    runware = bench("runware")
    generation = runware.request({"numberResults": 3})
    files = runware.run(generation).files
    gone = [Answer(403, "<Error>Request has expired</Error>")] * 9
    runware.fake.fault("download", *gone)
    again = runware.manager.collect(runware.job.id, again=True).future.result(REAL_SECONDS)
    assert again.files == files and "Its file is kept" in again.warnings[0]
    assert runware.run(generation).files == files
    files[1].unlink()
    runware.fake.faults.clear()
    runware.fake.fault("download", *gone)
    assert runware.run(generation).files == (files[0], files[2])
    runware.fake.faults.clear()
    assert runware.run(generation).files == files
    runware.check(State.DOWNLOADED, charges=3, files=3)


def test_a_forgotten_job_is_not_listed_nor_attached_to_and_stays_in_the_totals(any_bench: Bench) -> None:
    any_bench.run()
    spent = any_bench.manager.journal.spent()
    job_id = any_bench.job.id
    any_bench.manager.forget(job_id).result(REAL_SECONDS)
    assert any_bench.manager.jobs().result(REAL_SECONDS) == [] and any_bench.manager.journal.spent() == spent
    assert any_bench.manager.journal.get(job_id).request == {}
    assert not any_bench.run().attached and len(any_bench.fake.charges) == 2


def test_a_job_that_is_under_way_or_unknown_is_not_forgotten(any_bench: Bench) -> None:
    any_bench.fake.running = 1e9
    any_bench.options["deadline"] = float("inf")
    handle = any_bench.manager.start(any_bench.request())
    job_id = handle.claimed.result(REAL_SECONDS)
    with pytest.raises(ValueError, match="under way: interrupt it first"):
        any_bench.manager.forget(job_id).result(REAL_SECONDS)
    with pytest.raises(ValueError, match="job is 'nope'"):
        any_bench.manager.forget("nope").result(REAL_SECONDS)


def test_what_is_over_can_not_be_collected(any_bench: Bench) -> None:
    with pytest.raises(RemoteError):
        any_bench.run(any_bench.request(allow_paid=False))
    any_bench.manager.journal.cancel_planned(any_bench.job.id)
    with pytest.raises(RemoteError, match="is cancelled"):
        any_bench.manager.collect(any_bench.job.id).future.result(REAL_SECONDS)
