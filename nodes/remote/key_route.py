"""The settings page's way to write a key: from this machine, with the code in its terminal, and never back again."""

import ipaddress
import json
import os
from urllib.parse import urlsplit

from aiohttp import web
from server import PromptServer

from ...remote.errors import RemoteError
from ...remote.keys import DEFAULT, VARIABLES, key_source, write_key
from . import office
from .key_code import code

PATH = "/wan_duet/keys"
SWITCH = "WAN_DUET_NO_KEY_ROUTE"
LONGEST = 4096  # bytes of a request
NO_TERMINAL = "This server has no terminal to show a code in: write keys.json, or set the environment variable"
LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")


def add_key_route() -> None:
    """Answer at PATH, unless the environment variable SWITCH says not to."""
    server = getattr(PromptServer, "instance", None)
    if server is None or os.environ.get(SWITCH):
        return
    if PATH not in {getattr(route, "path", None) for route in server.routes}:
        server.routes.get(PATH)(tell)
        server.routes.post(PATH)(write)


async def tell(request: web.Request) -> web.Response:
    """Which providers have a key; nothing of the keys."""
    if refused := refusal(request):
        return web.json_response({"error": refused}, status=403)
    return _states()


async def write(request: web.Request) -> web.Response:
    """Write a provider's key down, or with an empty one take it away; the answer is that of `tell`.

    A proxy that names itself in no header looks like this machine's browser: the code in the terminal does not.
    """
    if refused := refusal(request):
        return web.json_response({"error": refused}, status=403)
    if request.content_type != "application/json" or (request.content_length or LONGEST + 1) > LONGEST:
        return _wrong(f"The request must be JSON of up to {LONGEST} bytes")
    try:
        sent = await request.json()
        provider, key, given = sent["provider"], sent["key"], sent.get("code")
    except (KeyError, TypeError, AttributeError, UnicodeError, RecursionError, json.JSONDecodeError):
        return _wrong("The request must name a provider and a key")
    if not code().spend(given):
        return ask_for_code()
    try:
        write_key(provider, DEFAULT, key, office.settings().private)
    except (TypeError, AttributeError):
        return _wrong("The request must name a provider and a key")
    except (RemoteError, ValueError, OSError) as error:  # neither quotes the key
        return _wrong(error)
    return _states()


def refusal(request: web.Request) -> str | None:
    """Why a request is not answered; None if it comes from a page of this server, opened on this machine.

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


def ask_for_code() -> web.Response:
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


def _states() -> web.Response:
    place = office.settings()
    try:
        states = {name: bool(key_source(name, DEFAULT, place.private, place.environ)) for name in VARIABLES}
    except (RemoteError, OSError) as error:  # a file that somebody has broken
        return _wrong(error)
    return web.json_response(states, headers={"Cache-Control": "no-store"})


def _wrong(reason: object) -> web.Response:
    return web.json_response({"error": str(reason)}, status=400)
