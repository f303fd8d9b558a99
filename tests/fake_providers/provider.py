"""The common part of the fakes: a server in a thread, virtual time, a ledger, faults, and the files of results."""

import asyncio
import re
import threading
import time
import uuid
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from .documents import documents
from .faults import Handler
from .film import film, frames_zip, picture

KEY = "planted-key-4f1c:secret"
SIGNATURE = "planted-signature-77aa"
PADDING = bytes(1 << 20)


@dataclass
class VirtualClock:
    """Seconds that pass only when somebody says so."""

    seconds: float = 1_700_000_000.0

    def advance(self, seconds: float) -> None:
        self.seconds += seconds


class WallClock(VirtualClock):
    """Seconds as they pass for everybody, for clients that can't be told otherwise."""

    def __init__(self) -> None:
        """Nothing to keep."""

    def __getattribute__(self, name: str) -> Any:
        return time.time() if name == "seconds" else super().__getattribute__(name)


@dataclass
class Generation:
    """A job at the fake: when it came, how long it takes, and how it ends."""

    id: str
    endpoint: str
    request: dict[str, Any]
    created: float
    queued: float
    running: float
    error: Any = None
    cancelled: bool = False

    def state(self, now: float) -> str:
        """queued, running or done."""
        age = now - self.created
        return "queued" if age < self.queued else "running" if age < self.queued + self.running else "done"


@dataclass
class Seen:
    """A request as it came in."""

    op: str
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    peer: Any  # address and port that the connection comes from


@dataclass
class Fake:
    """A provider on 127.0.0.1. `charges` is its ledger: one entry for each result somebody has to pay."""

    clock: VirtualClock = field(default_factory=VirtualClock)
    charges: list[str] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    generations: dict[str, Generation] = field(default_factory=dict)
    uploads: dict[str, bytes] = field(default_factory=dict)
    queued: float = 2.0
    running: float = 8.0
    fails_with: Any = None
    url_lives: float = float("inf")
    padding: int = 0  # bytes after the film, a multiple of 1 MiB
    result_url: str | None = None
    url: str = ""

    def __post_init__(self) -> None:
        self.faults: dict[str, deque[Any]] = defaultdict(deque)
        self.documents = documents()
        self.app = web.Application(client_max_size=1 << 30)
        self.app.router.add_get("/files/{name}", self.serve_file)
        self.routes()

    def routes(self) -> None:
        """Add the provider's own routes to `app`."""
        raise NotImplementedError

    def fault(self, op: str, *faults: Any) -> None:
        """Put faults before the next answers to `op`, one each; None lets one pass."""
        self.faults[op].extend(faults)

    def count(self, op: str) -> int:
        """The number of requests of a kind that have come in."""
        return sum(seen.op == op for seen in self.seen)

    async def guarded(self, op: str, request: web.Request, handle: Handler) -> web.StreamResponse:
        """Log the request and answer it, through the next fault if there is one."""
        body = b"" if request.content_type.startswith("multipart/") else await request.read()
        peer = request.transport.get_extra_info("peername") if request.transport else None
        self.seen.append(Seen(op, request.method, request.path_qs, dict(request.headers), body, peer))
        fault = self.faults[op].popleft() if self.faults[op] else None
        return await (fault(request, handle) if fault else handle())

    def start(self, endpoint: str, body: dict[str, Any], id: str | None = None, results: int = 1) -> Generation:
        """Accept a job and charge for its results."""
        job = Generation(id or str(uuid.uuid4()), endpoint, body, self.clock.seconds, self.queued, self.running)
        job.error = self.fails_with
        self.generations[job.id] = job
        self.charges.extend([job.id] * results)
        return job

    def file_url(self, job: Generation, name: str) -> str:
        """A presigned address of a result, which lives for `url_lives` virtual seconds."""
        expires = self.clock.seconds + self.url_lives
        return self.result_url or f"{self.url}/files/{name}?X-Amz-Signature={SIGNATURE}&expires={expires}"

    async def serve_file(self, request: web.Request) -> web.StreamResponse:
        async def handle() -> web.StreamResponse:
            name = request.match_info["name"]
            if name in self.uploads:
                return web.Response(body=self.uploads[name])
            if float(request.query.get("expires", "inf")) < self.clock.seconds:
                return web.Response(status=403, text="<Error>Request has expired</Error>")
            if name.endswith(".zip"):
                return web.Response(body=frames_zip(), content_type="application/zip")
            image = name.endswith(".png")
            body, kind = (picture(), "image/png") if image else (film(), "video/mp4")
            return (
                await self._padded(request, body, kind) if self.padding else web.Response(body=body, content_type=kind)
            )

        return await self.guarded("download", request, handle)

    async def _padded(self, request: web.Request, body: bytes, kind: str) -> web.StreamResponse:
        """The film and, as MP4 allows, a box of nothing after it."""
        header = (1).to_bytes(4, "big") + b"free" + (self.padding + 16).to_bytes(8, "big")
        response = web.StreamResponse(headers={"Content-Type": kind})
        response.content_length = len(body) + 16 + self.padding
        await response.prepare(request)
        await response.write(body + header)
        for _ in range(self.padding // len(PADDING)):
            await response.write(PADDING)
        return response

    @contextmanager
    def serving(self) -> Iterator["Fake"]:
        """Answer on a free port, in a thread, until the block ends."""
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever, daemon=True)
        thread.start()
        runner = web.AppRunner(self.app, shutdown_timeout=0.1, handler_cancellation=True)
        asyncio.run_coroutine_threadsafe(self._listen(runner), loop).result(10)
        try:
            yield self
        finally:
            asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(30)
            loop.call_soon_threadsafe(loop.stop)
            thread.join(10)
            loop.close()

    async def _listen(self, runner: web.AppRunner) -> None:
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, backlog=512)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"


def location(path: str) -> list[str | int]:
    """`loras[0].path` as a list of names and numbers."""
    return [int(part) if part.isdigit() else part for part in re.findall(r"[^.\[\]]+", path)]
