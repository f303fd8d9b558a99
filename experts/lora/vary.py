"""The change that adds LoRAs to an expert's weights as they are used, at strengths that follow the sigma."""

import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from comfy.model_base import BaseModel
from comfy.model_patcher import ModelPatcher
from comfy.patcher_extension import WrappersMP

from ..skeleton import skeleton
from .files import read_weights
from .host import Patch, calculate_weight
from .patches import find_patches
from .scheduled import ScheduledLora

Follow = Callable[[Sequence[float], float], list[float]]
"""From the sigmas of a run and the one at hand, the strength of each of several LoRAs."""


@dataclass(frozen=True)
class VaryLoras:
    """Several LoRA files on one expert, in the order they act, at strengths that change from step to step.

    The host's hooks do the same by merging anew at every change, with a copy of every weight they touch.
    """

    loras: tuple[ScheduledLora, ...]
    strengths: Follow

    def __call__(self, patcher: ModelPatcher) -> None:
        """Put a function on every weight of `patcher`, a clone, that a LoRA changes; a wrapper sets the strengths."""
        varied = Varied(self.strengths, self._patches(skeleton(patcher.model.model_config.unet_config)))
        for name in varied.patches:
            owner, _, attribute = name.rpartition(".")
            module: Any = patcher.get_model_object(owner)
            if hasattr(module, f"{attribute}_function"):
                patcher.add_weight_wrapper(name, WeightFunction(name, weakref.ref(varied), module))
            else:
                patcher.add_object_patch(name, varied.parameter(name, patcher.get_model_object(name)))
        patcher.add_wrapper(WrappersMP.APPLY_MODEL, varied.follow)

    def _patches(self, model: BaseModel) -> "dict[str, list[Numbered]]":
        found: dict[str, list[Numbered]] = {}
        for number, lora in enumerate(self.loras):
            for part in find_patches(read_weights(lora.path), lora.role, model).parts:
                for name, patch in part.items():
                    found.setdefault(name, []).append(Numbered(number, patch))
        return found


class Numbered(NamedTuple):
    """What one of several LoRAs, by its number, does to a weight."""

    lora: int
    patch: Patch


class Varied:
    """The LoRAs of an open expert and the strengths in force; it goes when the expert's patcher does."""

    def __init__(self, strengths: Follow, patches: dict[str, list[Numbered]]):
        self.patches = patches
        self._strengths = strengths
        self._now: list[float] = []
        self._parameters: list[tuple[torch.nn.Parameter, torch.Tensor, str]] = []

    def parameter(self, name: str, weight: Any) -> torch.nn.Parameter:
        """A parameter for the place of `weight`, which no function reaches; it is kept up with the strengths."""
        parameter = torch.nn.Parameter(weight.detach().clone(), requires_grad=False)
        self._parameters.append((parameter, weight, name))
        return parameter

    def follow(
        self,
        executor: Callable,
        x: torch.Tensor,
        t: torch.Tensor,
        c_concat: Any,
        c_crossattn: Any,
        control: Any,
        transformer_options: dict[str, Any],
        **kwargs: Any,
    ) -> Any:
        """An APPLY_MODEL wrapper: bring the strengths up to date with the sigma, then go on."""
        strengths = self._strengths(transformer_options["sample_sigmas"].tolist(), float(t.max()))
        if strengths != self._now:
            self._now = []  # should this fail half-way, the next evaluation starts over
            for parameter, weight, name in self._parameters:
                parameter.copy_(_merged(name, self._active(name, strengths), weight.to(torch.float32, copy=True)))
            self._now = strengths
        return executor(x, t, c_concat, c_crossattn, control, transformer_options, **kwargs)

    def active(self, name: str) -> list[tuple[float, Patch]]:
        """What is to be done to a weight now, with the strength of each; nothing at strength 0."""
        return self._active(name, self._now)

    def _active(self, name: str, strengths: list[float]) -> list[tuple[float, Patch]]:
        return [(strengths[lora], patch) for lora, patch in self.patches[name] if strengths and strengths[lora]]


@dataclass(frozen=True)
class WeightFunction:
    """What the host calls with a weight each time it is used. It may stay on the module when its LoRAs are gone."""

    name: str
    varied: weakref.ref[Varied]
    module: Any

    def __call__(self, weight: torch.Tensor) -> torch.Tensor:
        """The weight as merging would leave it; at strength 0 the very same."""
        varied = self.varied()
        active = varied.active(self.name) if varied else []
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
