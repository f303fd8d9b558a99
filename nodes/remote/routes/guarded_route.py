"""A route by which the settings page writes what no graph may: from this machine, with the code in its terminal."""

import ipaddress
import json
import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web
from server import PromptServer

from ....remote.errors import RemoteError
from .key_code import code

SWITCH = "WAN_DUET_NO_KEY_ROUTE"
LONGEST = 4096  # bytes of a request
NO_TERMINAL = "This server has no terminal to show a code in: write keys.json, or set the environment variable"
LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class GuardedRoute:
    """Reads and writes one value, the `field` of a request, for each provider at `path`.

    `read` gives the states of all providers; `write` takes a provider and its value. Neither quotes a secret in what
    it raises: RemoteError, ValueError or OSError are answered, TypeError and AttributeError mean a wrong type.
    """

    path: str
    field: str
    read: Callable[[], Awaitable[Mapping[str, Any]]]
    write: Callable[[Any, Any], None]

    def add(self) -> None:
        """Answer at the path, unless the environment variable SWITCH says not to."""
        server = getattr(PromptServer, "instance", None)
        if server is None or os.environ.get(SWITCH):
            return
        if self.path not in {getattr(route, "path", None) for route in server.routes}:
            server.routes.get(self.path)(self.tell)
            server.routes.post(self.path)(self.take)

    async def tell(self, request: web.Request) -> web.Response:
        """Answer with the states."""
        if refused := refusal(request):
            return web.json_response({"error": refused}, status=403)
        return await self._states()

    async def take(self, request: web.Request) -> web.Response:
        """Write a provider's value down; the answer is that of `tell`.

        A proxy that names itself in no header looks like this machine's browser: the code in the terminal does not.
        """
        if refused := refusal(request):
            return web.json_response({"error": refused}, status=403)
        if request.content_type != "application/json" or (request.content_length or LONGEST + 1) > LONGEST:
            return _wrong(f"The request must be JSON of up to {LONGEST} bytes")
        unnamed = f"The request must name a provider and a {self.field}"
        try:
            sent = await request.json()
            provider, value, given = sent["provider"], sent[self.field], sent.get("code")
        except (KeyError, TypeError, AttributeError, UnicodeError, RecursionError, json.JSONDecodeError):
            return _wrong(unnamed)
        if not code().spend(given):
            return _ask_for_code()
        try:
            self.write(provider, value)
        except (TypeError, AttributeError):
            return _wrong(unnamed)
        except (RemoteError, ValueError, OSError) as error:
            return _wrong(error)
        return await self._states()

    async def _states(self) -> web.Response:
        try:
            return web.json_response(await self.read(), headers={"Cache-Control": "no-store"})
        except (RemoteError, OSError) as error:  # a file that somebody has broken
            return _wrong(error)


def refusal(request: web.Request) -> str | None:
    """The reason not to answer a request; None if it comes from a page of this server, opened on this machine.

    A page of another site can send requests here from the user's own browser, under a name that it lets point here:
    so peer, Host and Origin must all be local, and the page's own. A proxy's requests are everybody's.
    """
    peer = request.transport.get_extra_info("peername") if request.transport else None
    if not peer or not _is_loopback(peer[0]):
        return "This answers requests from the same machine only"
    if any(name in request.headers for name in ("Forwarded", "X-Forwarded-For", "X-Real-IP", "Via")):
        return "This does not answer through a proxy"
    if urlsplit(f"//{request.host}").hostname not in LOCAL_NAMES:
        return "Open ComfyUI as localhost or 127.0.0.1"
    origin = request.headers.get("Origin")
    foreign = origin is not None and urlsplit(origin).netloc != request.host
    if foreign or request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
        return "This answers ComfyUI's own page only"
    if request.method == "POST" and origin is None:
        return "This answers a browser only: write keys.json, or set the environment variable"
    return None


def _ask_for_code() -> web.Response:
    """Show a new code in the terminal, and say that it is wanted."""
    if not code().show():
        return web.json_response({"error": NO_TERMINAL}, status=403)
    wanted = "Enter the code that the server's terminal shows now"
    return web.json_response({"wanted": wanted}, status=202)  # nothing is done yet, and nothing is wrong


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address.split("%")[0]).is_loopback
    except ValueError:
        return False


def _wrong(reason: object) -> web.Response:
    return web.json_response({"error": str(reason)}, status=400)
