"""Which Wan a LoRA was made for, from the shapes that don't fit."""

import re
from collections import Counter
from collections.abc import Iterable

from .patches import Misfit

_FAMILIES = {5120: "Wan 14B", 3072: "Wan TI2V-5B", 1536: "Wan 1.3B"}
_ATTENTION = re.compile(r"\.(?:self|cross)_attn\.[qkvo]\.weight$")
_BLOCK = re.compile(r"\bblocks[._](\d+)")


def width_of(misfits: Iterable[Misfit]) -> int | None:
    """The model width most attention weights were made for; None if none of them is among the misfits."""
    widths = Counter(m.made_for[0] for m in misfits if m.made_for and _ATTENTION.search(m.weight))
    return widths.most_common(1)[0][0] if widths else None


def family_of(width: int) -> str:
    """The Wan of a width, in words."""
    return _FAMILIES.get(width, "a model that is no Wan 2.2 we know")


def block_of(key: str) -> int | None:
    """The number of the block a key or weight belongs to."""
    found = _BLOCK.search(key)
    return int(found[1]) if found else None


def blocks_of(keys: Iterable[str]) -> int:
    """How many blocks a file reaches."""
    return max((block + 1 for block in map(block_of, keys) if block is not None), default=0)
