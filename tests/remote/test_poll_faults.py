"""What can happen while a job runs: only the provider's own word ends it."""

from typing import Any

import pytest
from wan_duet.remote.errors import RemoteError
from wan_duet.remote.journal import State
from wan_duet.remote.record import Update
from wan_duet.tests.fake_providers.faults import Answer, Lose, Refuse
from wan_duet.tests.remote.conftest import PROMPTS, Bench, MakeBench

NGINX = "<html>bad gateway</html>"
MISSING: dict[str, Any] = {
    "runware": Answer(400, {"errors": [{"code": "taskNotFound", "message": "Not found."}]}),
    "fal": Answer(404, {"detail": "Request not found"}),
    "rivya": Answer(404, {"error": {"code": "not_found", "message": "No such generation."}}),
}


@pytest.mark.parametrize(
    "fault",
    [
        Answer(500, NGINX),
        Answer(502, NGINX),
        Answer(503, NGINX),
        Answer(429, "", {"Retry-After": "3"}),
        Answer(200, NGINX),
        Answer(200, {}),
        Answer(200, []),
        Lose("close"),
        Lose("truncate"),
        Refuse(),
    ],
    ids=str,
)
def test_a_poll_that_fails_is_made_again(any_bench: Bench, fault: Any) -> None:
    any_bench.fake.fault("poll", fault, None, fault, fault)
    any_bench.run()
    any_bench.check(State.DOWNLOADED, charges=1, files=1)
    assert any_bench.fake.count("submit") == 1


def test_a_network_that_is_away_for_a_while_ends_no_job(any_bench: Bench) -> None:
    any_bench.fake.fault("poll", *[Refuse()] * 40)
    any_bench.run()
    any_bench.check(State.DOWNLOADED, charges=1, files=1)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_provider_that_is_busy_for_long_ends_no_job(any_bench: Bench, status: int) -> None:
    code = "rateLimitExceeded" if status == 429 else "internalError"
    busy = {"errors": [{"code": code, "message": "Busy."}], "error": {"code": "rate_limited"}}
    any_bench.fake.fault("poll", *[Answer(status, busy)] * 30)
    any_bench.run()
    any_bench.check(State.DOWNLOADED, charges=1, files=1)


def test_what_runware_says_about_another_task_ends_no_job(bench: MakeBench) -> None:
    runware = bench("runware")
    other = {"taskUUID": "another", "code": "providerError", "message": "Not yours."}
    runware.fake.fault("poll", Answer(200, {"errors": [other]}), Answer(200, {"data": [{**other, "status": "error"}]}))
    runware.run()
    runware.check(State.DOWNLOADED, charges=1, files=1)


def test_a_result_that_the_gateway_holds_back_is_asked_for_again(bench: MakeBench) -> None:
    fal = bench("fal")
    fal.fake.fault("result", *[Answer(503, NGINX)] * 30)
    fal.run()
    fal.check(State.DOWNLOADED, charges=1, files=1)


def test_a_job_that_ended_in_an_error_of_the_server_has_failed(bench: MakeBench) -> None:
    fal = bench("fal")
    fal.fake.fails_with = (500, {"detail": "Internal error", "error_type": "runner_disconnected"})
    with pytest.raises(RemoteError, match="Internal error"):
        fal.run()
    fal.check(State.FAILED, charges=1, files=0)


def test_a_job_that_takes_a_while_to_appear_is_waited_for(any_bench: Bench) -> None:
    any_bench.fake.fault("poll", *[MISSING[any_bench.name]] * 4)
    any_bench.fake.fault("details", *[MISSING[any_bench.name]] * 4)
    any_bench.run()
    any_bench.check(State.DOWNLOADED, charges=1, files=1)


def test_a_job_that_never_appears_is_lost_and_not_bought_again(any_bench: Bench) -> None:
    any_bench.fake.fault("poll", *[MISSING[any_bench.name]] * 200)
    any_bench.fake.fault("details", *[MISSING[any_bench.name]] * 200)
    with pytest.raises(RemoteError, match="no longer knows job") as lost:
        any_bench.run()
    assert lost.value.kind == "unknown_outcome"
    any_bench.check(State.LOST, charges=1, files=0)
    any_bench.fake.faults.clear()
    any_bench.run()  # it has turned up
    any_bench.check(State.DOWNLOADED, charges=1, files=1)


def test_a_job_that_takes_too_long_is_left_to_be_collected(any_bench: Bench) -> None:
    any_bench.fake.running = 1e9
    with pytest.raises(RemoteError, match=f"{'takes longer than we wait'}.*run the same graph again to collect"):
        any_bench.run()
    any_bench.check(State.RUNNING, charges=1, files=0)


def test_the_archive_answers_for_what_getresponse_forgot(bench: MakeBench) -> None:
    runware = bench("runware")
    runware.fake.forgets = True
    runware.run()
    runware.check(State.DOWNLOADED, charges=1, files=1)


def test_states_may_go_back_and_words_may_be_unknown(bench: MakeBench) -> None:
    fal, rivya = bench("fal"), bench("rivya")
    back = [Answer(202, {"status": word}) for word in ("IN_PROGRESS", "IN_QUEUE", "PAUSED", "IN_PROGRESS")]
    fal.fake.fault("poll", *back)
    rivya.fake.fault(
        "poll", *[Answer(200, {"id": "x", "status": word}) for word in ("processing", "resting", "queued")]
    )
    for one in (fal, rivya):
        one.run()
        one.check(State.DOWNLOADED, charges=1, files=1)


def test_completed_is_not_success_at_fal(bench: MakeBench) -> None:
    fal = bench("fal")
    fal.fake.fails_with = (
        422,
        {"detail": [{"loc": ["body", "prompt"], "msg": "no", "type": "content_policy_violation"}]},
    )
    with pytest.raises(RemoteError, match=r"prompt: no.*change the prompt") as refused:
        fal.run()
    assert refused.value.kind == "safety"
    fal.check(State.FAILED, charges=1, files=0)


def test_a_failed_job_is_refunded_at_rivya(bench: MakeBench) -> None:
    rivya = bench("rivya")
    rivya.fake.fails_with = "upstream went away"
    with pytest.raises(RemoteError, match="upstream went away") as failed:
        rivya.run()
    assert failed.value.charged == "no"
    assert rivya.job.cost == 0
    rivya.check(State.FAILED, charges=1, files=0)


def test_a_failed_job_at_runware_says_why(bench: MakeBench) -> None:
    runware = bench("runware")
    runware.fake.fails_with = ("contentModerationFailed", "The prompt was refused.")
    with pytest.raises(RemoteError, match=r"The prompt was refused.*may have been charged") as failed:
        runware.run()
    assert failed.value.kind == "safety" and failed.value.code == "contentModerationFailed"
    runware.check(State.FAILED, charges=1, files=0)


def test_an_error_item_within_data_ends_the_job_too(bench: MakeBench) -> None:
    runware = bench("runware")
    item = {"taskType": "videoInference", "status": "error", "code": "providerError", "message": "Broken."}

    def break_it(update: Update) -> None:
        if update.job.state is State.SUBMITTED:
            runware.fake.fault("poll", Answer(200, {"data": [{**item, "taskUUID": update.job.id}]}))

    with pytest.raises(RemoteError, match="Broken"):
        runware.run(report=break_it)
    runware.check(State.FAILED, charges=1, files=0)


@pytest.mark.parametrize(
    "answer",
    [
        Answer(400, {"errors": [{"code": "internalError", "message": "Hiccup."}]}),
        Answer(200, {"error": "upstream hiccup"}),
        Answer(402, {"errors": [{"code": "insufficientCredits", "message": "Top up."}]}),
        Answer(200, {"taskUUID": "another", "error": {"code": "providerError", "message": "Not yours."}}),
    ],
    ids=str,
)
def test_an_error_that_is_not_about_the_job_does_not_end_it(bench: MakeBench, answer: Answer) -> None:
    runware = bench("runware")
    runware.fake.fault("poll", answer)
    runware.run()
    runware.check(State.DOWNLOADED, charges=1, files=1)


@pytest.mark.parametrize(
    "answer",
    [
        Answer(400, {"detail": "Request is still in progress"}),
        Answer(402, {"detail": "Exhausted balance", "error_type": "exhausted_balance"}),
        Answer(451, "<html>blocked</html>"),
        Answer(503, {"detail": "no healthy upstream"}),
        Answer(520, {"detail": "unknown error"}),
    ],
    ids=str,
)
def test_what_a_gateway_says_for_fals_result_does_not_end_the_job(bench: MakeBench, answer: Answer) -> None:
    fal = bench("fal")
    fal.fake.fault("result", *[answer] * 3)
    fal.run()
    fal.check(State.DOWNLOADED, charges=1, files=1)


def test_successes_beside_failures_are_kept(bench: MakeBench) -> None:
    runware = bench("runware")
    runware.fake.failed_results = (2,)
    outcome = runware.run(runware.order({"numberResults": 4}))
    runware.check(State.DOWNLOADED, charges=4, files=3)
    assert outcome.warnings == ("One result failed: Runware: The result could not be made.",)
    assert runware.job.cost == 0.75 and outcome.seeds == (5, 6, 8)


def test_a_failure_that_is_told_twice_is_one_failure(bench: MakeBench) -> None:
    """Two failures told twice would make four of four, while two results are still to come."""
    runware = bench("runware")
    runware.fake.failed_results, runware.fake.tells_failures = (1, 3), "twice"
    order = runware.order({"numberResults": 4})

    def leave_one_out(update: Update) -> None:
        if update.job.state is State.SUBMITTED:
            (job,) = runware.fake.generations.values()
            reply = runware.fake._outcome(job)
            early = {**reply, "data": [item for item in reply["data"] if item.get("resultIndex") != 2]}
            runware.fake.fault("poll", Answer(200, early), Answer(200, early))

    outcome = runware.run(order, report=leave_one_out)
    runware.check(State.DOWNLOADED, charges=4, files=2)
    assert outcome.seeds == (5, 7) and len(outcome.warnings) == 2


def test_failures_with_an_index_are_told_apart_by_it(bench: MakeBench) -> None:
    runware = bench("runware")
    error = {"code": "providerError", "message": "Broken.", "status": "error"}

    def fail(update: Update) -> None:
        if update.job.state is State.SUBMITTED:
            known = {**error, "taskUUID": update.job.id}
            reply = {"data": [{**known, "resultIndex": 0}], "errors": [{**known, "resultIndex": 1}]}
            runware.fake.fault("poll", *[Answer(200, reply)] * 2)

    with pytest.raises(RemoteError, match="Broken"):
        runware.run(runware.order({"numberResults": 2}), report=fail)
    assert runware.fake.count("poll") == 1
    runware.check(State.FAILED, charges=2, files=0)


@pytest.mark.parametrize("failed", [(0, 1, 2, 3), (1, 2)])
def test_one_error_for_several_results_ends_the_job(bench: MakeBench, failed: tuple[int, ...]) -> None:
    runware = bench("runware", deadline=2000.0)
    runware.fake.failed_results, runware.fake.tells_failures = failed, "once"
    order = runware.order({"numberResults": 4})
    if len(failed) == 4:
        with pytest.raises(RemoteError, match="could not be made"):
            runware.run(order)
        return runware.check(State.FAILED, charges=4, files=0)
    outcome = runware.run(order)
    runware.check(State.DOWNLOADED, charges=4, files=2)
    failure = "One result failed: Runware: The result could not be made."
    assert outcome.warnings == (failure, "1 of 4 results did not come.")


def test_results_that_are_there_at_the_deadline_are_delivered_and_the_others_later(bench: MakeBench) -> None:
    runware = bench("runware", deadline=100.0)
    order = runware.order({"numberResults": 2})

    def hold_one_back(update: Update) -> None:
        if update.job.state is State.SUBMITTED:
            (job,) = runware.fake.generations.values()
            (first, second) = runware.fake._outcome(job)["data"]
            under_way = {"taskType": "videoInference", "taskUUID": job.id, "status": "processing"}
            runware.fake.fault("poll", *[Answer(200, {"data": [first, under_way]})] * 500)
            assert second["resultIndex"] == 1

    outcome = runware.run(order, report=hold_one_back)
    runware.check(State.RUNNING, charges=2, files=1)
    assert runware.job.cost == 0.25
    assert outcome.warnings == ("1 of 2 results are still being made. Run the same graph again to collect them.",)
    runware.fake.faults["poll"].clear()
    assert len(runware.run(order).files) == 2
    runware.check(State.DOWNLOADED, charges=2, files=2)


def test_one_damaged_result_keeps_the_others_back_no_longer(bench: MakeBench) -> None:
    runware = bench("runware")
    damaged = Answer(200, "<html/>", {"Content-Type": "video/mp4"})
    runware.fake.fault("download", None, damaged, damaged, damaged)
    order = runware.order({"numberResults": 3})
    outcome = runware.run(order)
    runware.check(State.REMOTE_DONE, charges=3, files=2)
    said = "Result 2: The downloaded result is neither a video nor an image. Run the same graph again to collect it."
    assert outcome.warnings == (said,) and outcome.seeds == (5, 7)
    assert len(runware.run(order).files) == 3
    runware.check(State.DOWNLOADED, charges=3, files=3)


@pytest.mark.parametrize(
    "indices", [(2, 0, 2, 1, 0), (None, None, None), (None, 0, 2), (1, None, 0, 1)], ids=lambda found: f"{found}"
)
def test_results_out_of_order_twice_and_without_an_index_are_told_apart(
    bench: MakeBench, indices: tuple[int | None, ...]
) -> None:
    runware = bench("runware")

    def answer(update: Update) -> None:
        if update.job.state is State.SUBMITTED:
            items = []
            for place, index in enumerate(indices):
                video = f"video{place if index is None else indices.index(index)}"
                url = f"{runware.fake.url}/files/{video}.mp4"
                known = {"taskUUID": update.job.id, "status": "success", "videoUUID": video, "videoURL": url}
                items.append(known if index is None else {**known, "resultIndex": index})
            runware.fake.fault("poll", Answer(200, {"data": items[:2]}), Answer(200, {"data": items}))

    assert len(set(runware.run(runware.order({"numberResults": 3}), report=answer).files)) == 3
    assert runware.fake.count("poll") == 2 and runware.fake.count("download") == 3
    runware.check(State.DOWNLOADED, charges=3, files=3)


def test_success_without_an_address_is_not_the_end(bench: MakeBench) -> None:
    runware, fal, rivya = bench("runware"), bench("fal"), bench("rivya")
    bare = {"taskType": "videoInference", "status": "success", "videoUUID": "x"}
    runware.fake.fault("poll", Answer(200, {"data": [bare]}))
    runware.run()  # the archive has it
    runware.check(State.DOWNLOADED, charges=1, files=1)
    fal.fake.fault("result", Answer(200, {"seed": 5}))
    rivya.fake.fault("poll", Answer(200, {"id": "x", "status": "succeeded", "result": None}))
    for one in (fal, rivya):
        with pytest.raises(RemoteError, match=r"has no address.*was charged.*collect"):
            one.run()
        one.check(State.REMOTE_DONE, charges=1, files=0)
        one.run()
        one.check(State.DOWNLOADED, charges=1, files=1)


def test_a_key_that_is_taken_back_leaves_the_job_to_be_collected(any_bench: Bench) -> None:
    any_bench.fake.fault("poll", Answer(401, {"error": {"code": "api_key_revoked", "message": "Revoked."}}))
    with pytest.raises(RemoteError, match="refused the key"):
        any_bench.run()
    any_bench.check(State.SUBMITTED, charges=1, files=0)
    any_bench.run()
    any_bench.check(State.DOWNLOADED, charges=1, files=1)


@pytest.mark.parametrize("url", ["https://[", "https://a\u2100b/", "\ud800"])
def test_what_is_no_address_is_not_asked_at(bench: MakeBench, url: str) -> None:
    fal = bench("fal")
    job = fal.fake.start("fal-ai/wan/v2.2-a14b/text-to-video", {"prompt": "a cat"}, "r1")
    answer = {"request_id": job.id, **dict.fromkeys(["status_url", "response_url"], url)}
    fal.fake.fault("submit", Answer(200, answer))
    fal.run()
    fal.check(State.DOWNLOADED, charges=1, files=1)


def test_half_a_character_in_what_is_said_ends_in_our_error(any_bench: Bench) -> None:
    """A message that was cut within an emoji; no file and no database takes it."""
    said = "no \ud83d"
    shapes: dict[str, Any] = {
        "runware": {"errors": [{"code": "invalidSteps", "message": said}]},
        "fal": {"detail": [{"loc": ["body", said], "msg": said}]},
        "rivya": {"error": {"code": "validation_failed", "message": said}},
    }
    any_bench.fake.fault("submit", Answer(400, shapes[any_bench.name]))
    with pytest.raises(RemoteError, match="no"):
        any_bench.run(any_bench.order({PROMPTS[any_bench.name]: "a cat \ud83d"}))
    any_bench.check(State.REJECTED, charges=0, files=0)


def test_fals_addresses_on_a_foreign_host_are_not_asked_with_the_key(bench: MakeBench) -> None:
    fal, elsewhere = bench("fal"), bench("rivya")
    answer: dict[str, Any] = {"request_id": "r1", "status": "IN_QUEUE"}
    foreign = {name: f"{elsewhere.fake.url}/steal" for name in ("status_url", "response_url", "cancel_url")}
    job = fal.fake.start("fal-ai/wan/v2.2-a14b/text-to-video", {"prompt": "a cat"}, "r1")
    fal.fake.fault("submit", Answer(200, {**answer, **foreign}))
    fal.run()
    assert elsewhere.fake.seen == [] and fal.job.remote_id == job.id
    fal.check(State.DOWNLOADED, charges=1, files=1)
