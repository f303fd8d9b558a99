"""One file for each provider: from a request to its wire, and from its answers to states."""

from .base import Provider
from .fal import Fal
from .rivya import Rivya
from .runware import Runware

PROVIDERS: dict[str, type[Provider]] = {"runware": Runware, "fal": Fal, "rivya": Rivya}
