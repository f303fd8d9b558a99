"""The host's memory: whether DynamicVRAM is on, and how to give back what is free."""

import ctypes
import gc
import importlib
import sys

import comfy.cli_args
import comfy.model_management


def maps_files() -> bool:
    """Say whether DynamicVRAM is on: weights stay in their files, with copies in pinned memory while there is room."""
    try:
        return bool(importlib.import_module("comfy.memory_management").aimdo_enabled)
    except (ImportError, AttributeError):  # hosts before DynamicVRAM
        return False


def gives_memory_back() -> bool:
    """Say whether the host drops pinned copies when memory is short, as DynamicVRAM does unless told to hold all."""
    return maps_files() and not getattr(comfy.cli_args.args, "high_ram", False)


def release_memory() -> None:
    """Give back what nobody refers to any more, to the system too: glibc would keep freed weights for itself."""
    gc.collect()
    comfy.model_management.soft_empty_cache()
    if sys.platform == "linux" and (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)):
        trim(0)
