"""Refusals of the one submit, and what keeps it from being sent: it costs nothing and is said once."""

import re
import socket
from contextlib import ExitStack
from typing import Any

import pytest
from wan_duet.remote.contract.contracts import contract
from wan_duet.remote.errors import RemoteError
from wan_duet.remote.job import State
from wan_duet.remote.jobs.request import GenerationRequest
from wan_duet.tests.fake_providers.faults import Answer, Flood
from wan_duet.tests.remote.conftest import AGREED, ENDPOINTS, Bench, MakeBench

NGINX = "<html><head><title>502 Bad Gateway</title></head></html>"
BUSY: dict[str, Any] = {
    "runware": {"errors": [{"code": "rateLimitExceeded", "message": "Too busy."}]},
    "fal": {"detail": "Too many requests"},
    "rivya": {"error": {"code": "rate_limited", "message": "Too busy.", "requestId": "r"}},
}


BUSY_STATUSES = [(name, status) for name in ENDPOINTS for status in (429, 503)]
BUSY_STATUSES.remove(("fal", 503))  # it may be a gateway's, and fal could not say afterwards whether it has the job


@pytest.mark.parametrize(("name", "status"), BUSY_STATUSES)
@pytest.mark.parametrize("headers", [{}, {"Retry-After": "7"}, {"Retry-After": "Tue, 14 Nov 2023 22:13:40 GMT"}])
def test_busy_said_in_json_is_waited_out(bench: MakeBench, name: str, status: int, headers: dict[str, str]) -> None:
    one = bench(name)
    begin = one.clock.now()
    one.fake.fault("submit", Answer(status, BUSY[name], headers))
    one.run()
    one.check(State.DOWNLOADED, charges=1, files=1)
    waited = one.fake.generations[one.fake.charges[0]].created - begin
    expected = {"7": 7.0, None: 1.0}.get(headers.get("Retry-After"), 20.0)  # the date is 20 s after the clock's start
    assert expected <= waited < expected * 1.5


def test_busy_for_ever_ends_unpaid(any_bench: Bench) -> None:
    any_bench.fake.fault("submit", *[Answer(429, BUSY[any_bench.name])] * 9)
    with pytest.raises(RemoteError, match="run again later") as busy:
        any_bench.run()
    assert busy.value.kind == "capacity"
    any_bench.check(State.REJECTED, charges=0, files=0)


REFUSALS = [
    ("runware", Answer(401, {"errors": [{"code": "invalidApiKey", "message": "Invalid API key."}]}), "auth"),
    ("runware", Answer(402, {"errors": [{"code": "insufficientCredits", "message": "No credit."}]}), "quota"),
    ("runware", Answer(402, {"errors": [{"code": "invalidBalance", "message": "No credit."}]}), "quota"),
    ("runware", Answer(402, {"errors": [{"message": "Pay first."}]}), "quota"),
    ("runware", Answer(402, NGINX), "quota"),
    ("runware", Answer(403, NGINX), "auth"),
    (
        "runware",
        Answer(400, {"error": {"code": "invalidSteps", "message": "Bad.", "parameter": ["steps"]}}),
        "validation",
    ),
    ("runware", Answer(400, {"error": "Something is wrong"}), "provider"),
    ("runware", Answer(413, NGINX), "validation"),
    ("fal", Answer(401, {"detail": "Invalid key"}), "auth"),
    ("fal", Answer(402, {"detail": "Exhausted balance"}), "quota"),
    ("fal", Answer(413, NGINX), "validation"),
    (
        "fal",
        Answer(422, {"detail": [{"loc": ["body", "loras", 0, "path"], "msg": "no file", "type": "x"}]}),
        "validation",
    ),
    ("fal", Answer(422, {"detail": "unprocessable"}), "validation"),
    ("fal", Answer(422, {"detail": [{"loc": ["body"], "msg": "nsfw", "type": "content_policy_violation"}]}), "safety"),
    (
        "fal",
        Answer(504, {"detail": "late", "error_type": "request_timeout"}, {"X-Fal-Request-Timeout-Type": "user"}),
        "provider",
    ),
    ("rivya", Answer(401, {"error": {"code": "api_key_revoked", "message": "Revoked."}}), "auth"),
    ("rivya", Answer(402, {"error": {"code": "insufficient_credits", "message": "No credit."}}), "quota"),
    ("rivya", Answer(400, {"error": {"code": "validation_failed", "message": "params.seed"}}), "validation"),
    ("rivya", Answer(409, {"error": {"code": "idempotency_conflict", "message": "Used."}}), "unknown_outcome"),
    ("rivya", Answer(413, NGINX), "validation"),
]


@pytest.mark.parametrize(("name", "answer", "kind"), REFUSALS)
def test_a_refusal_is_said_once_and_costs_nothing(bench: MakeBench, name: str, answer: Answer, kind: str) -> None:
    one = bench(name)
    one.fake.fault("submit", answer)
    with pytest.raises(RemoteError) as refused:
        one.run()
    assert refused.value.kind == kind
    assert refused.value.reason.startswith(f"{name.capitalize() if name != 'fal' else name}")
    assert refused.value.advice in str(refused.value)
    assert one.fake.count("submit") == 1
    one.check(State.UNKNOWN if kind == "unknown_outcome" else State.REJECTED, charges=0, files=0)
    assert one.job.cost == (None if kind == "unknown_outcome" else 0)
    one.run()  # the next run makes a new job, or asks again under the same key
    assert len(one.fake.charges) == 1


def test_a_search_that_wants_to_be_paid_is_no_unknown_model(bench: MakeBench) -> None:
    runware = bench("runware")
    runware.fake.fault("search", Answer(402, {"errors": [{"message": "Pay first."}]}))
    with pytest.raises(RemoteError, match="Add credit") as refused:
        runware.run()
    assert refused.value.kind == "quota"


WRONG = {
    "runware": ({"positivePrompt": "a cat", "lora": [{"model": "civitai:1@2", "weight": 9}]}, "lora[0].weight"),
    "fal": ({"prompt": "a cat", "num_frames": 5}, "num_frames"),
    "rivya": ({"model": "wan-2-2-a14b-turbo", "prompt": "a cat", "params": {"seed": -1}}, "params.seed"),
}


def test_a_request_that_got_past_our_validator_is_refused_by_name(any_bench: Bench) -> None:
    request, path = WRONG[any_bench.name]
    if any_bench.name == "runware":
        request = {"taskType": "videoInference", "model": "runware:200@8", **request}
    wrong = GenerationRequest(contract(ENDPOINTS[any_bench.name]), request, **AGREED)
    with pytest.raises(RemoteError, match=re.escape(path)) as refused:
        any_bench.run(wrong)
    assert refused.value.kind == "validation"
    any_bench.check(State.REJECTED, charges=0, files=0)


def test_a_field_that_is_refused_is_named(bench: MakeBench) -> None:
    fal = bench("fal")
    fal.fake.fault("submit", Answer(422, {"detail": [{"loc": ["body", "loras", 0, "path"], "msg": "no file"}]}))
    with pytest.raises(RemoteError, match=r"loras\[0\].path: no file"):
        fal.run()


def test_nothing_listening_is_tried_again_and_sent_never(bench: MakeBench) -> None:
    fal = bench("fal")  # the others are asked something before the submit
    with socket.create_server(("127.0.0.1", 0)) as server:
        closed = f"http://127.0.0.1:{server.getsockname()[1]}"
    fal.options["bases"] = dict.fromkeys(fal.settings.bases, closed)
    with pytest.raises(RemoteError, match=r"can't be reached.*Nothing was sent") as refused:
        fal.run()
    assert refused.value.kind == "network"
    fal.check(State.REJECTED, charges=0, files=0)


def test_a_connection_that_is_not_made_in_time_is_not_sent(bench: MakeBench) -> None:
    fal = bench("fal", submit_timeout=0.4)
    with ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):  # more than it keeps waiting, and nobody is let in
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(server.getsockname())
        full = f"http://127.0.0.1:{server.getsockname()[1]}"
        fal.options["bases"] = dict.fromkeys(fal.settings.bases, full)
        with pytest.raises(RemoteError, match=r"can't be reached.*Nothing was sent"):
            fal.run()
    fal.check(State.REJECTED, charges=0, files=0)


def test_a_submit_takes_no_connection_that_was_used_before(any_bench: Bench) -> None:
    """Whether a connection that the other side has just closed carried it could not be told."""
    for force_new in range(2):
        any_bench.run(any_bench.request(force_new=force_new))
    peers = [seen.peer for seen in any_bench.fake.seen]
    assert [peers.count(seen.peer) for seen in any_bench.fake.seen if seen.op == "submit"] == [1, 1]


@pytest.mark.parametrize("base", ["http://no-such-host.invalid", "https://127.0.0.1:{port}"], ids=["dns", "tls"])
def test_no_name_and_no_tls_are_not_sent(bench: MakeBench, base: str) -> None:
    fal = bench("fal")
    port = fal.fake.url.rpartition(":")[2]
    fal.options["bases"] = dict.fromkeys(fal.settings.bases, base.format(port=port))
    with pytest.raises(RemoteError, match="Nothing was sent"):
        fal.run()
    fal.check(State.REJECTED, charges=0, files=0)


def test_a_model_that_runware_does_not_know_is_found_out_before_the_submit(bench: MakeBench) -> None:
    runware = bench("runware")
    runware.fake.models = ("runware:200@6",)
    with pytest.raises(RemoteError, match=r"knows no model 'runware:200@8'.*Nothing was sent"):
        runware.run()
    assert runware.fake.count("submit") == 0
    runware.check(State.PLANNED, charges=0, files=0)


def test_credits_that_do_not_suffice_are_found_out_before_the_submit(bench: MakeBench) -> None:
    rivya = bench("rivya")
    rivya.fake.credits = 11
    with pytest.raises(RemoteError, match="11 credits are left, and this takes 12"):
        rivya.run()
    assert rivya.fake.count("submit") == 0
    rivya.check(State.PLANNED, charges=0, files=0)


def test_a_redirect_does_not_take_the_key_along(any_bench: Bench) -> None:
    any_bench.fake.fault("submit", Answer(307, "", {"Location": f"{any_bench.fake.url}/elsewhere"}))
    if any_bench.name == "rivya":
        any_bench.run()  # it says neither yes nor no, so the same key is sent again
    else:
        with pytest.raises(RemoteError, match="force_new"):
            any_bench.run()
    assert "/elsewhere" not in [seen.path for seen in any_bench.fake.seen]


def test_what_the_provider_always_gets_told(bench: MakeBench) -> None:
    runware, fal = bench("runware"), bench("fal")
    runware.run(runware.request({"lora": [{"model": "civitai:1@2"}]}))
    (task,) = [job.request for job in runware.fake.generations.values()]
    assert task["includeCost"] is True and task["lora"] == [{"model": "civitai:1@2", "transformer": "both"}]
    assert task["taskUUID"] == runware.job.id and task["deliveryMethod"] == "async"
    assert not {"steps", "outputFormat", "safety"} & task.keys()  # documented defaults are not sent
    lora = "fal-ai/wan/v2.2-a14b/text-to-video/lora"
    fal.run(fal.request({"loras": [{"path": "a/b"}]}, lora))
    (body,) = [job.request for job in fal.fake.generations.values()]
    loras = [{"path": "a/b", "transformer": "both"}]
    assert body == {"prompt": "a cat", "seed": 5, "enable_safety_checker": True, "loras": loras}
    headers = next(seen.headers for seen in fal.fake.seen if seen.op == "submit")
    assert "X-Fal-Store-IO" not in headers


@pytest.mark.parametrize("length", [True, False], ids=["its length told", "its length not told"])
@pytest.mark.parametrize("op", ["submit", "poll"])
def test_an_answer_without_end_is_given_up(bench: MakeBench, op: str, length: bool) -> None:
    """The submit's may be that of a job, and the job is looked for; neither is kept in memory."""
    fal, rivya = bench("fal"), bench("rivya")
    one = rivya if op == "submit" else fal
    flood = Flood(64 << 20, length)
    one.fake.fault(op, flood)
    if op == "submit":
        one.run()  # asked again under the same key
    else:
        with pytest.raises(RemoteError, match=r"answers with more than 16 MiB.*run the same graph again to collect"):
            one.run()
        one.run()
    one.check(State.DOWNLOADED, charges=1, files=1)
    assert flood.sent < 40 << 20
