"""Try whether a loader's own layers take what is merged into them, on a copy of one."""

import logging
from collections.abc import Iterable

import torch
from comfy.model_patcher import ModelPatcher

from ...host.lora import unloaded_copy

log = logging.getLogger("wan_duet")

_PART = 0.5  # of the size of the weights: a change that fp8 doesn't round away
_ALL = 2**60  # bytes
_OFF = 0.5  # of that change: the most that may be missing in the output


def takes_patches(patcher: ModelPatcher, weights: Iterable[str], shapes: dict[str, torch.Size]) -> bool:
    """Say whether a patch on the first plain layer among `weights` does to its output what it should.

    A loader with layers of its own may leave patches aside, or round them to nothing. Its MODEL stays as it is.
    """
    name = next((weight for weight in weights if weight.endswith(".weight") and len(shapes[weight]) == 2), None)
    if name is None:
        return False
    made = torch.Generator().manual_seed(0)
    change = torch.randn(shapes[name], generator=made)
    x = torch.randn(1, 8, shapes[name][1], generator=made)
    try:
        plain = _output(patcher, name, {}, x)
        change *= _PART * plain.std() / shapes[name][1] ** 0.5
        changed = _output(patcher, name, {name: ("diff", (change,))}, x)
    except Exception:  # a foreign loader's layer raises what it likes
        log.info("a layer of %s could not be tried", type(patcher).__name__, exc_info=True)
        return False
    wanted = x @ change.T
    return bool((changed - plain - wanted).norm() < _OFF * wanted.norm())


def _output(patcher: ModelPatcher, name: str, patches: dict[str, object], x: torch.Tensor) -> torch.Tensor:
    """The output of a copy of one layer for `x`, loaded with these patches as the whole model would be."""
    owner = name.rpartition(".")[0]
    layer = unloaded_copy(patcher.get_model_object(owner))
    alone = type(patcher)(_model_of(owner, layer), patcher.load_device, patcher.offload_device)
    alone.add_patches(patches, 1.0)
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
