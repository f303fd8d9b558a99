"""The settings page's way to write a key: it is never given back, only whether there is one."""

from ....remote.keys import DEFAULT, key_source, write_key
from ....remote.providers import PROVIDERS, provider_named
from .. import job_manager
from .guarded_route import GuardedRoute


async def _states() -> dict[str, bool]:
    """The providers that have a key; nothing of the keys."""
    place = job_manager.settings()
    return {
        name: bool(key_source(name, provider.key_variables, DEFAULT, place.private, place.environ))
        for name, provider in PROVIDERS.items()
    }


def _write(provider: str, key: str) -> None:
    write_key(provider_named(provider).name, DEFAULT, key, job_manager.settings().private)


KEYS = GuardedRoute("/wan_duet/keys", "key", _states, _write)
