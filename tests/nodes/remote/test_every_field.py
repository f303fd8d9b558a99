"""Every input of every provider's node arrives: another value changes the request that is sent, or what is agreed."""

import asyncio
import inspect
import json
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import fields as fields_of_dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from wan_duet.conditioning.frame_images import FrameImage
from wan_duet.experts.lora.spec import LoraSpec
from wan_duet.nodes.remote import REMOTE_NODES, jobs, node
from wan_duet.nodes.remote.catalog import ROWS, RemoteNode
from wan_duet.nodes.remote.fields import EXPLICIT, Field, fields_of
from wan_duet.nodes.remote.media import SOCKETS
from wan_duet.nodes.remote.media import fill as filled
from wan_duet.remote.contract.contracts import Contract
from wan_duet.remote.job import Job, State
from wan_duet.remote.jobs.manager import JobManager
from wan_duet.remote.jobs.request import TASK_ID, GenerationRequest
from wan_duet.remote.providers import PROVIDERS
from wan_duet.remote.settings import RemoteSettings
from wan_duet.tests.nodes.outcome import Outcome, arrives, flat
from wan_duet.tests.nodes.remote.test_contracts_reach import legal, media

Given = dict[str, Any]
Place = Callable[[RemoteNode, Given], Outcome]
NODES = {one.define_schema().node_id: one for one in REMOTE_NODES}
VARIANTS = [pytest.param(row, variant, id=f"{row.id}-{variant}") for row in ROWS for variant in row.endpoints]
AGREED = {
    "allow_paid": [True],
    "allow_upload": [True],
    "max_cost_usd": [1.5],
    "max_cost_credits": [2.0],
    "profile": ["work"],
    "on_interrupt": ["cancel", "keep"],
    "logs": [True],
    "force_new": [1],
    "large_images": ["JPEG 90", "WebP 90"],
}
CALLED = {"max_cost_usd": "max_cost", "max_cost_credits": "max_cost", "logs": "log"}
KEYS = {"work": {"webhook": "https://example.com/told", "put": "https://example.com/film.mp4?signature=1"}}
WEB = "https://example.com/{}.png"
# What else is connected in the modes of a request that take other parameters
MODES: dict[str, list[Given]] = {"RivyaWan22Turbo": [{"image": WEB.format("a"), "audio": "https://example.com/a.wav"}]}


class Sent(Exception):
    """The point at which a job would be made, with all of its parts."""


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Place:
    """A function that gives the request as it would go to the provider, with all that is agreed to; or the error."""
    (tmp_path / "keys.json").write_text(json.dumps(KEYS), encoding="utf-8")
    asked: Given = {}

    def deliver(manager: Any, generation: GenerationRequest, *, on_interrupt: str, **_: Any) -> Any:
        consent = {
            one.name: getattr(generation, one.name) for one in fields_of_dataclass(generation) if one.name != "contract"
        }
        raise Sent({**consent, **asked, "sent": sent(generation, tmp_path), "on_interrupt": on_interrupt})

    def fill(contract: Contract, given: Given, variant: str, large_images: str) -> Any:
        asked["large_images"] = large_images
        return filled(contract, given, variant, large_images)

    monkeypatch.setattr(node, "deliver", deliver)
    monkeypatch.setattr(node, "manager", lambda: None)
    monkeypatch.setattr(node, "fill", fill)
    return placed


def placed(row: RemoteNode, given: Given) -> Outcome:
    """The outcome of a node up to the point at which its job would be made."""
    own = type(row.id, (NODES[f"WanDuet_{row.id}"],), {"hidden": SimpleNamespace(unique_id=None)})
    try:
        asyncio.run(own.execute(**given))
    except Sent as made:
        return flat(made.args[0])
    except ValueError as error:
        return {("error",): str(error)}
    raise AssertionError("no job was made")


def sent(generation: GenerationRequest, folder: Path) -> Given:
    """The request as the provider's own file builds it."""
    contract = generation.contract
    provider = PROVIDERS[contract.provider](RemoteSettings(folder, folder), None, "key")  # pyright: ignore[reportArgumentType]
    call = provider.submission(contract, provider.complete(contract, generation.request), TASK_ID)
    return {"body": json.loads(call.body or b"null"), "url": call.url, "headers": dict(call.headers)}


def given_to(row: RemoteNode, variant: str) -> Given:
    """Every input as it is before anybody touches it; what must be connected is on the web."""
    given = {one.id: getattr(one, "default", None) for one in NODES[f"WanDuet_{row.id}"].define_schema().inputs}
    given |= {name: WEB.format(name) for name in row.needs} | {name: None for name in row.takes}
    given |= {"variant": variant} if len(row.endpoints) > 1 else {}
    return {**given, "prompt": "a cat"} if "prompt" in given else given


def others(row: RemoteNode, contract: Contract, field: Field | None, name: str, given: Given) -> list[Any]:
    """Other values of an input."""
    if name in SOCKETS:
        return [other for other in of_socket(name, contract) if other is not None]
    if name == "variant":
        return [variant for variant in row.endpoints if variant != given[name]]
    if field is None:
        return AGREED[name]
    if field.path in EXPLICIT:
        return [not given[name]]
    if field.name == "prompt":
        return ["a dog"]
    if field.name in ("seed", "number_results"):
        return [given[name] + 1]
    parameter = next((one for one in field.variants.values() if one is contract.parameter(field.path)), field.one)
    return [legal(parameter)[0]]


def of_socket(name: str, contract: Contract) -> Iterator[Any]:
    """Something else on the web, and something that is uploaded."""
    if name == "loras":
        id = "civitai:1@2" if contract.provider == "runware" else "owner/repo"
        for weight, role in ((1.0, "both"), (0.5, "both"), (1.0, "high")):
            yield (LoraSpec("style.safetensors", weight, role, remote_id=id),)
        return
    yield WEB.format("other")
    if name == "frames":
        yield (FrameImage(torch.zeros(1, 8, 8, 3), "first"),)
        yield (FrameImage(torch.ones(1, 8, 8, 3), "first"),)
        if contract.parameter("end_image_url") or contract.parameter("inputs.frameImages"):
            yield (FrameImage(torch.ones(1, 8, 8, 3), "first"), FrameImage(torch.zeros(1, 8, 8, 3), "last"))
    elif name != "video":
        yield media()[name]


@pytest.mark.parametrize(("row", "variant"), VARIANTS)
def test_another_value_arrives_in_the_request(row: RemoteNode, variant: str, place: Place) -> None:
    modes = [{**given_to(row, variant), **more} for more in ({}, *MODES.get(row.id, []))]
    problems = [problems_of(row, variant, given, place) for given in modes]
    assert all(len(found) > 5 for found in problems)
    assert {key: text for key, text in problems[0].items() if all(found[key] for found in problems)} == {}


def problems_of(row: RemoteNode, variant: str, given: Given, place: Place) -> dict[tuple[str, str], str]:
    """The faults of each other value of each input, in one mode of a request."""
    contract, fields = row.contracts[variant], {field.name: field for field in fields_of(row.contracts)}
    before = place(row, given)
    assert ("error",) not in before and place(row, given) == before
    found: dict[tuple[str, str], str] = {}
    for name in given:
        field = fields.get(name)
        known, known_outcomes = CALLED.get(name, name), [before]
        for value in others(row, contract, field, name, given):
            after, seen = place(row, {**given, name: value}), before
            twice = after in known_outcomes
            known_outcomes.append(after)
            refused = after.get(("error",), "")
            if field and variant in field.variants:
                known, seen, after = field.path, in_request(before), in_request(after)
            key = name, str(value)[:200]
            problem = "" if name in refused else arrives(known, given[name], value, seen, after)
            found[key] = problem or "makes no difference to another value" * (twice and not refused)
    return found


def in_request(found: Outcome) -> Outcome:
    """The body that the provider gets."""
    return {path: value for path, value in found.items() if path[0] == "sent"}


class Books:
    """A manager of jobs that notes what it is asked for."""

    def __init__(self) -> None:
        self.asked: list[Given] = []

    def __getattr__(self, name: str) -> Any:
        def ask(*args: Any, **more: Any) -> Any:
            bound = inspect.signature(getattr(JobManager, name)).bind(self, *args, **more).arguments
            if name != "jobs":  # all of which are read, whatever is listed
                self.asked.append({name: {key: value for key, value in bound.items() if isinstance(value, str | int)}})
            answer: Future[Any] = Future()
            answer.set_result({"jobs": JOBS, "spent": {}, "budgets": {}, "clear": []}.get(name))
            return SimpleNamespace(future=answer) if name in ("attach", "collect") else answer

        return ask


JOBS = [Job(f"{n}123456789", "", "fal", "endpoint", "default", {}, State.QUEUED) for n in range(3)]
LISTED = {"action": "list", "job": "01234567", "limit": 3, "on_interrupt": "keep", "request_id": "one"}
ANSWERS = {  # by the action in which an input matters
    "list": {"limit": [1, 2]},
    "collect": {"job": ["11234567"], "on_interrupt": ["cancel", "cancel if queued"]},
    "fetch again": {"job": ["11234567"], "on_interrupt": ["cancel"]},
    "forget": {"job": ["11234567"]},
    "attach": {"job": ["11234567"], "request_id": ["two"], "on_interrupt": ["cancel"]},
    "clear unanswered": {},
}


def asked(given: Given, monkeypatch: pytest.MonkeyPatch) -> Outcome:
    """The requests of the journal's node to its manager, and its report."""
    books = Books()

    def wait(handle: Any, interrupted: Any, on_interrupt: str) -> Any:
        raise Sent({"on_interrupt": on_interrupt})

    monkeypatch.setattr(jobs, "manager", lambda: books)
    monkeypatch.setattr(jobs, "wait", wait)
    own = type("RemoteJobs", (NODES["WanDuet_RemoteJobs"],), {"hidden": SimpleNamespace(unique_id=None)})
    try:
        made: Given = {"said": asyncio.run(own.execute(**given)).args[2]}
    except Sent as waited:
        made = waited.args[0]
    return flat({**made, "asked": books.asked})


@pytest.mark.parametrize("action", ANSWERS)
def test_another_value_arrives_in_the_journal(action: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(ANSWERS) == next(iter(NODES["WanDuet_RemoteJobs"].define_schema().inputs)).options
    before = asked({**LISTED, "action": action}, monkeypatch)
    for name, values in ANSWERS[action].items():
        for value in values:
            after = asked({**LISTED, "action": action, name: value}, monkeypatch)
            known = {"job": "job_id", "request_id": "remote_id"}.get(name, name)
            assert arrives(known, LISTED[name], value, before, after) == "", (name, value)


def test_every_action_of_the_journal_asks_for_something_else(monkeypatch: pytest.MonkeyPatch) -> None:
    outcomes = [asked({**LISTED, "action": action}, monkeypatch) for action in ANSWERS]
    assert all(one != other for place, one in enumerate(outcomes) for other in outcomes[:place])


def test_every_input_of_the_journal_is_tried() -> None:
    known = {one.id for one in NODES["WanDuet_RemoteJobs"].define_schema().inputs}
    assert known == LISTED.keys() == {"action"} | {name for tried in ANSWERS.values() for name in tried}
