"""The one door to undocumented names of the host's LoRA code; tests/host/test_lora_contract.py binds it."""

import copy
import math
from typing import Any

import comfy.float
import comfy.utils
import torch
from comfy import model_patcher as patching
from comfy.lora import calculate_weight, load_lora, model_lora_keys_unet
from comfy.lora_convert import convert_lora
from comfy.model_patcher import ModelPatcher
from comfy.weight_adapter import (
    BOFTAdapter,
    GLoRAAdapter,
    LoHaAdapter,
    LoKrAdapter,
    LoRAAdapter,
    OFTAdapter,
    WeightAdapterBase,
)

__all__ = [
    "BOFTAdapter",
    "GLoRAAdapter",
    "LoHaAdapter",
    "LoKrAdapter",
    "LoRAAdapter",
    "OFTAdapter",
    "Patch",
    "calculate_weight",
    "convert_lora",
    "delta_shape",
    "fits",
    "load_lora",
    "magnitude",
    "model_lora_keys_unet",
    "never_merged",
    "patched",
    "unloaded_copy",
]

string_to_seed = getattr(comfy.utils, "string_to_seed", None) or patching.string_to_seed  # moved in 2026

Patch = WeightAdapterBase | tuple[str, tuple[torch.Tensor, ...]]
"""The host's edit of one weight: an adapter, or ("diff" | "set", (tensor,))."""


def delta_shape(patch: Patch) -> tuple[int, ...] | None:
    """The shape a patch is made for: exact for a difference, (rows, columns) for an adapter (0: any), None: unknown."""
    if isinstance(patch, tuple):
        return tuple(patch[1][0].shape)
    weights: Any = patch.weights
    if isinstance(patch, LoRAAdapter):
        up, down, _, mid = weights[:4]
        return up.shape[0], _columns(down) * (math.prod(mid.shape[2:]) if mid is not None else 1)
    if isinstance(patch, LoHaAdapter):
        w1_a, w1_b, _, _, _, t1 = weights[:6]
        return (w1_a.shape[0], w1_b.shape[1]) if t1 is None else (w1_a.shape[1], w1_b.shape[1] * _columns(t1[0]))
    if isinstance(patch, LoKrAdapter):
        w1, w2, _, w1_a, w1_b, w2_a, w2_b, t2 = weights[:8]
        rows_1, columns_1 = w1.shape if w1 is not None else (w1_a.shape[0], w1_b.shape[1])
        if t2 is not None:
            return rows_1 * w2_a.shape[1], columns_1 * w2_b.shape[1] * math.prod(t2.shape[2:])
        rows_2, columns_2 = (w2.shape[0], _columns(w2)) if w2 is not None else (w2_a.shape[0], w2_b.shape[1])
        return rows_1 * rows_2, columns_1 * columns_2
    if isinstance(patch, GLoRAAdapter):
        b1, b2 = weights[2:4]
        first, last = (b1, b2) if b1.shape[1] == b2.shape[0] else (b2, b1)
        return first.shape[0], _columns(last)
    if isinstance(patch, OFTAdapter):
        return math.prod(weights[0].shape[:2]), 0
    if isinstance(patch, BOFTAdapter):
        return math.prod(weights[0].shape[1:3]), 0
    return None


def fits(patch: Patch, shape: torch.Size) -> bool:
    """Say whether the host can apply `patch` to a weight of `shape`.

    Left to itself it writes a line into the log and goes on when it can't, and reshapes a transposed pair in silence.
    """
    made_for = delta_shape(patch)
    if made_for is None or isinstance(patch, tuple):
        return made_for in (None, tuple(shape))
    rows, columns = shape[0], math.prod(shape[1:])
    length = magnitude(patch)
    if length is not None and length.numel() not in (rows, columns):
        return False
    if isinstance(patch, BOFTAdapter) and patch.weights[2] is None:
        return False  # the host compares the missing alpha with a number
    return made_for[0] == rows and made_for[1] in (0, columns)


def magnitude(patch: Patch) -> torch.Tensor | None:
    """The lengths that make a patch a DoRA: it scales the whole weight, so the order of rows matters."""
    position = {LoRAAdapter: 4, LoHaAdapter: 7, LoKrAdapter: 8, GLoRAAdapter: 5, OFTAdapter: 3, BOFTAdapter: 3}
    if isinstance(patch, tuple) or type(patch) not in position:
        return None
    weights: Any = patch.weights
    return weights[position[type(patch)]]


def never_merged(model: torch.nn.Module) -> set[str]:
    """The parameters that the host takes patches for and never merges: those of modules that have modules inside."""
    return {
        f"{name}.{parameter}"
        for name, module in model.named_modules()
        if any(True for child in module.children() for _ in child.parameters())
        for parameter, _ in module.named_parameters(recurse=False)
    }


def patched(patcher: ModelPatcher, name: str, patch: Patch, strength: float) -> torch.nn.Parameter:
    """A copy of the weight `name` with `patch` merged, as the host merges: in fp32, then rounded to its own type."""
    weight: Any = patcher.get_model_object(name)
    merged = calculate_weight([(strength, patch, 1.0, None, None)], weight.to(torch.float32, copy=True), name)
    rounded = comfy.float.stochastic_rounding(merged, weight.dtype, seed=string_to_seed(name))
    return torch.nn.Parameter(rounded, requires_grad=False)


def unloaded_copy(module: torch.nn.Module) -> torch.nn.Module:
    """A copy of a layer that shares the values of its weights, without what the host has left on it to load it."""
    layer = copy.copy(module)
    layer._parameters = {
        name: weight if weight is None else _same_values(weight) for name, weight in module._parameters.items()
    }
    layer._buffers = dict(module._buffers)
    for mark in ("comfy_patched_weights", "_v", "_v_signature", "weight_lowvram_function", "bias_lowvram_function"):
        layer.__dict__.pop(mark, None)
    for functions in ("weight_function", "bias_function"):
        if hasattr(layer, functions):
            setattr(layer, functions, [])
    return layer


def _same_values(weight: torch.nn.Parameter) -> torch.nn.Parameter:
    parameter = torch.nn.Parameter(weight.detach(), requires_grad=False)
    return copy.copy(weight) if parameter is weight else parameter  # some kinds of tensors detach to themselves


def _columns(tensor: torch.Tensor) -> int:
    return math.prod(tensor.shape[1:])
