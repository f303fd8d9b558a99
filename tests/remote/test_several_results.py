"""Several results of one job: every success is delivered, whatever became of the others, in whatever order."""

import pytest
from wan_duet.remote.errors import RemoteError
from wan_duet.remote.job import State
from wan_duet.remote.jobs.record import JobUpdate
from wan_duet.tests.fake_providers.faults import Answer
from wan_duet.tests.remote.conftest import MakeBench


def test_successes_beside_failures_are_kept(bench: MakeBench) -> None:
    runware = bench("runware")
    runware.fake.failed_results = (2,)
    outcome = runware.run(runware.request({"numberResults": 4}))
    runware.check(State.DOWNLOADED, charges=4, files=3)
    assert outcome.warnings == ("One result failed: Runware: The result could not be made.",)
    assert runware.job.cost == 0.75 and outcome.seeds == (5, 6, 8)


def test_a_failure_that_is_told_twice_is_one_failure(bench: MakeBench) -> None:
    """Two failures told twice would make four of four, while two results are still to come."""
    runware = bench("runware")
    runware.fake.failed_results, runware.fake.tells_failures = (1, 3), "twice"
    generation = runware.request({"numberResults": 4})

    def leave_one_out(update: JobUpdate) -> None:
        if update.job.state is State.SUBMITTED:
            (job,) = runware.fake.generations.values()
            reply = runware.fake._outcome(job)
            early = {**reply, "data": [item for item in reply["data"] if item.get("resultIndex") != 2]}
            runware.fake.fault("poll", Answer(200, early), Answer(200, early))

    outcome = runware.run(generation, report=leave_one_out)
    runware.check(State.DOWNLOADED, charges=4, files=2)
    assert outcome.seeds == (5, 7) and len(outcome.warnings) == 2


def test_failures_with_an_index_are_told_apart_by_it(bench: MakeBench) -> None:
    runware = bench("runware")
    error = {"code": "providerError", "message": "Broken.", "status": "error"}

    def fail(update: JobUpdate) -> None:
        if update.job.state is State.SUBMITTED:
            known = {**error, "taskUUID": update.job.id}
            reply = {"data": [{**known, "resultIndex": 0}], "errors": [{**known, "resultIndex": 1}]}
            runware.fake.fault("poll", *[Answer(200, reply)] * 2)

    with pytest.raises(RemoteError, match="Broken"):
        runware.run(runware.request({"numberResults": 2}), report=fail)
    assert runware.fake.count("poll") == 1
    runware.check(State.FAILED, charges=2, files=0)


@pytest.mark.parametrize("failed", [(0, 1, 2, 3), (1, 2)])
def test_one_error_for_several_results_ends_the_job(bench: MakeBench, failed: tuple[int, ...]) -> None:
    runware = bench("runware", deadline=2000.0)
    runware.fake.failed_results, runware.fake.tells_failures = failed, "once"
    generation = runware.request({"numberResults": 4})
    if len(failed) == 4:
        with pytest.raises(RemoteError, match="could not be made"):
            runware.run(generation)
        return runware.check(State.FAILED, charges=4, files=0)
    outcome = runware.run(generation)
    runware.check(State.DOWNLOADED, charges=4, files=2)
    failure = "One result failed: Runware: The result could not be made."
    assert outcome.warnings == (failure, "1 of 4 results did not come.")


def test_results_that_are_there_at_the_deadline_are_delivered_and_the_others_later(bench: MakeBench) -> None:
    runware = bench("runware", deadline=100.0)
    generation = runware.request({"numberResults": 2})

    def hold_one_back(update: JobUpdate) -> None:
        if update.job.state is State.SUBMITTED:
            (job,) = runware.fake.generations.values()
            (first, second) = runware.fake._outcome(job)["data"]
            under_way = {"taskType": "videoInference", "taskUUID": job.id, "status": "processing"}
            runware.fake.fault("poll", *[Answer(200, {"data": [first, under_way]})] * 500)
            assert second["resultIndex"] == 1

    outcome = runware.run(generation, report=hold_one_back)
    runware.check(State.RUNNING, charges=2, files=1)
    assert runware.job.cost == 0.25
    assert outcome.warnings == ("1 of 2 results are still being made. Run the same graph again to collect them.",)
    runware.fake.faults["poll"].clear()
    assert len(runware.run(generation).files) == 2
    runware.check(State.DOWNLOADED, charges=2, files=2)


def test_one_damaged_result_keeps_the_others_back_no_longer(bench: MakeBench) -> None:
    runware = bench("runware")
    damaged = Answer(200, "<html/>", {"Content-Type": "video/mp4"})
    runware.fake.fault("download", None, damaged, damaged, damaged)
    generation = runware.request({"numberResults": 3})
    outcome = runware.run(generation)
    runware.check(State.REMOTE_DONE, charges=3, files=2)
    said = "Result 2: The downloaded result is neither a video nor an image. Run the same graph again to collect it."
    assert outcome.warnings == (said,) and outcome.seeds == (5, 7)
    assert len(runware.run(generation).files) == 3
    runware.check(State.DOWNLOADED, charges=3, files=3)


def test_a_result_whose_address_has_run_out_is_fetched_and_not_another_one(bench: MakeBench) -> None:
    runware = bench("runware")
    runware.fake.fault("download", None, Answer(403, "<Error>Request has expired</Error>"))
    outcome = runware.run(runware.request({"numberResults": 2}))
    runware.check(State.DOWNLOADED, charges=2, files=2)
    assert outcome.seeds == (5, 6) and [path.stem[-2:] for path in outcome.files] == ["_0", "_1"]


@pytest.mark.parametrize(
    "indices", [(2, 0, 2, 1, 0), (None, None, None), (None, 0, 2), (1, None, 0, 1)], ids=lambda found: f"{found}"
)
def test_results_out_of_order_twice_and_without_an_index_are_told_apart(
    bench: MakeBench, indices: tuple[int | None, ...]
) -> None:
    runware = bench("runware")

    def answer(update: JobUpdate) -> None:
        if update.job.state is State.SUBMITTED:
            items = []
            for place, index in enumerate(indices):
                video = f"video{place if index is None else indices.index(index)}"
                url = f"{runware.fake.url}/files/{video}.mp4"
                known = {"taskUUID": update.job.id, "status": "success", "videoUUID": video, "videoURL": url}
                items.append(known if index is None else {**known, "resultIndex": index})
            runware.fake.fault("poll", Answer(200, {"data": items[:2]}), Answer(200, {"data": items}))

    assert len(set(runware.run(runware.request({"numberResults": 3}), report=answer).files)) == 3
    assert runware.fake.count("poll") == 2 and runware.fake.count("download") == 3
    runware.check(State.DOWNLOADED, charges=3, files=3)
