"""Whatever JSON a provider answers, a job ends in an error of ours or goes on; and it is never paid twice."""

import asyncio
import json
import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from wan_duet.remote.contract.contracts import contract
from wan_duet.remote.errors import RemoteError
from wan_duet.remote.http.transport import Call, Reply
from wan_duet.remote.job import Job, State
from wan_duet.remote.providers import PROVIDERS
from wan_duet.remote.providers.base import Unreadable
from wan_duet.remote.settings import RemoteSettings
from wan_duet.tests.remote.conftest import ENDPOINTS

CASES = 3000
URL = "https://a.example/x.mp4"
VIDEO = {
    "taskUUID": "j",
    "status": "success",
    "videoURL": URL,
    "videoUUID": "v",
    "resultIndex": 0,
    "cost": 0.1,
    "seed": 5,
}
ERROR = {"taskUUID": "j", "status": "error", "code": "invalidSteps", "message": "no", "parameter": ["steps"]}
ANSWERS: dict[str, list[Any]] = {
    "runware": [
        {"data": [VIDEO, {**VIDEO, "resultIndex": 1}], "errors": [ERROR]},
        {"data": [{"taskUUID": "j", "request": [{}], "response": {"data": [VIDEO], "errors": [ERROR]}}]},
        {"data": [{"taskUUID": "j", "results": [{"air": "m"}], "mediaUUID": "1"}]},
        {"error": ERROR},
    ],
    "fal": [
        {"request_id": "r", "status": "COMPLETED", "queue_position": 1, "status_url": URL, "response_url": URL},
        {"video": {"url": URL, "file_size": 3}, "seed": 5, "has_nsfw_concepts": [True]},
        {"detail": [{"loc": ["body", "loras", 0, "path"], "msg": "no", "type": "x"}], "error_type": "y"},
    ],
    "rivya": [
        {"id": "r", "status": "succeeded", "final_credits": 12, "result": {"primary_url": URL, "urls": [URL]}},
        {"id": "r", "status": "failed", "error": {"code": "generation_failed", "message": "no"}, "current_credits": 3},
    ],
}
ODD = [
    None,
    True,
    -1,
    0.5,
    "",
    "word",
    "-",
    [],
    {},
    [None],
    [[]],
    {"a": 1},
    10**30,
    10**400,
    ["x", 3],
    "success",
    "COMPLETED",
]


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value within an answer, itself included."""
    yield path
    for key, child in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from places(child, (*path, key))


def changed(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """The answer with one value replaced."""
    if not path:
        return new
    copied = dict(value) if isinstance(value, dict) else list(value)
    copied[path[0]] = changed(value[path[0]], path[1:], new)
    return copied


def body(name: str, rng: random.Random) -> bytes:
    """An answer of this provider with up to three values replaced by something odd; now and then cut short."""
    answer = rng.choice(ANSWERS[name])
    for _ in range(rng.randrange(4)):
        answer = changed(answer, rng.choice(list(places(answer))), rng.choice(ODD))
    text = json.dumps(answer).encode()
    return text if rng.random() < 0.97 else text[: len(text) // 2]


def test_an_answer_nested_without_end_says_nothing() -> None:
    assert Reply(200, {}, b"[" * 100_000).json() is None


class AnyTransport:
    """Answers every request with something odd."""

    def __init__(self, name: str, rng: random.Random) -> None:
        self.name, self.rng = name, rng

    async def ask(self, call: Call) -> Reply:
        headers: Mapping[str, str] = {}
        return Reply(self.rng.choice([200, 200, 200, 202, 400, 404, 422, 500]), headers, body(self.name, self.rng))


@pytest.mark.parametrize("name", PROVIDERS)
def test_no_answer_raises_anything_but_our_errors(name: str, tmp_path: Path) -> None:
    rng = random.Random(3)
    transport: Any = AnyTransport(name, rng)
    provider = PROVIDERS[name](RemoteSettings(tmp_path, tmp_path), transport, "key")
    job = Job("j", "f", name, ENDPOINTS[name], "default", {"model": "m"}, State.RUNNING, remote_id="r")

    async def ask() -> None:
        reply = Reply(rng.choice([200, 400, 422, 500, 503]), {}, body(name, rng))
        for attempt in (
            lambda: provider.accepted(reply, "j"),
            lambda: provider.poll(job),
            lambda: provider.cancel(job),
            lambda: provider.prepare(contract(ENDPOINTS[name]), {"model": f"m{rng.random()}"}),
        ):
            try:
                done = attempt()
                if asyncio.iscoroutine(done):
                    await done
            except (RemoteError, Unreadable):
                pass

    async def ask_often() -> None:
        for _ in range(CASES):
            await ask()

    asyncio.run(ask_often())
