"""The fakes answer what the documents say: no field too many, none that is required too few."""

import json
import urllib.request
from typing import Any

import pytest
from wan_duet.tests.fake_providers.documents import Document, documents
from wan_duet.tests.fake_providers.provider import KEY
from wan_duet.tests.remote.conftest import ENDPOINTS, Bench, MakeBench

POLLED = {"status", "resultIndex"}  # of a polled item at Runware; described on another page than the model's


def ask(url: str, authorization: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Authorization": authorization, "Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def last_answer(bench: Bench) -> Any:
    """What the fake says about its finished job to somebody who asks by hand."""
    url, (job,) = bench.fake.url, bench.fake.generations
    match bench.name:
        case "runware":
            task = {"taskType": "getResponse", "taskUUID": job}
            return ask(f"{url}/v1", f"Bearer {KEY}", [task])["data"][0]
        case "fal":
            return ask(f"{url}/fal-ai/wan/requests/{job}", f"Key {KEY}")
    return ask(f"{url}/api/v1/generations/{job}", f"Bearer {KEY}")


def fields(answer: Any, under: str = "") -> set[str]:
    """The dotted paths in an answer."""
    found: set[str] = set()
    for name, value in answer.items():
        found |= {f"{under}{name}"} | (fields(value, f"{under}{name}.") if isinstance(value, dict) else set())
    return found


def check(document: Document, answer: Any) -> None:
    required = {path for path, always in document.answer.items() if always}
    got = fields(answer)
    assert got - document.answer.keys() <= POLLED and required <= got


def test_a_finished_job_is_described_as_documented(any_bench: Bench) -> None:
    any_bench.run()
    check(documents()[ENDPOINTS[any_bench.name]], last_answer(any_bench))


@pytest.mark.parametrize("endpoint", ["fal-ai/wan/v2.2-a14b/text-to-image", "fal-ai/wan/v2.2-5b/text-to-video"])
def test_every_kind_of_result_is_as_documented(bench: MakeBench, endpoint: str) -> None:
    fal = bench("fal")
    fal.run(fal.request(endpoint=endpoint))
    check(documents()[endpoint], last_answer(fal))
