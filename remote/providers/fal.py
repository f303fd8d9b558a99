"""fal: a queue that gives the addresses to ask at; a job whose answer was lost may be in its list of requests."""

import json
from collections.abc import Collection
from dataclasses import replace
from typing import Any, ClassVar
from urllib.parse import urlsplit

from ..contract.contracts import Contract
from ..errors import ErrorKind, RemoteError, classify
from ..http.content import ARCHIVE
from ..http.transport import REPEATABLE, Call, Reply
from ..job import Job, State
from ..media import Media
from .answer import integer, items, table, tables, text
from .base import SEVERAL, Accepted, JobProgress, JobResult, Provider, SubmittedBody, Unreadable
from .fal_requests import FalRequests

QUEUE_HOSTS = ("queue.fal.run", "queue.falrun.com")
LARGE = 100_000_000  # bytes; what is larger goes in parts
PART = 10 << 20
URLS = ("status_url", "response_url", "cancel_url")
STATES = {"IN_QUEUE": State.QUEUED, "IN_PROGRESS": State.RUNNING, "COMPLETED": State.REMOTE_DONE}
LOST = (
    "It is not sent again on its own. Look for it at fal's dashboard: if it is there, copy its request id and attach "
    "it in Remote Jobs, or run the same graph again when it is finished; if not, change force_new to send it again."
)
TYPES: tuple[tuple[str, ErrorKind], ...] = (
    ("content_policy", "safety"),
    ("safety", "safety"),
    ("cancel", "cancelled"),
    ("timeout", "provider"),
    ("runner", "provider"),
)
STATUSES: dict[int, ErrorKind] = {
    401: "auth",
    402: "quota",
    403: "auth",
    404: "not_found",
    413: "validation",
    422: "validation",
    429: "capacity",
    499: "cancelled",
    503: "capacity",
}


class Fal(Provider):
    """queue.fal.run, and v3.fal.media for files."""

    name = "fal"
    bases: ClassVar = {
        "fal": "https://queue.fal.run",
        "fal rest": "https://rest.fal.ai",
        "fal platform": "https://api.fal.ai",
        "fal cdn": "https://v3.fal.media",
    }
    key_variables = (("FAL_KEY",), ("FAL_KEY_ID", "FAL_KEY_SECRET"))
    prices_at = "https://fal.ai/pricing"
    hosts = ("*.fal.media", "*.fal.run", "*.fal.ai", "storage.googleapis.com")
    upload_lives = 24 * 3600.0
    gives_log = True

    def complete(self, contract: Contract, request: dict[str, Any]) -> dict[str, Any]:
        complete = dict(request)
        if contract.parameter("enable_safety_checker"):
            complete.setdefault("enable_safety_checker", True)
        if "loras" in complete:
            complete["loras"] = [{"transformer": "both", **lora} for lora in complete["loras"]]
        return complete

    async def prepare(self, contract: Contract, request: dict[str, Any]) -> None:
        """fal has nothing to ask beforehand."""

    def submission(self, contract: Contract, request: dict[str, Any], job_id: str) -> Call:
        body = json.dumps(request).encode()
        return Call("POST", f"{self.base('fal')}/{contract.endpoint}", self._headers(), body)

    def accepted(self, reply: Reply, job_id: str) -> Accepted:
        body = table(reply.json())
        if reply.status < 300 and (id := text(body.get("request_id"))):
            urls = {name: url for name in URLS if (url := text(body.get(name)))}
            return Accepted(id, {name: url for name, url in urls.items() if "?" not in url})  # the journal keeps them
        refused = 400 <= reply.status < 500 and reply.status not in REPEATABLE
        if refused or self.busy(reply) or reply.headers.get("X-Fal-Request-Timeout-Type") == "user":
            raise _error(reply)
        raise Unreadable(f"HTTP {reply.status}")

    def busy(self, reply: Reply) -> bool:
        return reply.status == 429 and "detail" in table(reply.json())

    async def reconcile(self, job: Job, sent: SubmittedBody, taken: Collection[str]) -> Accepted | None:
        """Look for the one request with this very input; a second one is never sent."""
        try:
            listed = await FalRequests(self.base("fal platform"), self.transport, self._headers()).like(job)
        except RemoteError as unheard:
            text = f"fal's answer to the submit was lost, and its list of requests can't be had ({unheard.reason})"
            raise RemoteError("unknown_outcome", text, charged="unknown", advice=LOST) from unheard
        found = [id for id in listed if id not in taken]
        if len(found) == 1:
            return Accepted(found[0])
        several = f", and fal lists {len(found)} requests like it: {', '.join(found)}" if found else ""
        text, code = f"fal's answer to the submit was lost{several}", SEVERAL if found else ""
        raise RemoteError("unknown_outcome", text, charged="unknown", advice=LOST, code=code)

    async def poll(self, job: Job, *, log: bool = False) -> JobProgress:
        query = "?logs=1" if log else ""
        reply = await self.ask(Call("GET", self._url(job, "status_url") + query, self._headers()))
        if reply.status == 404:
            return JobProgress(None)
        body = table(reply.json())
        state = STATES.get(text(body.get("status")) or "", State.RUNNING)
        lines = tuple(line for entry in tables(body.get("logs")) if (line := text(entry.get("message"))))
        if state is not State.REMOTE_DONE:
            return JobProgress(state, queue=integer(body.get("queue_position")), log=lines)
        return replace(await self._result(job), log=lines)

    async def _result(self, job: Job) -> JobProgress:
        """COMPLETED is not success: the result's own status decides, if it is the job's and not the gateway's."""
        reply = await self.transport.ask(Call("GET", self._url(job, "response_url"), self._headers()))
        body = table(reply.json())
        if reply.status in (404, 410):
            return JobProgress(None)
        if reply.status >= 400 and not _verdict(reply):
            kind: ErrorKind = "auth" if reply.status in (401, 403) else "network"
            raise RemoteError(kind, f"fal does not give the result (HTTP {reply.status})")
        if reply.status >= 400:
            return JobProgress(State.REMOTE_DONE, failures=(_error(reply),))
        file = table(body.get("video")) or table(body.get("image"))
        nsfw = True in items(body.get("has_nsfw_concepts"))
        result = JobResult(0, text(file.get("url")) or "", integer(body.get("seed")), nsfw)
        return JobProgress(State.REMOTE_DONE, (result, *_frames(body)))

    async def cancel(self, job: Job) -> bool:
        reply = await self.ask(Call("PUT", self._url(job, "cancel_url"), self._headers()))
        return reply.status < 300

    async def upload(self, media: Media) -> str:
        reply = await self.transport.ask(
            Call("POST", self._rest("storage/auth/token?storage_type=fal-cdn-v3"), self._headers(), b"{}")
        )
        token = table(reply.json())
        if reply.status < 300 and (secret := text(token.get("token"))):
            headers = {"Authorization": f"{text(token.get('token_type')) or 'Bearer'} {secret}"}
            base = self.base("fal cdn")
            if url := await (self._parts if len(media.data) > LARGE else self._whole)(media, base, headers):
                return url
        return await self._signed(media)

    async def _whole(self, media: Media, base: str, headers: dict[str, str]) -> str | None:
        named = {**headers, "Content-Type": media.mime, "X-Fal-File-Name": media.name}
        timeout = self.settings.upload_timeout
        reply = await self.transport.ask(Call("POST", f"{base}/files/upload", named, media.data, timeout))
        return _field(reply, "access_url")

    async def _parts(self, media: Media, base: str, headers: dict[str, str]) -> str | None:
        named = {**headers, "Content-Type": media.mime, "X-Fal-File-Name": media.name}
        begun = await self.transport.ask(Call("POST", f"{base}/files/upload/multipart", named))
        url, id = _field(begun, "access_url"), _field(begun, "uploadId")
        if not url or not id or _origin(url) != _origin(base):
            return None
        parts = []
        for number, start in enumerate(range(0, len(media.data), PART), start=1):
            call = Call("PUT", f"{url}/multipart/{id}/{number}", headers, media.data[start : start + PART])
            reply = await self.transport.ask(call)
            parts.append({"partNumber": number, "etag": reply.headers.get("ETag", "")})
        body = json.dumps({"parts": parts}).encode()
        done = await self.transport.ask(Call("POST", f"{url}/multipart/{id}/complete", headers, body))
        return url if done.status < 300 else None

    async def _signed(self, media: Media) -> str:
        """The older way: an address that is signed for one PUT."""
        body = json.dumps({"file_name": media.name, "content_type": media.mime}).encode()
        path = self._rest("storage/upload/initiate?storage_type=gcs")
        begun = await self.ask(Call("POST", path, self._headers(), body))
        target, url = _field(begun, "upload_url"), _field(begun, "file_url")
        if target and url:
            headers, timeout = {"Content-Type": media.mime}, self.settings.upload_timeout
            call = Call("PUT", target, headers, media.data, timeout, foreign=True)
            if (await self.transport.ask(call)).status < 300:
                return url
        raise RemoteError("provider", f"fal did not take the file (HTTP {begun.status})")

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Key {self.key}", "Content-Type": "application/json"}

    def _rest(self, path: str) -> str:
        return f"{self.base('fal rest')}/{path}"

    def _url(self, job: Job, name: str) -> str:
        """The address from the submit's answer, else the documented one: under the application, not the endpoint."""
        if job.urls and name in job.urls and self._ours(job.urls[name]):
            return job.urls[name]
        application = "/".join(job.endpoint.split("/")[:2])
        tail = {"status_url": "/status", "response_url": "", "cancel_url": "/cancel"}[name]
        return f"{self.base('fal')}/{application}/requests/{job.remote_id}{tail}"

    def _ours(self, url: str) -> bool:
        """True if an address may be given the key."""
        return _origin(url) in (_origin(self.base("fal")), *(("https", host) for host in QUEUE_HOSTS))


def _frames(body: dict[str, Any]) -> list[JobResult]:
    """The frames as a ZIP, if they were asked for. The page of the request names the flag, none the field."""
    urls = [text(table(value).get("url")) for name, value in body.items() if "zip" in name]
    return [JobResult(1, url, kind=ARCHIVE) for url in urls[:1] if url]


def _origin(url: str) -> tuple[str, str]:
    """Scheme and host; of what is no address, empty ones."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "", ""
    return parts.scheme, parts.netloc


def _field(reply: Reply, name: str) -> str | None:
    return text(table(reply.json()).get(name)) if reply.status < 300 else None


def _verdict(reply: Reply) -> bool:
    """True if an error ends the job, and is not a gateway's or the account's."""
    body = table(reply.json())
    if reply.status == 422:
        return "detail" in body
    return bool(body.get("error_type")) and reply.status not in (401, 402, 403, 408, 425, 429, 502, 503, 504)


def _error(reply: Reply) -> RemoteError:
    """Both shapes: a list of fields with their messages, or a text with an error_type."""
    body = table(reply.json())
    entries = tables(body.get("detail"))
    said = "; ".join(f"{_place(entry.get('loc'))}: {entry.get('msg')}" for entry in entries)
    types = [name for name in (text(body.get("error_type")), *(text(entry.get("type")) for entry in entries)) if name]
    kind = classify(" ".join(types), TYPES, STATUSES.get(reply.status, "provider"))
    message = said or text(body.get("detail")) or f"HTTP {reply.status}"
    return RemoteError(kind, f"fal: {message}", code=next(iter(types), str(reply.status)))


def _place(location: Any) -> str:
    names = items(location)
    names = names[1:] if names[:1] == ["body"] else names
    return "".join(f"[{name}]" if isinstance(name, int) else f".{name}" for name in names).lstrip(".") or "request"
