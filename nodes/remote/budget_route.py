"""The settings page's way to set what may be spent a day; guarded as the way to write a key is."""

import asyncio
import json
import os

from aiohttp import web
from server import PromptServer

from ...remote.budget import UNITS, is_fixed, write_budget
from ...remote.errors import RemoteError
from . import office
from .key_code import code
from .key_route import LONGEST, SWITCH, ask_for_code, refusal

PATH = "/wan_duet/budgets"


def add_budget_route() -> None:
    """Answer at PATH, unless the environment variable SWITCH says not to."""
    server = getattr(PromptServer, "instance", None)
    if server is None or os.environ.get(SWITCH):
        return
    if PATH not in {getattr(route, "path", None) for route in server.routes}:
        server.routes.get(PATH)(tell)
        server.routes.post(PATH)(write)


async def tell(request: web.Request) -> web.Response:
    """Each provider's budget, its unit, what of it is taken today, and whether the environment has fixed it."""
    if refused := refusal(request):
        return web.json_response({"error": refused}, status=403)
    return await _states()


async def write(request: web.Request) -> web.Response:
    """Set a provider's budget; the answer is that of `tell`."""
    if refused := refusal(request):
        return web.json_response({"error": refused}, status=403)
    if request.content_type != "application/json" or (request.content_length or LONGEST + 1) > LONGEST:
        return _wrong(f"The request must be JSON of up to {LONGEST} bytes")
    try:
        sent = await request.json()
        provider, budget, given = sent["provider"], sent["budget"], sent.get("code")
    except (KeyError, TypeError, AttributeError, UnicodeError, RecursionError, json.JSONDecodeError):
        return _wrong("The request must name a provider and a budget")
    if not code().spend(given):
        return ask_for_code()
    try:
        write_budget(provider, budget, office.settings().private)
    except (TypeError, AttributeError):
        return _wrong("The request must name a provider and a budget")
    except (RemoteError, ValueError, OSError) as error:
        return _wrong(error)
    return await _states()


async def _states() -> web.Response:
    try:
        budgets = await asyncio.wrap_future(office.manager().budgets())
    except (RemoteError, OSError) as error:
        return _wrong(error)
    environ = office.settings().environ
    states = {
        name: {"budget": budget, "used": used, "unit": UNITS[name], "fixed": is_fixed(name, environ)}
        for name, (budget, used) in budgets.items()
    }
    return web.json_response(states, headers={"Cache-Control": "no-store"})


def _wrong(reason: object) -> web.Response:
    return web.json_response({"error": str(reason)}, status=400)
