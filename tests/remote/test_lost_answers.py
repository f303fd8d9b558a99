"""An answer to the submit that is lost or says nothing: what became of the job is asked, and it is never paid twice."""

import dataclasses
from contextlib import suppress
from typing import Any

import pytest
from aiohttp import web
from wan_duet.remote.errors import RemoteError
from wan_duet.remote.job import State
from wan_duet.remote.jobs.request import GenerationRequest
from wan_duet.tests.fake_providers.faults import Answer, Handler, Lose, Overrule, Refuse
from wan_duet.tests.remote.conftest import ENDPOINTS, Bench, MakeBench
from wan_duet.tests.remote.test_uploads import image_order, picture

LOST = ["close", "truncate", "hang", "drip", "html", "empty"]
NGINX = "<html><head><title>502 Bad Gateway</title></head></html>"


@pytest.mark.parametrize("how", LOST)
@pytest.mark.parametrize("name", ["runware", "rivya"])
def test_a_lost_answer_is_found_again(bench: MakeBench, name: str, how: str) -> None:
    one = bench(name, submit_timeout=0.5)
    one.fake.fault("submit", Lose(how))
    one.run()
    one.check(State.DOWNLOADED, charges=1, files=1)
    assert one.fake.count("submit") == (2 if name == "rivya" else 1)  # Rivya's second has the same key


@pytest.mark.parametrize(("name", "asks"), [("runware", "poll"), ("fal", "list"), ("rivya", "submit")])
def test_a_job_is_unknown_in_the_journal_while_its_provider_is_asked_about_it(
    bench: MakeBench, name: str, asks: str
) -> None:
    """If this process ends now, the next one asks, too, and submits nothing."""
    one, states = bench(name, submit_timeout=0.5), []

    async def look(request: web.Request, handle: Handler) -> web.StreamResponse:
        states.append(one.job.state)
        return await handle()

    one.fake.fault("submit", Lose("close"))
    one.fake.fault(asks, look)
    with suppress(RemoteError):
        one.run()
    assert states == [State.UNKNOWN]


def lost_for_good(bench: MakeBench, signed: bool = False) -> tuple[Bench, GenerationRequest]:
    """A job that Rivya has, though every answer about it was lost; its files' addresses may be `signed`."""
    rivya = bench("rivya")
    rivya.fake.signed_uploads = signed
    generation = image_order(rivya, picture())
    rivya.fake.fault("submit", Lose("close"), *[Refuse()] * 30)
    with pytest.raises(RemoteError, match="does not answer"):
        rivya.run(generation)
    rivya.check(State.UNKNOWN, charges=1, files=0)
    rivya.fake.faults["submit"].clear()
    rivya.fake.seen.clear()
    return rivya, generation


def test_what_is_repeated_is_what_was_sent_to_the_byte(bench: MakeBench) -> None:
    rivya, generation = lost_for_good(bench)
    rivya.clock.skew = 2 * 3600.0  # the file would be uploaded again by now, and have another address
    rivya.restart()
    rivya.run(generation)
    rivya.check(State.DOWNLOADED, charges=1, files=1)
    assert (rivya.fake.count("submit"), rivya.fake.count("upload")) == (1, 0)


@pytest.mark.parametrize("consent", [{"allow_paid": False}, {"max_cost": 11.0}], ids=str)
def test_a_submit_is_repeated_only_for_who_agrees_to_pay(bench: MakeBench, consent: dict[str, Any]) -> None:
    rivya, generation = lost_for_good(bench)
    with pytest.raises(RemoteError, match=r"allow_paid is off|below the price") as refused:
        rivya.run(dataclasses.replace(generation, **consent))
    assert refused.value.kind == "consent" and rivya.fake.count("submit") == 0
    rivya.check(State.UNKNOWN, charges=1, files=0)
    rivya.run(generation)
    rivya.check(State.DOWNLOADED, charges=1, files=1)


@pytest.mark.parametrize(
    ("skew", "said"),
    [
        (25 * 3600.0, r"25 hours ago.*may have been charged.*If that is wrong: set the clock.*dashboard.*force_new"),
        (-3600.0, r"only in the future.*may have been charged\. Set the clock right, then run the same graph again\.$"),
    ],
    ids=["a day later", "a clock set back"],
)
def test_a_key_that_may_be_forgotten_is_not_sent_again(bench: MakeBench, skew: float, said: str) -> None:
    rivya, generation = lost_for_good(bench)
    rivya.clock.skew = skew
    with pytest.raises(RemoteError, match=said) as unknown:
        rivya.run(generation)
    assert unknown.value.kind == "unknown_outcome" and rivya.fake.count("submit") == 0
    rivya.check(State.UNKNOWN, charges=1, files=0)
    rivya.clock.skew = 0.0
    rivya.run(generation)  # the same graph, once the clock is right
    rivya.check(State.DOWNLOADED, charges=1, files=1)


def test_a_submit_that_must_not_be_written_down_is_not_repeated(bench: MakeBench) -> None:
    rivya, generation = lost_for_good(bench, signed=True)
    with pytest.raises(RemoteError, match="can't be repeated to the byte"):
        rivya.run(generation)
    assert rivya.job.body == "" and rivya.fake.count("submit") == 0
    rivya.check(State.UNKNOWN, charges=1, files=0)


@pytest.mark.parametrize("how", LOST)
def test_fal_can_not_find_a_lost_answer_and_does_not_ask_again(bench: MakeBench, how: str) -> None:
    fal = bench("fal", submit_timeout=0.5)
    fal.fake.fault("submit", Lose(how))
    with pytest.raises(RemoteError, match=r"may have been charged.*dashboard.*force_new") as lost:
        fal.run()
    assert lost.value.kind == "unknown_outcome" and lost.value.charged == "unknown"
    fal.check(State.UNKNOWN, charges=1, files=0)
    fal.restart()
    with pytest.raises(RemoteError, match="force_new"):
        fal.run()
    assert fal.fake.count("submit") == 1
    fal.run(fal.request(force_new=1))
    assert len(fal.fake.charges) == 2


@pytest.mark.parametrize(
    "answer", [Answer(500, NGINX), Answer(502, NGINX), Answer(504, NGINX), Answer(503, NGINX), Refuse()]
)
def test_an_answer_that_says_nothing_is_looked_into(any_bench: Bench, answer: Any) -> None:
    """Nothing arrived, which cannot be told from the answer."""
    any_bench.fake.fault("submit", answer)
    if any_bench.name == "rivya":
        any_bench.run()
        return any_bench.check(State.DOWNLOADED, charges=1, files=1)
    for _ in range(2):
        with pytest.raises(RemoteError, match="force_new"):
            any_bench.run()
    any_bench.check(State.LOST if any_bench.name == "runware" else State.UNKNOWN, charges=0, files=0)
    assert any_bench.fake.count("submit") == 1


def for_each(cases: list[Any], *left_out: tuple[str, int]) -> Any:
    """Each answer at each provider, but for the statuses that a provider can't mean that way."""
    pairs = [(name, case) for case in cases for name in ENDPOINTS if (name, case.status) not in left_out]
    ids = [f"{name}-{case.status}-{next(iter(case.body))}" for name, case in pairs]
    return pytest.mark.parametrize(("name", "answer"), pairs, ids=ids)


@for_each(
    [
        Overrule(503, {"message": "upstream connect error"}),
        Overrule(503, {"detail": "no healthy upstream"}),
        Overrule(429, {"message": "slow down"}),
        Overrule(500, {"errors": [{"code": "internalError", "message": "Try again."}], "error": {"code": "internal"}}),
        Overrule(504, {"errors": [{"code": "timeout", "message": "Timed out."}]}),
        Overrule(503, {"error": {"code": "upstream", "message": "No healthy upstream."}}),
        Overrule(429, {"error": "slow down"}),
        Overrule(408, {"errors": [{"code": "timeout", "message": "Timed out."}], "error": {"code": "timeout"}}),
        Overrule(409, {"errors": [{"code": "duplicateTaskUUID", "message": "Exists."}]}),
    ],
    ("fal", 409),
    ("rivya", 409),
)
def test_a_gateway_that_answers_for_an_accepted_submit_costs_nothing_twice(
    bench: MakeBench, name: str, answer: Overrule
) -> None:
    one = bench(name)
    one.fake.fault("submit", answer)
    if name == "fal":
        for _ in range(2):
            with pytest.raises(RemoteError, match="force_new"):
                one.run()
        return one.check(State.UNKNOWN, charges=1, files=0)
    one.run()
    one.check(State.DOWNLOADED, charges=1, files=1)
