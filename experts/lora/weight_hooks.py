"""Hooks that add LoRAs to an expert's weights as they are used, at strengths that follow the sigma.

The host's own hooks merge again at every change, with a copy of every weight they touch.
"""

import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import comfy.utils
import torch
from comfy.model_patcher import ModelPatcher

from ...host.lora import Patch, calculate_weight
from ...host.models import BaseModel
from ...host.patching import WrappersMP
from ..checkpoint.meta_model import skeleton
from .expert_lora import ExpertLora, StrengthsAt
from .files import read_weights, scale_of
from .patches import find_patches

Numbered = tuple[int, Patch]
"""The number of a LoRA of an expert, and what it does to a weight."""


def hook_loras(patcher: ModelPatcher, loras: Sequence[ExpertLora], strengths: StrengthsAt) -> None:
    """Put a function on every weight of `patcher`, a clone, that a LoRA changes; a wrapper sets the strengths."""
    hooks = WeightHooks(strengths, _patches(loras, skeleton(patcher.model.model_config.unet_config)))
    for name in hooks.patches:
        hook_weight(patcher, name, partial(hooks.function, name), partial(hooks.parameter, name))
    patcher.add_wrapper(WrappersMP.APPLY_MODEL, hooks.follow)


def hook_weight(
    patcher: ModelPatcher,
    name: str,
    function: Callable[[Any], Callable[[torch.Tensor], torch.Tensor]],
    parameter: Callable[[Any], torch.nn.Parameter],
) -> None:
    """Put what `function` makes of a module on the weight `name`, or a `parameter` in its place if none is called."""
    owner, _, attribute = name.rpartition(".")
    module: Any = patcher.get_model_object(owner)
    if hasattr(module, f"{attribute}_function"):
        patcher.add_weight_wrapper(name, function(module))
    else:
        patcher.add_object_patch(name, parameter(patcher.get_model_object(name)))


def _patches(loras: Sequence[ExpertLora], model: BaseModel) -> dict[str, list[Numbered]]:
    found: dict[str, list[Numbered]] = {}
    for number, lora in enumerate(loras):
        for part in find_patches(read_weights(lora.path), lora.role, model, scale_of(lora.path)).parts:
            for name, patch in part.items():
                found.setdefault(name, []).append((number, patch))
    return found


class WeightHooks:
    """The LoRAs of an open expert and the strengths in force; it goes when the expert's patcher does.

    Of an evaluation that the host splits over GPUs, each thread comes through here with the same strengths.
    """

    def __init__(self, strengths: StrengthsAt, patches: dict[str, list[Numbered]]):
        self.patches = patches
        self._strengths = strengths
        self._now: Sequence[float] = []
        self._merged: Sequence[float] | None = None  # the strengths that are in the parameters
        self._functions: dict[str, WeightFunction] = {}
        self._parameters: list[tuple[torch.nn.Parameter, torch.Tensor, str]] = []
        self._lock = threading.Lock()

    def function(self, name: str, module: Any) -> "WeightFunction":
        """Make the function for the weight `name`, an attribute of `module`, for the host to call at each use."""
        self._functions[name] = WeightFunction(name, weakref.ref(self), module)
        return self._functions[name]

    def parameter(self, name: str, weight: Any) -> torch.nn.Parameter:
        """Make a parameter for the place of `weight`, which no function reaches; it is kept up with the strengths."""
        parameter = torch.nn.Parameter(weight.detach().clone(), requires_grad=False)
        self._parameters.append((parameter, weight, name))
        return parameter

    def follow(
        self,
        executor: Any,
        x: torch.Tensor,
        t: torch.Tensor,
        c_concat: Any,
        c_crossattn: Any,
        control: Any,
        transformer_options: dict[str, Any],
        **kwargs: Any,
    ) -> Any:
        """Bring the strengths up to date with the sigma, then go on: an APPLY_MODEL wrapper."""
        self._merge(self._strengths(transformer_options["sample_sigmas"].tolist(), float(t.max())))
        with self._everywhere(executor.class_obj):
            return executor(x, t, c_concat, c_crossattn, control, transformer_options, **kwargs)

    def active(self, name: str) -> list[tuple[float, Patch]]:
        """List what is to be done to a weight now, with the strength of each; nothing at strength 0."""
        strengths = self._now
        return [(strengths[lora], patch) for lora, patch in self.patches[name] if strengths and strengths[lora]]

    def _merge(self, strengths: Sequence[float]) -> None:
        with self._lock:
            self._now = strengths
            if strengths == self._merged:
                return
            self._merged = None  # should this fail half-way, the next evaluation starts over
            for parameter, weight, name in self._parameters:
                parameter.copy_(_merged(name, self.active(name), weight.to(torch.float32, copy=True)))
            self._merged = strengths

    @contextmanager
    def _everywhere(self, model: BaseModel) -> Iterator[None]:
        """Put the functions, for one evaluation, on the modules of `model` that the host has left without them.

        DynamicVRAM does not put any on modules of up to 16 KiB, such as a norm, which it loads at once.
        """
        left_out: list[tuple[Any, str, Any]] = []
        for name, function in self._functions.items():
            owner, _, attribute = f"{name}_function".rpartition(".")
            module = comfy.utils.get_attr(model, owner)
            present = getattr(module, attribute)
            if function not in present:
                left_out.append((module, attribute, present))
                setattr(module, attribute, [*present, function])
        try:
            yield
        finally:
            for module, attribute, present in left_out:
                setattr(module, attribute, present)


@dataclass(frozen=True)
class WeightFunction:
    """A function that the host calls with a weight at each use. It may stay on the module when its LoRAs are gone."""

    name: str
    hooks: weakref.ref[WeightHooks]
    module: Any

    def __call__(self, weight: torch.Tensor) -> torch.Tensor:
        """The weight as merging would leave it; at strength 0 the very same."""
        hooks = self.hooks()
        active = hooks.active(self.name) if hooks else []
        if not active:
            return weight
        real = weight.to(torch.float32, copy=True)
        # The host multiplies a scaled fp8 weight by its scale after this
        scale = getattr(self.module, "scale_weight", None) if self.name.endswith(".weight") else None
        if scale is None:
            return _merged(self.name, active, real).to(weight.dtype)
        scale = scale.to(real.device)
        return (_merged(self.name, active, real * scale) / scale).to(weight.dtype)


def _merged(name: str, active: list[tuple[float, Patch]], weight: torch.Tensor) -> torch.Tensor:
    """`weight`, in fp32, with patches at their strengths."""
    return calculate_weight([(strength, patch, 1.0, None, None) for strength, patch in active], weight, name)
