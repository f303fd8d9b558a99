"""Handles: the only owners of opened weights."""

from typing import Protocol

import comfy.sd
import torch
from comfy.model_patcher import ModelPatcher

from .checkpoint import Checkpoint

WEIGHT_DTYPES: dict[str, dict[str, object]] = {
    "default": {},
    "fp8_e4m3fn": {"dtype": torch.float8_e4m3fn},
    "fp8_e4m3fn_fast": {"dtype": torch.float8_e4m3fn, "fp8_optimizations": True},
    "fp8_e5m2": {"dtype": torch.float8_e5m2},
}


class Handle(Protocol):
    """Where an expert's weights come from. `checkpoint` is None when that can't be known."""

    @property
    def name(self) -> str: ...

    @property
    def checkpoint(self) -> Checkpoint | None: ...

    @property
    def in_memory(self) -> bool:
        """Whether `open` returns without reading weights."""
        ...

    def open(self) -> ModelPatcher:
        """The patcher that holds the weights. Callers patch a clone of it, never itself."""
        ...


class FileHandle:
    """A checkpoint file: read at the first `open`, kept until the handle itself is let go (`keep both`)."""

    def __init__(self, name: str, path: str, checkpoint: Checkpoint, weight_dtype: str = "default"):
        self.name = name
        self.path = path
        self.checkpoint = checkpoint
        self.weight_dtype = weight_dtype
        self._patcher: ModelPatcher | None = None

    @property
    def in_memory(self) -> bool:
        """Whether the file was read already."""
        return self._patcher is not None

    def open(self) -> ModelPatcher:
        """The file's patcher, through the host's own loader, so that the host can clone it for another GPU."""
        if self._patcher is None:
            self._patcher = comfy.sd.load_diffusion_model(
                self.path, model_options=dict(WEIGHT_DTYPES[self.weight_dtype])
            )
        return self._patcher


class MissingHandle:
    """A file that is not there, or that only another loader can read: a graph may carry it, opening it raises."""

    checkpoint = None
    in_memory = False

    def __init__(self, name: str, problem: str):
        self.name = name
        self.problem = problem

    def open(self) -> ModelPatcher:
        """Raises FileNotFoundError with what to do about it."""
        raise FileNotFoundError(self.problem)


class ModelHandle:
    """A MODEL from another node. The host owns its weights, so it always stays in memory."""

    in_memory = True

    def __init__(self, patcher: ModelPatcher, name: str):
        self.name = name
        self.patcher = patcher
        try:
            self.checkpoint = Checkpoint.from_config(patcher.model.model_config.unet_config, patcher.model_size())
        except ValueError as error:
            raise ValueError(f"the {name} is {error}; connect a Wan 2.2 expert") from error

    def open(self) -> ModelPatcher:
        """The MODEL as it was connected."""
        return self.patcher
