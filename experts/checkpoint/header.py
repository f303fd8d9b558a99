"""The header of a safetensors file: what is in it, before any of it is read."""

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

SAID = ".comfy_quant"  # ends the names of tensors of a few bytes, each of which says how a weight is packed
_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
}
_PACKED = torch.uint8  # stands for every other type, of which torch may not know the name


def read_header(path: str, read: tuple[str, ...] = ()) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Every tensor of the file, on the meta device, and its metadata.

    Keys that end in one of `read` have their values, and those that say how weights are packed. Raises ValueError for
    a file that is truncated or not safetensors.
    """
    try:
        # For torch the file would be mapped writable, which fails when it is larger than the machine's memory
        with safe_open(path, framework="pt" if read else "np") as file:
            tensors = {
                key: torch.as_tensor(file.get_tensor(key)) if key.endswith((*read, SAID)) else _shape_of(file, key)
                for key in file.keys()  # noqa: SIM118 (not a dict)
            }
            return tensors, file.metadata() or {}
    except SafetensorError as error:
        raise ValueError(
            f"{path} is truncated or not a safetensors file ({error}). It has {Path(path).stat().st_size:,} bytes: "
            "compare that with its download page and fetch it again."
        ) from error


def stored_types(path: str) -> frozenset[str]:
    """The types of a file's tensors, by the names that safetensors gives them, such as BF16 and F8_E4M3."""
    with safe_open(path, framework="np") as file:
        return frozenset(file.get_slice(key).get_dtype() for key in file.keys())  # noqa: SIM118 (not a dict)


def _shape_of(file: Any, key: str) -> torch.Tensor:
    stored = file.get_slice(key)
    return torch.empty(stored.get_shape(), dtype=_DTYPES.get(stored.get_dtype(), _PACKED), device="meta")
