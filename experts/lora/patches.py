"""What a LoRA file does to one expert: the patches the host reads from it, and the keys nobody reads.

The same function serves the report, on headers, and the merge, on weights.
"""

from dataclasses import dataclass
from typing import Any

import torch
from comfy.model_base import BaseModel

from .host import Patch, convert_lora, delta_shape, fits, load_lora, magnitude, model_lora_keys_unet
from .layout import HOST_PREFIX, host_key, host_tensor, share_of, spellings

_DIFFERENCES = (".diff", ".diff_b", ".set_weight", ".w_norm", ".b_norm")


@dataclass(frozen=True)
class Misfit:
    """A weight that the file would change, but not in the shape it has here (None: there is no such weight)."""

    weight: str
    made_for: tuple[int, ...]
    shape: tuple[int, ...] | None


@dataclass(frozen=True)
class Patches:
    """`parts` are applied one after the other: the host keeps one patch for a weight, a file may hold two."""

    parts: tuple[dict[str, Patch], ...]
    misfits: tuple[Misfit, ...]
    read: tuple[str, ...]
    unread: tuple[str, ...]
    elsewhere: int

    @property
    def changed(self) -> set[str]:
        """The weights that will be changed."""
        return {weight for part in self.parts for weight in part}

    @property
    def keys(self) -> int:
        """The keys meant for this expert."""
        return len(self.read) + len(self.unread)

    @property
    def ordered(self) -> bool:
        """Whether the order of rows matters: a DoRA scales what the rows before it made."""
        return any(magnitude(patch) is not None for part in self.parts for patch in part.values())


class _Recorded(dict[str, torch.Tensor]):
    """A state dict that remembers which keys were asked for: those are the ones the host understands."""

    def __init__(self, tensors: dict[str, torch.Tensor]):
        super().__init__(tensors)
        self.asked: set[str] = set()

    def __getitem__(self, key: str) -> torch.Tensor:
        value = super().__getitem__(key)
        self.asked.add(key)
        return value

    def get(self, key: str, default: Any = None) -> Any:
        if key in self:
            self.asked.add(key)
        return super().get(key, default)


def host_readable(tensors: dict[str, torch.Tensor], role: str, model: BaseModel) -> dict[str, tuple[str, torch.Tensor]]:
    """One expert's share of a file, as the host reads it: its own key to the host's key and tensor."""
    dims = {name: len(weight.shape) for name, weight in model.state_dict().items() if name.startswith(HOST_PREFIX)}
    table = spellings(dims)
    readable = {}
    for key in share_of(role, tensors):
        new = host_key(key, table)
        weight = new.rpartition(".")[0] + ".weight"
        readable[key] = new, host_tensor(key, tensors[key], dims.get(weight, 2))
    return readable


def find_patches(tensors: dict[str, torch.Tensor], role: str, model: BaseModel) -> Patches:
    """Every patch that `tensors` (of any device, meta too) holds for the expert in `role`, whose skeleton is `model`.

    Raises ValueError for a file that holds one half of an adapter without the other.
    """
    readable = host_readable(tensors, role, model)
    originals = {new: key for key, (new, _) in readable.items()}
    lora = convert_lora(dict(readable.values()))
    shapes = {name: weight.shape for name, weight in model.state_dict().items()}
    names = model_lora_keys_unet(model, {})
    parts, misfits, asked = [], [], set()
    for differences in (False, True):
        recorded = _Recorded({key: lora[key] for key in lora if key.endswith(_DIFFERENCES) == differences})
        found = _load(recorded, names)
        asked |= recorded.asked
        parts.append({name: patch for name, patch in found.items() if name in shapes and fits(patch, shapes[name])})
        misfits += [
            Misfit(name, delta_shape(patch) or (), tuple(shapes[name]) if name in shapes else None)
            for name, patch in found.items()
            if name not in parts[-1]
        ]
    read = {originals.get(key, key) for key in asked}
    return Patches(
        parts=tuple(parts),
        misfits=tuple(misfits),
        read=tuple(key for key in readable if key in read),
        unread=tuple(key for key in readable if key not in read),
        elsewhere=len(tensors) - len(readable),
    )


def _load(lora: _Recorded, names: dict[str, str]) -> dict[str, Patch]:
    try:
        return load_lora(lora, names, log_missing=False)
    except KeyError as missing:
        raise ValueError(f"it is incomplete: {missing} is missing, though its other half is there") from missing
