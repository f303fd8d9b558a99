"""Identify a checkpoint, from its safetensors header before any weight is."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from torch import Tensor

from ...host.models import BaseModel, detect_unet_config
from ..variant import WanVariant, variant_of
from .foreign import foreign, foreign_layout
from .header import read_header
from .meta_model import skeleton
from .quantised import misread
from .storage import known_here, storage_of


@dataclass(frozen=True)
class Checkpoint:
    """One Wan transformer: the host's `unet_config` of it, its size in bytes and the format of its weights."""

    config: dict[str, Any] = field(repr=False)
    size: int
    storage: str = ""

    def __post_init__(self) -> None:
        if self.config.get("image_model") != "wan2.1":
            raise ValueError(f"a {self.config.get('image_model', 'different')} model, not a Wan transformer")

    @property
    def variant(self) -> WanVariant:
        """The member of the Wan family that it is."""
        return variant_of(self.config)

    @property
    def dim(self) -> int:
        """Width of the transformer."""
        return self.config["dim"]

    @property
    def layers(self) -> int:
        """Number of its blocks."""
        return self.config["num_layers"]

    @property
    def in_dim(self) -> int:
        """Channels of its input."""
        return self.config["in_dim"]

    @property
    def takes_frames(self) -> bool:
        """Say whether it has channels for images of given frames beside those for noise."""
        return self.in_dim > self.config["out_dim"]

    @cached_property
    def skeleton(self) -> BaseModel:
        """The model on the meta device: names and shapes of its weights, before the file is opened."""
        return skeleton(self.config)

    def __str__(self) -> str:
        size = f"{self.size / 1e9:.1f} GB" if self.size > 1e8 else f"{self.size / 1e6:.1f} MB"
        return ", ".join(filter(None, (self.variant.label, f"{self.layers} blocks of {self.dim}", size, self.storage)))


def read_checkpoint(path: str) -> Checkpoint:
    """Identify the file at `path` from its header; no weight is read.

    Raises ValueError for a file that is truncated, not safetensors, not a Wan transformer, or in a format that this
    host would misread.
    """
    known = foreign(path)
    if known:
        raise ValueError(f"{path} {known}")
    tensors, metadata = read_header(path)
    prefix = prefix_of(tensors)
    try:
        config = {} if prefix is None else detect_unet_config(tensors, prefix)
        own = own_tensors(tensors, prefix or "")
        found = Checkpoint(config or {}, Path(path).stat().st_size, storage_of(own, metadata))
    except (KeyError, ValueError) as error:
        raise ValueError(f"{path} {foreign_layout(tensors) or _not_wan(tensors)}") from error
    problem = misread(own, metadata)
    if problem:
        raise ValueError(
            f"{path} stores its weights as {found.storage}, and this ComfyUI would misread them: {problem}. Choose a "
            f"file in another format (it knows {known_here()}), update ComfyUI, or load both halves with the loader "
            "that they were made for and connect the MODELs to Experts From Models."
        )
    return found


def own_tensors(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The transformer's share of a file that may hold a text encoder too, by the names inside the transformer."""
    return {key.removeprefix(prefix): tensor for key, tensor in tensors.items() if key.startswith(prefix)}


def _not_wan(tensors: Iterable[str]) -> str:
    keys = sorted(tensors)
    held = ", ".join(keys[:2]) or "nothing"
    return (
        f"is not a Wan transformer: it holds {len(keys)} tensors ({held}, …). "
        "Choose a Wan 2.2 high- or low-noise file from models/diffusion_models."
    )


def prefix_of(keys: Iterable[str]) -> str | None:
    """The prefix of a Wan transformer's weights in a checkpoint; None if it holds none."""
    marker = "head.modulation"
    return min((key.removesuffix(marker) for key in keys if key.endswith(marker)), key=len, default=None)
