"""Switch a host that has DynamicVRAM to it on a machine without a GPU.

On NVIDIA, hosts of 2026 leave weights in their files and bring them in layer by layer, through `comfy-aimdo`, a library
in C. Here that library's allocations are plain tensors, and all the host's own Python code runs as it would there:
dynamic patchers, Linears without a weight until a file is read, small modules loaded at once, LoRAs applied as weights
are brought in.

Two things are not shown: files are read whole instead of being mapped, and no weight is ever pushed out. With
WAN_DUET_DYNAMIC_VRAM=streamed none stays, so each is brought in and patched anew at every use.
"""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

VARIABLE = "WAN_DUET_DYNAMIC_VRAM"
RESIDENT, STREAMED = "resident", "streamed"
GPU, FILE = torch.device("cpu", 0), torch.device("cpu", 1)  # to torch no other places than `cpu`, to the host others


def wanted() -> str | None:
    """The mode that the environment asks for, `resident` or `streamed`; None for an ordinary host."""
    mode = os.environ.get(VARIABLE)
    if mode not in (None, RESIDENT, STREAMED):
        raise ValueError(f"{VARIABLE}={mode}: write {RESIDENT} or {STREAMED}")
    return mode


def switch_on(mode: str) -> None:
    """Switch the host in this process over, before it loads a model. Raise ImportError where it has no DynamicVRAM."""
    _replace_aimdo(mode)
    modules = ("memory_management", "model_management", "model_patcher", "pinned_memory", "sd", "utils")
    memory, management, patcher, pinned, sd, utils = (_replaceable(f"comfy.{name}") for name in modules)
    utils.load_torch_file = _reader(utils.load_torch_file)
    sd.load_diffusion_model_state_dict = _marking(sd.load_diffusion_model_state_dict)
    pinned.get_pin = pinned.pin_memory = lambda *_, **__: None
    management.get_torch_device = lambda: GPU
    management.is_device_cpu = lambda device: False
    # The class steps aside for an ordinary patcher where the device is a CPU
    patcher.ModelPatcherDynamic.__new__ = lambda cls, *_, **__: object.__new__(cls)
    patcher.CoreModelPatcher = patcher.ModelPatcherDynamic
    memory.aimdo_enabled = True


def _replaceable(module: str) -> Any:
    """Import a module whose names are about to be replaced."""
    return importlib.import_module(module)


def _replace_aimdo(mode: str) -> None:
    buffers, weights, places = (_replaceable(f"comfy_aimdo.{name}") for name in ("host_buffer", "model_vbar", "torch"))
    buffers.HostBuffer = _NoBuffer
    weights.ModelVBAR = _Resident if mode == RESIDENT else _Streamed
    weights.vbars_analyze = lambda *_: 0
    places.aimdo_to_tensor = lambda place, device: place[0].tensors[place[1]]


class _Resident:
    """Stands in for the addresses of one model on the GPU: what came in once is there the next time."""

    def __init__(self, *_: object) -> None:
        self.tensors: list[Tensor] = []

    def alloc(self, size: int) -> tuple[_Resident, int, int]:
        self.tensors.append(torch.zeros(size, dtype=torch.uint8))
        return self, len(self.tensors) - 1, size

    def fault(self, number: int, size: int) -> bytes | None:
        """Return a mark that is the same for as long as the bytes at an address are; None if they can't stay."""
        return number.to_bytes(8, "little")

    def nothing(self, *_: object) -> int:
        return 0

    loaded_size = free_memory = prioritize = deprioritize = unpin = set_watermark_limit = nothing


class _Streamed(_Resident):
    """A GPU that is full: nothing that comes in can stay."""

    def fault(self, number: int, size: int) -> bytes | None:
        return None


class _NoBuffer:
    """Stands in for pinned memory, of which there is none here."""

    size = 0

    def __init__(self, *_: object) -> None: ...

    def truncate(self, *_: object, **__: object) -> None: ...


class _InFile(Tensor):
    """A weight in main memory, or still in its file: elsewhere than the latents, so that the host brings it to them.

    Whatever is computed from it is an ordinary tensor.
    """

    @property
    def device(self) -> torch.device:  # pyright: ignore[reportIncompatibleVariableOverride]
        return FILE

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        with torch._C.DisableTorchFunctionSubclass():
            found = func(*args, **(kwargs or {}))
        return found.as_subclass(cls) if func is Tensor.detach else found  # which makes a parameter of it


def _reader(host_reads: Any) -> Any:
    """Read safetensors files whole, where the host would map them through the library."""

    def read(path: str, *args: Any, return_metadata: bool = False, **kwargs: Any) -> Any:
        if Path(path).suffix.lower() not in (".safetensors", ".sft"):
            return host_reads(path, *args, return_metadata=return_metadata, **kwargs)
        with safe_open(path, framework="pt") as file:
            weights = _marked({key: file.get_tensor(key) for key in file.keys()})  # noqa: SIM118 (not a dict)
            return (weights, file.metadata()) if return_metadata else weights

    return read


def _marking(host_builds: Any) -> Any:
    return lambda weights, *args, **kwargs: host_builds(_marked(weights), *args, **kwargs)


def _marked(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key: weight.as_subclass(_InFile) for key, weight in weights.items()}
