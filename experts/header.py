"""The header of a safetensors file: what is in it, before any of it is read."""

from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open


def read_header(path: str, read: tuple[str, ...] = ()) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Every tensor of the file, on the meta device, and its metadata. Keys that end in one of `read` have their values.

    Raises ValueError for a file that is truncated or not safetensors.
    """
    try:
        # For torch the file would be mapped writable, which fails when it is larger than the machine's memory
        with safe_open(path, framework="pt" if read else "np") as file:
            tensors = {
                key: file.get_tensor(key)
                if key.endswith(read)
                else torch.empty(file.get_slice(key).get_shape(), device="meta")
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
