"""A LoRA file on one expert: the patches that the host reads from it, and the keys that nobody reads.

The same function serves the report, on headers, and the merge, on weights.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from ...host.lora import Patch, convert_lora, delta_shape, fits, load_lora, magnitude, model_lora_keys_unet
from ...host.models import BaseModel
from .layout import HOST_PREFIX, Spelled, host_tensor, share_of, spelled, spellings
from .scale import Scale

_DIFFERENCES = (".diff", ".diff_b", ".set_weight", ".w_norm", ".b_norm")


@dataclass(frozen=True)
class Misfit:
    """A weight that the file would change, but not in the shape it has here (None: there is no such weight)."""

    weight: str
    made_for: tuple[int, ...]
    shape: tuple[int, ...] | None


@dataclass(frozen=True)
class Patches:
    """`parts` are applied one after the other: the host keeps one patch for a weight, a file may hold two.

    Of the unread keys, `known` has those of a module that is there, with what follows its name, and `again` those that
    say what another key says too. `scales` are those that `scale`
    adds to the file's own keys.
    """

    parts: tuple[dict[str, Patch], ...]
    misfits: tuple[Misfit, ...]
    read: tuple[str, ...]
    unread: tuple[str, ...]
    elsewhere: int
    scale: Scale = field(default_factory=Scale)
    scales: frozenset[float] = frozenset()
    known: Mapping[str, str] = field(default_factory=dict)
    again: frozenset[str] = frozenset()

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
        """Say whether the order of LoRAs matters: a DoRA scales what those before it made."""
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


@dataclass(frozen=True)
class Share:
    """One expert's share of a file: what every key says, and each as the host reads it, to its own key."""

    spelled: dict[str, Spelled | None]
    originals: dict[str, str]
    tensors: dict[str, torch.Tensor]
    scale: Scale
    scales: frozenset[float]


def share(tensors: dict[str, torch.Tensor], role: str, model: BaseModel, scale: Scale | None = None) -> Share:
    """The share of the expert in `role` of `tensors`; of two keys that say the same, the host reads the first."""
    dims = {name: len(weight.shape) for name, weight in model.state_dict().items() if name.startswith(HOST_PREFIX)}
    table = spellings(dims)
    found = {key: spelled(key, table) for key in tensors}
    mine = {key: found[key] for key in share_of(role, found)}
    originals, readable = {}, {}
    for key, it in mine.items():
        new = it.host if it else key
        if new not in originals:
            originals[new] = key
            readable[new] = host_tensor(key, tensors[key], dims.get(new.rpartition(".")[0] + ".weight", 2))
    downs = {key: it for key, it in mine.items() if it and it.is_down}
    ranks = {key.removesuffix(it.suffix): tensors[key].shape[0] for key, it in downs.items()}
    scale = (scale or Scale()).checked(ranks)
    scales = set()
    for key, it in downs.items():
        name, module = f"{HOST_PREFIX}{it.module}.alpha", key.removesuffix(it.suffix)
        alpha = scale.alpha_of(module, ranks[module])
        if alpha is not None and name not in originals:
            readable[name] = torch.tensor(alpha)
            scales.add(alpha / ranks[module])
    return Share(mine, originals, readable, scale, frozenset(scales))


def find_patches(tensors: dict[str, torch.Tensor], role: str, model: BaseModel, scale: Scale | None = None) -> Patches:
    """Every patch that `tensors` (of any device, meta too) holds for the expert in `role`, whose skeleton is `model`.

    `scale` is what the file says of its scale outside its keys.
    Raises ValueError for a file that holds one half of an adapter without the other.
    """
    mine = share(tensors, role, model, scale)
    lora = convert_lora(dict(mine.tensors))
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
    read = {mine.originals.get(key, key) for key in asked} & mine.spelled.keys()
    unread = tuple(key for key in mine.spelled if key not in read)
    return Patches(
        parts=tuple(parts),
        misfits=tuple(misfits),
        read=tuple(key for key in mine.spelled if key in read),
        unread=unread,
        elsewhere=len(tensors) - len(mine.spelled),
        scale=mine.scale,
        scales=mine.scales,
        known={key: it.suffix for key in unread if (it := mine.spelled[key])},
        again=frozenset(mine.spelled.keys() - mine.originals.values()),
    )


def _load(lora: _Recorded, names: dict[str, str]) -> dict[str, Patch]:
    try:
        return load_lora(lora, names, log_missing=False)
    except KeyError as missing:
        raise ValueError(f"it is incomplete: {missing} is missing, though its other half is there") from missing
