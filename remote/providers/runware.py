"""Runware: an array of tasks to one address; our own task id finds a job again, whatever was lost."""

import base64
import json
import uuid
from collections.abc import Collection
from dataclasses import replace
from itertools import count
from typing import Any, ClassVar

from ..contract.contracts import Contract
from ..errors import ErrorKind, RemoteError, classify
from ..http.addresses import check_url
from ..http.transport import REPEATABLE, Call, Reply
from ..job import Job, State
from ..keys import PUT, WEBHOOK, read_address
from ..media import Media
from .answer import integer, number, table, tables, text
from .base import Accepted, JobProgress, JobResult, Provider, SubmittedBody, Unreadable

LATE_UPLOAD = "1"  # the media id that is answered while a file is still being stored
RECONCILE_TRIES = 3
PIECE = 3 << 18  # bytes; base64 has whole groups of three but for the end

# Runware publishes no list of codes: these are prefixes and parts of those that were seen, the first that fits.
CODES: tuple[tuple[str, ErrorKind], ...] = (
    ("apikey", "auth"),
    ("auth", "auth"),
    ("insufficient", "quota"),
    ("credit", "quota"),
    ("quota", "quota"),
    ("nsfw", "safety"),
    ("safety", "safety"),
    ("moderation", "safety"),
    ("ratelimit", "capacity"),
    ("notfound", "not_found"),
    ("invalidmodel", "not_found"),
    ("invalid", "validation"),
    ("missing", "validation"),
    ("unsupported", "validation"),
    ("cancelled", "cancelled"),
    ("timeout", "provider"),
)
PROFILE = "profile:"
DELIVERY = {"webhookURL": WEBHOOK, "uploadEndpoint": PUT}
STATUSES: dict[int, ErrorKind] = {401: "auth", 402: "quota", 403: "auth", 404: "not_found"}


class Runware(Provider):
    """api.runware.ai over REST."""

    name = "runware"
    bases: ClassVar = {"runware": "https://api.runware.ai", "runware schemas": "https://schemas.runware.ai"}
    key_variables = (("RUNWARE_API_KEY",),)
    prices_at = "https://runware.ai/docs/platform/pricing"
    id_field = "taskUUID"
    hosts = ("*.runware.ai",)
    upload_lives = 24 * 3600.0  # how long files stay is not documented; a day is careful

    def complete(self, contract: Contract, request: dict[str, Any]) -> dict[str, Any]:
        complete = {"deliveryMethod": "async", "outputType": "URL", **request, "includeCost": True}
        if "lora" in complete:
            complete["lora"] = [{"transformer": "both", **lora} for lora in complete["lora"]]
        return complete

    async def prepare(self, contract: Contract, request: dict[str, Any]) -> None:
        """Find the model: the pages print one id for two models, and the list of models changes."""
        model: str = request["model"]
        reply = await self._tasks({"taskType": "modelSearch", "search": model, "limit": 20})
        if reply.status == 402:
            raise RemoteError("quota", f"Runware wants to be paid first (HTTP {reply.status})")
        found = [entry.get("air") for item in _items(reply, "data") for entry in tables(item.get("results"))]
        if model not in found:
            schema = await self.transport.ask(Call("GET", f"{self.base('runware schemas')}/resolve/{model}"))
            if schema.status != 200:
                advice = "Nothing was sent. Look the model up at runware.ai and set its id."
                raise RemoteError("not_found", f"Runware knows no model {model!r}", advice=advice)

    def submission(self, contract: Contract, request: dict[str, Any], job_id: str) -> Call:
        return replace(self._call({**request, "taskUUID": job_id}), secrets=self._secrets(request))

    def _secrets(self, request: dict[str, Any]) -> dict[str, str]:
        """The addresses that a request names by a profile of keys.json; RemoteError for one that can't be used."""
        found: dict[str, str] = {}
        for path, entry in DELIVERY.items():
            if (name := request.get(path, "")).startswith(PROFILE):
                # Both may be in one profile, so a name alone does not say which
                found[name] = read_address(entry, name.removeprefix(PROFILE).rpartition("#")[0], self.settings.private)
                check_url(found[name], None, allow_loopback=self.settings.allow_loopback)
        return found

    def accepted(self, reply: Reply, job_id: str) -> Accepted:
        if any(item.get("taskUUID") == job_id for item in _items(reply, "data")):
            return Accepted(job_id)
        errors = _items(reply, "errors")
        says_nothing = reply.status >= 500 or reply.status in REPEATABLE or any(map(_speaks_of_a_twin, errors))
        if says_nothing and not self.busy(reply):
            raise Unreadable(f"HTTP {reply.status}")  # it may have the job all the same
        if errors:
            raise _error(errors[0], reply.status)
        if reply.status >= 400:
            raise RemoteError(STATUSES.get(reply.status, "validation"), f"Runware refused (HTTP {reply.status})")
        raise Unreadable(f"HTTP {reply.status}")

    def busy(self, reply: Reply) -> bool:
        errors = _items(reply, "errors")
        return reply.status in (429, 503) and bool(errors) and _error(errors[0]).kind == "capacity"

    async def reconcile(self, job: Job, sent: SubmittedBody, taken: Collection[str]) -> Accepted | None:
        for attempt in range(RECONCILE_TRIES):
            if attempt:
                await self.settings.clock.sleep(2.0**attempt)
            if (await self._look(job.id)).state is not None:
                return Accepted(job.id)
        return None

    async def poll(self, job: Job, *, log: bool = False) -> JobProgress:
        return await self._look(job.id, job.request.get("numberResults", 1))

    async def _look(self, id: str, wanted: int = 1) -> JobProgress:
        """getResponse, and getTaskDetails for what it no longer knows."""
        reply = await self._tasks({"taskType": "getResponse", "taskUUID": id})
        progress = _progress(_about(id, _items(reply, "data")), _about(id, _items(reply, "errors")), wanted)
        if progress.state is not None and not _lacks_address(progress):
            return progress
        reply = await self._tasks({"taskType": "getTaskDetails", "taskUUID": id})
        found = [answer for answer in (table(reply.json()), *_items(reply, "data")) if "response" in answer]
        if not found:
            return progress
        response = table(found[0]["response"])
        archived = _progress(tables(response.get("data")), tables(response.get("errors")), wanted)
        return archived if archived.state is not None else JobProgress(State.RUNNING)

    async def upload(self, media: Media) -> str:
        id = str(uuid.uuid4())
        reply = await self.ask(self._storing(media, id))
        until = self.settings.clock.monotonic() + self.settings.upload_timeout
        while True:
            if errors := _items(reply, "errors"):
                raise _error(errors[0], reply.status)
            references = [text(item.get("mediaUUID")) for item in _items(reply, "data")]
            if stored := next((name for name in references if name and name != LATE_UPLOAD), None):
                return stored
            if self.settings.clock.monotonic() > until:
                raise RemoteError("provider", f"Runware did not store {media!r}")
            await self.settings.clock.sleep(self.settings.first_poll)
            reply = await self._tasks({"taskType": "getResponse", "taskUUID": id})

    def _storing(self, media: Media, id: str) -> Call:
        """The file in base64, piece by piece: in one go a film would hold up the host's loop for a second."""
        uri = f"data:{media.mime};base64,"
        task = {"taskType": "mediaStorage", "operation": "upload", "media": uri, "taskUUID": id}
        call = self._call(task, self.settings.upload_timeout)
        head, mark, tail = (call.body or b"").partition(uri.encode())
        pieces = [base64.b64encode(media.data[at : at + PIECE]) for at in range(0, len(media.data), PIECE)]
        return replace(call, body=b"".join([head, mark, *pieces, tail]))

    def _call(self, task: dict[str, Any], timeout: float | None = None) -> Call:
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        body = json.dumps([task]).encode()
        return Call("POST", f"{self.base('runware')}/v1", headers, body, timeout)

    async def _tasks(self, task: dict[str, Any]) -> Reply:
        return await self.ask(self._call({"taskUUID": str(uuid.uuid4()), **task}))


NO_VERDICT = ("capacity", "auth", "quota")  # of an error: it may be gone when asked again


def _items(reply: Reply, name: str) -> list[dict[str, Any]]:
    """The objects under `data` or `errors`; an error also comes alone, as an object or a text."""
    body = table(reply.json())
    if name == "errors" and "error" in body and "errors" not in body:
        return [{"taskUUID": body.get("taskUUID"), **(table(body["error"]) or {"message": body["error"]})}]
    return tables(body.get(name))


def _about(id: str, entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Leave out what is said about another task, about the question itself, or about the account."""
    return [entry for entry in entries if entry.get("taskUUID") == id and _error(entry).kind not in NO_VERDICT]


def _speaks_of_a_twin(error: dict[str, Any]) -> bool:
    code = (text(error.get("code")) or "").lower()
    return "duplicate" in code or "conflict" in code


def _progress(data: list[dict[str, Any]], errors: list[dict[str, Any]], wanted: int) -> JobProgress:
    """Every success is kept, whatever else failed."""
    finished, failures = _finished(data), tuple(map(_error, _failed(data, errors)))
    if not data and all(failure.kind == "not_found" for failure in failures):
        return JobProgress(None, failures=failures)
    state = State.REMOTE_DONE if len(finished) + len(failures) >= wanted else State.RUNNING
    percent = next((told for item in reversed(data) if (told := number(item.get("progress")))), None)
    cost = sum(number(item.get("cost")) or 0.0 for item in finished.values()) or None
    pending = any(item.get("status") not in ("success", "error") and not item.get("videoURL") for item in data)
    return JobProgress(state, _results(finished), failures, None, percent, cost, pending)


def _finished(data: list[dict[str, Any]]) -> dict[int | str, dict[str, Any]]:
    """Each success once, by its index or by its video: replies repeat what was finished before."""
    found: dict[int | str, dict[str, Any]] = {}
    for item in data:
        url = text(item.get("videoURL"))
        if item.get("status") != "error" and (url or item.get("status") == "success"):
            index = integer(item.get("resultIndex"))
            found.setdefault(index if index is not None else text(item.get("videoUUID")) or url or "", item)
    return found


def _results(finished: dict[int | str, dict[str, Any]]) -> tuple[JobResult, ...]:
    """In the order of their indices; those without one take the places that are left."""
    left = (place for place in count() if place not in finished)
    results = [
        JobResult(
            key if isinstance(key, int) else next(left),
            text(item.get("videoURL")) or "",
            integer(item.get("seed")),
            item.get("NSFWContent") is True,
        )
        for key, item in finished.items()
    ]
    return tuple(sorted(results, key=lambda result: result.index))


def _failed(data: list[dict[str, Any]], errors: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each failure once: a reply may tell it within `data` and again under `errors`."""
    within = [item for item in data if item.get("status") == "error"]
    untold = list(errors)
    for item in within:
        if (twin := next((error for error in untold if _same_failure(item, error)), None)) is not None:
            untold.remove(twin)
    return within + untold


def _same_failure(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """By their index; where one has none, by what they say."""
    places = [integer(error.get("resultIndex")) for error in (one, other)]
    if None not in places:
        return places[0] == places[1]
    return all(one.get(name) == other.get(name) for name in ("code", "message"))


def _lacks_address(progress: JobProgress) -> bool:
    return progress.state is State.REMOTE_DONE and any(not result.url for result in progress.results)


def _error(item: dict[str, Any], status: int = 200) -> RemoteError:
    code = text(item.get("code")) or ""
    kind = classify(code.replace("_", "").replace("-", "").lower(), CODES, STATUSES.get(status, "provider"))
    kind = "quota" if status == 402 else kind  # whatever it is called
    where = item.get("parameter")
    names = ", ".join(map(str, where)) if isinstance(where, list) else text(where)
    message = text(item.get("message")) or code or "an error without a message"
    place = f" ({names})" if names and names not in message else ""
    return RemoteError(kind, f"Runware: {message}{place}", code=code)
