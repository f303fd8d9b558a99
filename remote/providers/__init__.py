"""One file for each provider: from a request to its wire, and from its answers to states."""

from ..settings import Settings
from ..transport import Transport
from .base import Provider
from .fal import Fal
from .rivya import Rivya
from .runware import Runware

PROVIDERS: dict[str, type[Provider]] = {"runware": Runware, "fal": Fal, "rivya": Rivya}


def provider(name: str, settings: Settings, transport: Transport, key: str) -> Provider:
    """The provider of this name, speaking with this key."""
    return PROVIDERS[name](settings, transport, key)
