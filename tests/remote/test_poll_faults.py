"""Faults while a job runs: only the provider's own word ends it."""

from typing import Any

import pytest
from wan_duet.remote.errors import RemoteError
from wan_duet.remote.job import State
from wan_duet.remote.jobs.record import JobUpdate
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

    def break_it(update: JobUpdate) -> None:
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


def test_the_archive_has_the_address_that_a_success_lacks(bench: MakeBench) -> None:
    runware = bench("runware")

    def leave_out(update: JobUpdate) -> None:
        if update.job.state is State.SUBMITTED:
            bare = {"taskUUID": update.job.id, "status": "success", "videoUUID": "x"}
            runware.fake.fault("poll", *[Answer(200, {"data": [bare]})] * 100)

    runware.run(report=leave_out)
    runware.check(State.DOWNLOADED, charges=1, files=1)


def test_success_without_an_address_is_not_the_end(bench: MakeBench) -> None:
    fal, rivya = bench("fal"), bench("rivya")
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
        any_bench.run(any_bench.request({PROMPTS[any_bench.name]: "a cat \ud83d"}))
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
