"""Rivya: a repeated submit under the same key is the same job. Experimental: much of its API is not documented."""

import json
from collections.abc import Collection
from io import BytesIO
from typing import Any, ClassVar

from aiohttp import FormData

from ..contract.contracts import Contract
from ..errors import ADVICE, ErrorKind, RemoteError
from ..http.transport import REPEATABLE, Call, Reply
from ..job import Job, State
from ..media import Media
from .answer import items, number, table, text
from .base import Accepted, JobProgress, JobResult, Provider, SubmittedBody, Unreadable

STATES = {
    "queued": State.QUEUED,
    "processing": State.RUNNING,
    "succeeded": State.REMOTE_DONE,
    "failed": State.REMOTE_DONE,
}
CODES: dict[str, ErrorKind] = {
    "api_key_missing": "auth",
    "api_key_invalid": "auth",
    "api_key_revoked": "auth",
    "api_key_expired": "auth",
    "api_scope_denied": "auth",
    "insufficient_credits": "quota",
    "rate_limited": "capacity",
    "public_api_disabled": "capacity",
    "validation_failed": "validation",
    "not_found": "not_found",
    "idempotency_conflict": "unknown_outcome",
}


KEY_LIVES = 24 * 3600.0  # how long an Idempotency-Key is remembered is not documented; a day is usual
CLOCK = "Set the clock right, then run the same graph again."


class Rivya(Provider):
    """rivya.ai, version 1 of the public API."""

    name = "rivya"
    bases: ClassVar = {"rivya": "https://rivya.ai"}
    key_variables = (("RIVYA_API_KEY",),)
    unit = "credits"
    prices_at = "https://rivya.ai/docs/api/models/wan-2-2-a14b-turbo"
    id_field = "client_request_id"
    hosts = None  # where results are kept is not documented
    upload_lives = 3600.0

    def complete(self, contract: Contract, request: dict[str, Any]) -> dict[str, Any]:
        return request

    async def prepare(self, contract: Contract, request: dict[str, Any]) -> None:
        """Ask for the credits, which are taken when the job is made."""
        reply = await self.ask(Call("GET", self._url("credits"), self._headers()))
        credits = number(table(reply.json()).get("current_credits"))
        price = contract.prices["price"] if contract.prices else 0
        if credits is not None and credits < price:
            raise RemoteError(
                "quota", f"Rivya: {credits:g} credits are left, and this takes {price:g}. Nothing was sent"
            )

    def submission(self, contract: Contract, request: dict[str, Any], job_id: str) -> Call:
        body = json.dumps({**request, "client_request_id": job_id}, sort_keys=True).encode()
        return self._create(body, job_id)

    def _create(self, body: bytes, job_id: str) -> Call:
        return Call("POST", self._url("generations"), {**self._headers(), "Idempotency-Key": job_id}, body)

    def accepted(self, reply: Reply, job_id: str) -> Accepted:
        body = table(reply.json())
        if reply.status < 300 and (id := text(body.get("id"))):
            return Accepted(id)
        if self.busy(reply) or (400 <= reply.status < 500 and reply.status not in REPEATABLE):
            raise _error(reply)
        raise Unreadable(f"HTTP {reply.status}")

    def busy(self, reply: Reply) -> bool:
        code = text(table(table(reply.json()).get("error")).get("code")) or ""
        return reply.status in (429, 503) and CODES.get(code) == "capacity"

    async def reconcile(self, job: Job, sent: SubmittedBody, taken: Collection[str]) -> Accepted | None:
        """The same key with the same bytes makes no second job, as long as the key is remembered."""
        self._check_age(self.settings.clock.now() - job.sent)
        try:
            return self.accepted(await self.transport.ask(self._create(sent(), job.id)), job.id)
        except Unreadable as error:
            raise RemoteError(
                "unknown_outcome", f"Rivya does not say whether it has the job ({error})", charged="unknown"
            ) from None

    @staticmethod
    def _check_age(seconds: float) -> None:
        """The wall clock is the only one that goes on while nothing runs, and it may be wrong."""
        if seconds < 0:
            text = "By this machine's clock the job is sent only in the future, so its age is not known"
            raise RemoteError("unknown_outcome", text, charged="unknown", advice=CLOCK)
        if seconds > KEY_LIVES:
            text = f"By this machine's clock the submit was {seconds / 3600:.0f} hours ago, too long to be repeated"
            advice = f"If that is wrong: {CLOCK[0].lower()}{CLOCK[1:]} Otherwise {ADVICE['unknown_outcome'][0].lower()}"
            advice += ADVICE["unknown_outcome"][1:]
            raise RemoteError("unknown_outcome", text, charged="unknown", advice=advice)

    async def poll(self, job: Job, *, log: bool = False) -> JobProgress:
        reply = await self.ask(Call("GET", self._url(f"generations/{job.remote_id}"), self._headers()))
        if reply.status == 404:
            return JobProgress(None)
        body = table(reply.json())
        status = text(body.get("status")) or ""
        state = STATES.get(status, State.RUNNING)
        if state is not State.REMOTE_DONE:
            return JobProgress(state)
        cost = number(body.get("final_credits"))
        if status == "failed":
            error = table(body.get("error"))
            message, code = text(error.get("message")) or "failed", text(error.get("code")) or ""
            return JobProgress(state, failures=(RemoteError("provider", f"Rivya: {message}", code=code),), cost=cost)
        return JobProgress(state, _results(table(body.get("result"))), cost=cost)

    async def upload(self, media: Media) -> dict[str, str]:
        """The file's address, and for sound the token that proves its length."""
        headers, timeout = self._key_header(), self.settings.upload_timeout
        reply = await self.ask(Call("POST", self._url("files"), headers, timeout=timeout, form=lambda: _form(media)))
        body = table(reply.json())
        url = text(body.get("url"))
        if reply.status >= 300 or url is None:
            raise _error(reply)
        token = text(body.get("duration_token"))
        return {"url": url, "durationToken": token} if token else {"url": url}

    def _url(self, path: str) -> str:
        return f"{self.base('rivya')}/api/v1/{path}"

    def _headers(self) -> dict[str, str]:
        return {**self._key_header(), "Content-Type": "application/json"}

    def _key_header(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}


def _results(result: dict[str, Any]) -> tuple[JobResult, ...]:
    urls = [result.get("primary_url"), *items(result.get("urls"))]
    unique = dict.fromkeys(url for url in map(text, urls) if url)
    return tuple(JobResult(index, url) for index, url in enumerate(unique)) or (JobResult(0, ""),)


def _form(media: Media) -> FormData:
    """A form with the file and its kind."""
    form = FormData()
    form.add_field("kind", media.kind)
    form.add_field("file", BytesIO(media.data), filename=media.name, content_type=media.mime)
    return form


def _error(reply: Reply) -> RemoteError:
    error = table(table(reply.json()).get("error"))
    code = text(error.get("code")) or ""
    by_status: dict[int, ErrorKind] = {401: "auth", 402: "quota", 403: "auth", 404: "not_found", 429: "capacity"}
    kind = CODES.get(code, by_status.get(reply.status, "validation" if reply.status < 500 else "provider"))
    charged = "unknown" if kind == "unknown_outcome" else "no"
    message = text(error.get("message")) or f"HTTP {reply.status}"
    return RemoteError(kind, f"Rivya: {message}", code=code, charged=charged)
