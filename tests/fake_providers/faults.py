"""Faults on the wire, to be put in front of a fake's next answers."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

Handler = Callable[[], Awaitable[web.StreamResponse]]
SLOW = 30.0  # seconds; longer than any client of a test waits


@dataclass(frozen=True)
class Answer:
    """Answer with this instead of doing anything; nothing is charged."""

    status: int
    body: Any = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    async def __call__(self, request: web.Request, handle: Handler) -> web.StreamResponse:
        if isinstance(self.body, str):
            return web.Response(status=self.status, text=self.body, headers=self.headers)
        return web.Response(
            status=self.status, text=json.dumps(self.body), content_type="application/json", headers=self.headers
        )


@dataclass(frozen=True)
class Bytes:
    """Answer with a file of this Content-Type; of none at all if it is None."""

    body: bytes
    kind: str | None

    async def __call__(self, request: web.Request, handle: Handler) -> web.StreamResponse:
        assert request.transport is not None
        kind = "" if self.kind is None else f"Content-Type: {self.kind}\r\n"
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(self.body)}\r\n{kind}Connection: close\r\n\r\n"
        request.transport.write(head.encode() + self.body)  # aiohttp's own answers always have a type
        request.transport.close()
        return web.Response()


@dataclass(frozen=True)
class Lose:
    """Do what was asked, charge for it, and then lose the answer in one of several ways."""

    how: str  # close, truncate, hang, drip, html or empty

    async def __call__(self, request: web.Request, handle: Handler) -> web.StreamResponse:
        answer = await handle()
        assert isinstance(answer, web.Response) and isinstance(answer.body, bytes)
        match self.how:
            case "html":
                return web.Response(text="<html>It works!</html>", content_type="text/html")
            case "empty":
                return web.json_response({})
            case "hang":
                await asyncio.sleep(SLOW)
            case "truncate":
                await _send(request, answer.body, len(answer.body) // 2)
            case "drip":
                await _send(request, answer.body, len(answer.body), pause=1.0)
        assert request.transport is not None
        request.transport.abort()
        return answer


@dataclass(frozen=True)
class Overrule:
    """Do what was asked, charge for it, and let a gateway answer something else."""

    status: int
    body: Any

    async def __call__(self, request: web.Request, handle: Handler) -> web.StreamResponse:
        await handle()
        return web.Response(status=self.status, text=json.dumps(self.body), content_type="application/json")


async def _send(request: web.Request, body: bytes, count: int, pause: float = 0) -> None:
    """Send the first `count` bytes under the length of all of them."""
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    response.content_length = len(body)
    await response.prepare(request)
    for start in range(0, count, 1 if pause else count):
        await response.write(body[start : start + 1] if pause else body[:count])
        await asyncio.sleep(pause)
    await asyncio.sleep(0.05)


@dataclass
class Meet:
    """Answer nobody before `count` have asked, and everybody `seconds` after that."""

    count: int
    seconds: float = 0.0
    asked: int = 0

    async def __call__(self, request: web.Request, handle: Handler) -> web.StreamResponse:
        self.asked += 1
        while self.asked < self.count:
            await asyncio.sleep(0.01)
        await asyncio.sleep(self.seconds)
        return await handle()


@dataclass
class Flood:
    """Do what was asked, and answer with a body that goes on for `size` bytes; `sent` are those that were taken."""

    size: int
    length: bool
    sent: int = 0

    async def __call__(self, request: web.Request, handle: Handler) -> web.StreamResponse:
        await handle()
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        response.content_length = self.size if self.length else None
        await response.prepare(request)
        try:
            while self.sent < self.size:
                await response.write(b" " * (1 << 20))
                self.sent += 1 << 20
        except (ConnectionError, asyncio.CancelledError):
            pass
        return response


@dataclass(frozen=True)
class Refuse:
    """Close the connection before anything is read as a request."""

    async def __call__(self, request: web.Request, handle: Handler) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()
