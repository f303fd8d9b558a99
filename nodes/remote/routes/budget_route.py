"""The settings page's way to set what may be spent a day."""

import asyncio
from typing import Any

from ....remote.budget import is_fixed, write_budget
from ....remote.providers import PROVIDERS, provider_named
from .. import job_manager
from .guarded_route import GuardedRoute


async def _states() -> dict[str, dict[str, Any]]:
    """Each provider's budget, its unit, what of it is taken today, and whether the environment has fixed it."""
    environ = job_manager.settings().environ
    return {
        name: {"budget": budget, "used": used, "unit": PROVIDERS[name].unit, "fixed": is_fixed(name, environ)}
        for name, (budget, used) in (await asyncio.wrap_future(job_manager.manager().budgets())).items()
    }


def _write(provider: str, budget: object) -> None:
    write_budget(provider_named(provider).name, budget, job_manager.settings().private)


BUDGETS = GuardedRoute("/wan_duet/budgets", "budget", _states, _write)
