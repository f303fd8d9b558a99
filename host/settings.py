"""The one door to how this ComfyUI was started, and what it chose by that."""

import importlib
from typing import Any

import comfy.cli_args
import comfy.ldm.modules.attention
import torch


def flags() -> frozenset[str]:
    """The switches that are on, and what --fast names."""
    given: dict[str, Any] = vars(comfy.cli_args.args)
    fast = (getattr(feature, "value", "") for feature in given.get("fast") or ())
    return frozenset({name for name, value in given.items() if value is True} | set(fast))


def knows_dynamic_vram() -> bool:
    """Say whether this is a host that can map weights, whether it does or not."""
    return hasattr(comfy.cli_args, "enables_dynamic_vram")


def attention() -> str:
    """The name of the attention that the host has chosen, such as `pytorch` or `sage`."""
    return comfy.ldm.modules.attention.optimized_attention.__name__.removeprefix("attention_")


def compiles(device: torch.device) -> bool:
    """Say whether Comfy Compiler is on."""
    try:
        return bool(importlib.import_module("comfy.model_prefetch").malloc_graph_enabled(device))
    except (ImportError, AttributeError):  # hosts before it
        return False


def writes_metadata() -> bool:
    """Say whether saved files may carry what they were made with."""
    return not comfy.cli_args.args.disable_metadata
