"""HTTP to a provider's API: a submit goes out once, everything else may be repeated."""

import asyncio
import json
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp

from ..errors import RemoteError
from ..settings import RemoteSettings
from .addresses import PublicConnector, check_url
from .backoff import Backoff
from .proxy import proxy_for

REPEATABLE = {408, 425, 429, 500, 502, 503, 504}  # they say nothing about the job
SUBMIT_TRIES = 5
LONGEST_RETRY_AFTER = 60.0
LARGEST_REPLY = 16 << 20  # bytes; the answers of an API are text, and results come by themselves
CONNECT_TIMEOUT = 15.0
NOT_SENT = (
    aiohttp.ClientConnectorError,
    aiohttp.ClientHttpProxyError,
    aiohttp.ConnectionTimeoutError,
    ssl.SSLCertVerificationError,
)


class NotSent(Exception):
    """The request provably never left this machine."""


class Unanswered(Exception):
    """The request may have arrived; no usable answer came back."""


class TooLarge(Unanswered):
    """The answer has more bytes than any answer needs; nothing of it was kept."""


@dataclass(frozen=True)
class Call:
    """One request to an API. `foreign`: to an address that an answer named, checked like those of results.

    `form` makes the body of a file upload, anew for each try.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes | None = field(default=None, repr=False)
    timeout: float | None = None
    foreign: bool = False
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    form: Callable[[], aiohttp.FormData] | None = field(default=None, repr=False)

    @property
    def sent(self) -> bytes | None:
        """The body as it goes out: what stands in it for secrets, which are written down nowhere, is replaced."""
        body = self.body
        for name, value in self.secrets.items():
            body = body and body.replace(json.dumps(name).encode(), json.dumps(value).encode())
        return body


@dataclass(frozen=True)
class Reply:
    """An answer, whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    def json(self) -> Any:
        """The body as JSON; None if it is none."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None

    def retry_after(self, now: float) -> float | None:
        """Seconds that the Retry-After header asks for, written as a number or as a date."""
        value = self.headers.get("Retry-After", "")
        try:
            seconds = float(value)
        except ValueError:
            try:
                seconds = parsedate_to_datetime(value).timestamp() - now
            except (ValueError, TypeError):
                return None
        return min(max(seconds, 0.0), LONGEST_RETRY_AFTER)


class Transport:
    """The sessions of one loop. Redirects are not followed: a key goes to the host it belongs to and no further."""

    def __init__(self, settings: RemoteSettings) -> None:
        self._settings = settings
        self._shared = _session(aiohttp.TCPConnector(limit=64))
        self._public = _session(PublicConnector(allow_loopback=settings.allow_loopback))
        # A submit never takes a kept connection: whether a stale one carried it could not be told.
        self._fresh = _session(aiohttp.TCPConnector(limit=0, force_close=True))

    async def close(self) -> None:
        """Close the connections."""
        await self._shared.close()
        await self._public.close()
        await self._fresh.close()

    async def submit(
        self, call: Call, busy: Callable[[Reply], bool], pause: Callable[[float], Awaitable[None]]
    ) -> Reply:
        """Send once; again only if it never left, or if the provider itself says that it is too `busy` to take it.

        `pause` lets that many seconds pass before the next try. Raises Unanswered if the outcome is unknown,
        RemoteError if it was not sent.
        """
        clock, backoff = self._settings.clock, Backoff()
        for tries_left in reversed(range(SUBMIT_TRIES)):
            try:
                reply = await self._once(self._fresh, call, self._settings.submit_timeout)
            except NotSent as error:
                if not tries_left:
                    raise RemoteError(
                        "network", f"{_host(call)} can't be reached ({error}). Nothing was sent"
                    ) from None
                await pause(backoff.next())
                continue
            if not busy(reply) or not tries_left:
                return reply
            await pause(backoff.next(reply.retry_after(clock.now())))
        raise AssertionError("unreachable")

    async def ask(self, call: Call, give_up: float | None = None) -> Reply:
        """Send something that may be repeated, and repeat it until there is an answer or `give_up` (monotonic)."""
        session = self._shared
        if call.foreign:
            check_url(call.url, None, allow_loopback=self._settings.allow_loopback)
            session = self._public
        clock, backoff = self._settings.clock, Backoff()
        until = clock.monotonic() + self._settings.call_timeout if give_up is None else give_up
        while True:
            try:
                reply = await self._once(session, call, call.timeout or self._settings.call_timeout)
                if reply.status not in REPEATABLE:
                    return reply
                reason, wait = f"HTTP {reply.status}", backoff.next(reply.retry_after(clock.now()))
            except TooLarge as error:
                raise RemoteError("protocol", f"{_host(call)} answers with {error}") from None
            except (NotSent, Unanswered) as error:
                reply, reason, wait = None, str(error), backoff.next()
            if clock.monotonic() + wait > until:
                if reply is not None:
                    return reply
                raise RemoteError("network", f"{_host(call)} does not answer ({reason})")
            await clock.sleep(wait)

    async def _once(self, session: aiohttp.ClientSession, call: Call, timeout: float) -> Reply:
        limits = aiohttp.ClientTimeout(total=timeout, connect=min(timeout / 2, CONNECT_TIMEOUT))
        try:
            async with session.request(
                call.method,
                call.url,
                data=call.form() if call.form else call.sent,
                headers=call.headers,
                timeout=limits,
                allow_redirects=False,
                proxy=proxy_for(call.url),
            ) as response:
                return Reply(response.status, response.headers, await _read(response))
        except NOT_SENT as error:
            raise NotSent(type(error).__name__) from None  # the name alone: some messages quote the request
        except (aiohttp.ClientError, OSError, asyncio.TimeoutError) as error:
            raise Unanswered(type(error).__name__) from None


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """The body of an answer, given up as soon as it is too large."""
    pieces, size = [], response.content_length or 0
    if size <= LARGEST_REPLY:
        size = 0
        async for piece in response.content.iter_any():
            pieces.append(piece)
            if (size := size + len(piece)) > LARGEST_REPLY:
                break
    if size > LARGEST_REPLY:
        response.close()  # or the rest would be read to keep the connection
        raise TooLarge(f"more than {LARGEST_REPLY >> 20} MiB")
    return b"".join(pieces)


def _session(connector: aiohttp.TCPConnector) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())


def _host(call: Call) -> str:
    return call.url.split("/")[2]
