"""Handles: the only owners of opened weights."""

import logging
import weakref
from collections.abc import Callable, Sequence
from typing import Protocol

import comfy.sd
import torch
from comfy.model_patcher import ModelPatcher

from ..host.models import BaseModel
from .checkpoint.contents import Checkpoint
from .checkpoint.partial_load import part_of
from .checkpoint.quantised import is_rounded
from .checkpoint.storage import is_packed

log = logging.getLogger("wan_duet")

WEIGHT_DTYPES: dict[str, dict[str, object]] = {
    "default": {},
    "fp8_e4m3fn": {"dtype": torch.float8_e4m3fn},
    "fp8_e4m3fn_fast": {"dtype": torch.float8_e4m3fn, "fp8_optimizations": True},
    "fp8_e5m2": {"dtype": torch.float8_e5m2},
}


class Handle(Protocol):
    """Source of an expert's weights. `checkpoint` is None when that can't be known."""

    @property
    def name(self) -> str: ...

    @property
    def checkpoint(self) -> Checkpoint | None: ...

    @property
    def in_memory(self) -> bool:
        """Say whether `open` returns without reading weights."""
        ...

    @property
    def held_bytes(self) -> int:
        """Bytes of the weights once they are open; 0 when that can't be known."""
        ...

    @property
    def packed(self) -> bool:
        """Say whether weights are held in less than 16 bits, so that one that is changed for good is rounded again."""
        ...

    def open(self, keep: bool = True) -> ModelPatcher:
        """The patcher that holds the weights; without `keep` the handle lets go of them.

        Callers patch a clone of it, never itself.
        """
        ...

    def part(self, modules: Sequence[str]) -> BaseModel | None:
        """The model with the weights of a few modules of its network at least; None if they can't be read alone."""
        ...


class FileHandle:
    """A checkpoint file: read when it is opened, and kept, if asked to, until the handle itself is let go.

    Weights that were once opened to be kept are shared for as long as anybody holds them, never read a second time.
    """

    def __init__(self, name: str, path: str, checkpoint: Checkpoint, weight_dtype: str = "default"):
        self.name = name
        self.path = path
        self.checkpoint = checkpoint
        self.weight_dtype = weight_dtype
        self._kept: ModelPatcher | None = None
        self._shared: Callable[[], ModelPatcher | None] = lambda: None

    @property
    def in_memory(self) -> bool:
        """Say whether the file was read already, and not for somebody who has it alone."""
        return self._shared() is not None

    @property
    def held_bytes(self) -> int:
        """The file's size, or a byte a weight once cast to fp8; what is packed already stays as it is."""
        if self.weight_dtype == "default" or is_packed(self.checkpoint.storage):
            return self.checkpoint.size
        return sum(weight.numel() for weight in self.checkpoint.skeleton.parameters())

    @property
    def packed(self) -> bool:
        """Say so by the format of the file, and by the type it is cast to."""
        return is_packed(self.checkpoint.storage) or self.weight_dtype != "default"

    def open(self, keep: bool = True) -> ModelPatcher:
        """The file's patcher, through the host's own loader, so that the host can clone it for another GPU."""
        patcher = self._shared()
        if patcher is None:
            patcher = self._read()
            if keep:
                self._shared = weakref.ref(patcher)
        self._kept = patcher if keep else None
        return patcher

    def part(self, modules: Sequence[str]) -> BaseModel | None:
        """Those modules, read from the file whether it is open or not."""
        return part_of(self.path, self.checkpoint, modules)

    def _read(self) -> ModelPatcher:
        log.info("reading %s", self.path)
        try:
            return comfy.sd.load_diffusion_model(self.path, model_options=dict(WEIGHT_DTYPES[self.weight_dtype]))
        except FileNotFoundError as error:
            raise FileNotFoundError(
                f"{self.path} is gone since it was chosen. Put it back, or choose another."
            ) from error


class MissingHandle:
    """A file that is not there, or that only another loader can read: a graph may carry it, opening it raises."""

    checkpoint = None
    in_memory = False
    held_bytes = 0
    packed = False

    def __init__(self, name: str, problem: str):
        self.name = name
        self.problem = problem

    def open(self, keep: bool = True) -> ModelPatcher:
        """Raises FileNotFoundError with what to do about it."""
        raise FileNotFoundError(self.problem)

    def part(self, modules: Sequence[str]) -> BaseModel | None:
        """Nothing of it can be read."""
        return None


class ModelHandle:
    """A MODEL from another node. The host owns its weights, so it always stays in memory."""

    in_memory = True

    def __init__(self, patcher: ModelPatcher, name: str):
        self.name = name
        self.patcher = patcher
        self.held_bytes = patcher.model_size()
        self.tried: dict[frozenset[str], bool] = {}  # whether patches on some of these weights were seen to work
        try:
            self.checkpoint = Checkpoint(patcher.model.model_config.unet_config, self.held_bytes)
        except ValueError as error:
            raise ValueError(f"the {name} is {error}; connect a Wan 2.2 expert") from error

    @property
    def packed(self) -> bool:
        """Say so by the weights that are there."""
        return any(map(is_rounded, self.patcher.model.diffusion_model.modules()))

    def open(self, keep: bool = True) -> ModelPatcher:
        """The MODEL as it was connected."""
        return self.patcher

    def part(self, modules: Sequence[str]) -> BaseModel | None:
        """All of the model."""
        return self.patcher.model
