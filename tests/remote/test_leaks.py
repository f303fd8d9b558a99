"""Planted keys, signed addresses and media turn up in nothing that a run writes, shows or raises."""

import base64
import logging

import pytest
from wan_duet.remote.errors import RemoteError
from wan_duet.remote.job import State
from wan_duet.remote.jobs.record import JobUpdate
from wan_duet.remote.jobs.summary import summarize
from wan_duet.remote.keys import write_key
from wan_duet.remote.redact import redact
from wan_duet.tests.fake_providers.faults import Answer
from wan_duet.tests.fake_providers.provider import KEY, SIGNATURE
from wan_duet.tests.remote.conftest import BUDGETS, ENDPOINTS, Bench, MakeBench
from wan_duet.tests.remote.test_uploads import image_order, picture

SIGNED = f"https://bucket.example/in.png?X-Amz-Signature={SIGNATURE}"


DATA = base64.b64encode(picture().data).decode()
QUOTE = f"bad: Authorization: Bearer {KEY}; Key {KEY}; {SIGNED}; data:image/png;base64,{DATA}"


def marks() -> list[bytes]:
    """What must not be found, as bytes."""
    data = base64.b64encode(picture().data)
    return [
        KEY.encode(),
        *(part.encode() for part in KEY.split(":")),
        SIGNATURE.encode(),
        data[40:100],
        b"Bearer p",
        b"Key p",
    ]


def leaks(bench: Bench, texts: list[str]) -> list[bytes]:
    """The marks that are in a file of the run, or in one of the texts."""
    for manager in bench.managers:
        manager.close()
    written = [path.read_bytes() for path in bench.folder.rglob("*") if path.is_file()]
    assert len(written) >= 1
    return [mark for mark in marks() for text in [*written, *map(str.encode, texts)] if mark in text]


def test_a_run_that_works_leaks_nothing(any_bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    any_bench.fake.token_works = False  # fal's signed way
    texts: list[str] = []

    def report(update: JobUpdate) -> None:
        texts.extend([str(update), repr(update)])

    outcome = any_bench.run(image_order(any_bench, picture()), report=report)
    ours = [record.getMessage() for record in caplog.records if record.name == "wan_duet"]
    assert leaks(any_bench, [*texts, repr(outcome), *ours]) == []


def test_a_signed_address_of_an_upload_is_not_kept(bench: MakeBench) -> None:
    rivya = bench("rivya")
    rivya.fake.signed_uploads = True
    rivya.run(image_order(rivya, picture()))
    (sent,) = rivya.fake.generations.values()
    assert SIGNATURE in str(sent.request)
    assert leaks(rivya, []) == []


@pytest.mark.parametrize("op", ["submit", "poll"])
def test_a_run_that_fails_leaks_nothing(any_bench: Bench, op: str, caplog: pytest.LogCaptureFixture) -> None:
    """The provider quotes what it was sent, headers and all."""
    caplog.set_level(logging.DEBUG)
    shape = {
        "runware": {"errors": [{"code": "invalidParameter", "message": QUOTE}]},
        "fal": {"detail": QUOTE},
        "rivya": {"error": {"code": "validation_failed", "message": QUOTE}},
    }[any_bench.name]
    any_bench.fake.fault(op, *[Answer(400, shape)] * 3)
    texts: list[str] = []
    try:
        any_bench.run(image_order(any_bench, picture()))
    except RemoteError as error:
        texts = [str(error), repr(error), repr(error.__context__) if not error.__suppress_context__ else ""]
    assert (
        leaks(any_bench, [*texts, *(record.getMessage() for record in caplog.records if record.name == "wan_duet")])
        == []
    )


def test_signed_addresses_to_ask_at_are_not_kept(bench: MakeBench) -> None:
    """fal's documents have none; what is in its answer all the same is built anew from the job's id."""
    fal = bench("fal")
    job = fal.fake.start(ENDPOINTS["fal"], {"prompt": "a cat"}, "r1")
    signed = {name: f"{url}?token={SIGNATURE}" for name, url in fal.fake._handle(job).items() if name != "request_id"}
    fal.fake.fault("submit", Answer(200, {"request_id": job.id, **signed}))
    fal.run()
    fal.check(State.DOWNLOADED, charges=1, files=1)
    assert leaks(fal, []) == []


def test_a_failure_beside_good_results_leaks_nothing(bench: MakeBench) -> None:
    runware = bench("runware")
    runware.fake.failed_results, runware.fake.failure = (1,), QUOTE
    generation = runware.request({"numberResults": 2})
    said = [summarize(runware.run(generation), generation), repr(runware.run(generation)), *runware.job.warnings]
    assert "One result failed" in said[0] and leaks(runware, said) == []


def test_a_key_that_was_entered_leaks_nothing(any_bench: Bench) -> None:
    """It is in keys.json, which is for that, and nowhere else."""
    any_bench.options["environ"] = BUDGETS
    write_key(any_bench.name, "default", KEY, any_bench.settings.private)
    outcome = any_bench.run(image_order(any_bench, picture()))
    (any_bench.settings.private / "keys.json").unlink()
    assert leaks(any_bench, [repr(outcome), summarize(outcome)]) == []


def test_a_signed_address_of_the_user_goes_to_the_provider_and_nowhere_else(any_bench: Bench) -> None:
    place = {
        "runware": {"inputs.frameImages": [{"image": SIGNED}]},
        "fal": {"image_url": SIGNED},
        "rivya": {"params.referenceMediaItems": [{"url": SIGNED, "kind": "image"}]},
    }[any_bench.name]
    from wan_duet.tests.remote.test_uploads import I2V

    any_bench.run(any_bench.request(place, I2V[any_bench.name]))
    (sent,) = any_bench.fake.generations.values()
    assert SIGNATURE in str(sent.request)
    assert leaks(any_bench, []) == []


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("Authorization: Bearer abcdefgh123", "Bearer [key]"),
        ("get https://a.example/x?sig=1&b=2 now", "get https://a.example/x?[query] now"),
        ("data:image/png;base64,AAAA done", "[base64] done"),
        ("A" * 200, "[base64]"),
        ("a cat in a hat", "a cat in a hat"),
        ("the Key is here", "the Key is here"),
        ("low key lighting, key frames", "low key lighting, key frames"),
        ("a bearer standing-in-the-rain", "a bearer standing-in-the-rain"),
        ("got Key 1b2c3d4e-aaaa:ffff0000 back", "got Key [key] back"),
        ("Authorization: Key abcdefghijk", "Key [key]"),
    ],
)
def test_redaction(text: str, plain: str) -> None:
    assert redact(text) == plain


def test_each_half_of_a_key_is_a_secret() -> None:
    assert redact("id 4f1c-77aa, secret 9b0d-22ee", ["4f1c-77aa:9b0d-22ee"]) == "id [key], secret [key]"
