"""Try on a copy of one layer whether a loader's own layers take LoRAs, merged or added as the weights are used."""

import logging
from collections.abc import Callable, Iterable

import torch
from comfy.model_patcher import ModelPatcher

from ...host.lora import unloaded_copy
from .weight_hooks import hook_weight

log = logging.getLogger("wan_duet")

Put = Callable[[ModelPatcher, str, torch.Tensor], None]
"""Puts a change on the weight of a name, by the patcher of the layer alone."""

_PART = 0.5  # of the size of the weights: a change that fp8 doesn't round away
_ALL = 2**60  # bytes
_OFF = 0.5  # of that change: the most that may be missing in the output


def takes_patches(patcher: ModelPatcher, weights: Iterable[str], shapes: dict[str, torch.Size]) -> bool:
    """Say whether a patch on the first plain layer among `weights` does to its output what it should.

    A loader with layers of its own may leave patches aside, or round them to nothing. Its MODEL stays as it is.
    """
    return _takes(patcher, weights, shapes, _patch)


def takes_hooks(patcher: ModelPatcher, weights: Iterable[str], shapes: dict[str, torch.Size]) -> bool:
    """Say whether a change that is added to a weight at each use, on such a layer, does to its output what it should.

    Layers that unpack their weights as they run may never ask for it.
    """
    return _takes(patcher, weights, shapes, _hook)


def _takes(patcher: ModelPatcher, weights: Iterable[str], shapes: dict[str, torch.Size], put: Put) -> bool:
    name = next((weight for weight in weights if weight.endswith(".weight") and len(shapes[weight]) == 2), None)
    if name is None:
        return False
    made = torch.Generator().manual_seed(0)
    change = torch.randn(shapes[name], generator=made)
    x = torch.randn(1, 8, shapes[name][1], generator=made)
    try:
        plain = _output(patcher, name, x)
        change *= _PART * plain.std() / shapes[name][1] ** 0.5
        changed = _output(patcher, name, x, lambda alone: put(alone, name, change))
    except Exception:  # a foreign loader's layer raises what it likes
        log.info("a layer of %s could not be tried", type(patcher).__name__, exc_info=True)
        return False
    wanted = x @ change.T
    return bool((changed - plain - wanted).norm() < _OFF * wanted.norm())


def _patch(alone: ModelPatcher, name: str, change: torch.Tensor) -> None:
    alone.add_patches({name: ("diff", (change,))}, 1.0)


def _hook(alone: ModelPatcher, name: str, change: torch.Tensor) -> None:
    def add(weight: torch.Tensor) -> torch.Tensor:
        return weight + change.to(weight)

    hook_weight(alone, name, lambda _: add, lambda weight: torch.nn.Parameter(add(weight.detach()), False))


def _output(
    patcher: ModelPatcher, name: str, x: torch.Tensor, put: Callable[[ModelPatcher], None] = lambda alone: None
) -> torch.Tensor:
    """The output of a copy of one layer for `x`, loaded with what is `put` on it as the whole model would be."""
    owner = name.rpartition(".")[0]
    layer = unloaded_copy(patcher.get_model_object(owner))
    alone = type(patcher)(_model_of(owner, layer), patcher.load_device, patcher.offload_device)
    put(alone)
    dtype = getattr(patcher.model, "manual_cast_dtype", None) or patcher.model.get_dtype()
    alone.partially_load(patcher.load_device, extra_memory=_ALL)
    try:
        return layer(x.to(patcher.load_device, dtype)).float().cpu()
    finally:
        alone.detach()


def _model_of(owner: str, layer: torch.nn.Module) -> torch.nn.Module:
    """A model that holds nothing but a layer, under its own name."""
    model = inner = torch.nn.Module()
    *parts, last = owner.split(".")
    for part in parts:
        inner.add_module(part, torch.nn.Module())
        inner = inner.get_submodule(part)
    inner.add_module(last, layer)
    return model
