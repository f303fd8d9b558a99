"""What a checkpoint is, read from its safetensors header before any weight is."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import comfy.model_detection
from comfy.model_base import BaseModel

from .header import read_header
from .kind import Kind, kind_of
from .skeleton import skeleton


@dataclass(frozen=True)
class Checkpoint:
    """One Wan transformer: the host's `unet_config` of it, and its size in bytes."""

    config: dict[str, Any] = field(repr=False)
    size: int

    def __post_init__(self) -> None:
        if self.config.get("image_model") != "wan2.1":
            raise ValueError(f"a {self.config.get('image_model', 'different')} model, not a Wan transformer")

    @property
    def kind(self) -> Kind:
        """What the model was made for."""
        return kind_of(self.config)

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
        """Whether it has channels for images of given frames beside those for noise."""
        return self.in_dim > self.config["out_dim"]

    @cached_property
    def skeleton(self) -> BaseModel:
        """The model on the meta device: names and shapes of its weights, before the file is opened."""
        return skeleton(self.config)

    def __str__(self) -> str:
        size = f"{self.size / 1e9:.1f} GB" if self.size > 1e8 else f"{self.size / 1e6:.1f} MB"
        return f"{self.kind.label}, {self.layers} blocks of {self.dim}, {size}"


def read_checkpoint(path: str) -> Checkpoint:
    """Identify the file at `path` from its header; no weight is read.

    Raises ValueError for a file that is truncated, not safetensors or not a Wan transformer.
    """
    size = Path(path).stat().st_size
    shapes, _ = read_header(path)
    prefix = prefix_of(shapes)
    try:
        config = {} if prefix is None else comfy.model_detection.detect_unet_config(shapes, prefix)
        return Checkpoint(config or {}, size)
    except (KeyError, ValueError) as error:
        held = ", ".join(sorted(shapes)[:2]) or "nothing"
        raise ValueError(
            f"{path} is not a Wan transformer: it holds {len(shapes)} tensors ({held}, …). "
            "Choose a Wan 2.2 high- or low-noise file from models/diffusion_models."
        ) from error


def prefix_of(keys: Iterable[str]) -> str | None:
    """What a checkpoint writes before the names of a Wan transformer's weights; None if it has none."""
    marker = "head.modulation"
    return min((key.removesuffix(marker) for key in keys if key.endswith(marker)), key=len, default=None)
