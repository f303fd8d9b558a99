"""One file for each provider: from a request to its wire, and from its answers to states."""

from .base import Provider
from .fal import Fal
from .rivya import Rivya
from .runware import Runware

PROVIDERS: dict[str, type[Provider]] = {provider.name: provider for provider in (Runware, Fal, Rivya)}


def provider_named(name: object) -> type[Provider]:
    """The provider of this name; ValueError if there is none."""
    if name not in PROVIDERS:
        raise ValueError(f"provider is {name!r}; it must be one of {', '.join(PROVIDERS)}")
    return PROVIDERS[str(name)]
