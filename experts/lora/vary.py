"""The change that adds LoRAs to an expert's weights as they are used, at strengths that follow the sigma."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any

import torch
from comfy.model_base import BaseModel
from comfy.model_patcher import ModelPatcher
from comfy.patcher_extension import WrappersMP

from ..skeleton import skeleton
from .files import read_weights
from .host import Patch, calculate_weight
from .patches import find_patches
from .scheduled import ScheduledLora

Numbered = list[tuple[int, Patch]]
"""What several LoRAs do to one weight, each with the number of its LoRA."""


@dataclass(frozen=True)
class VaryLoras:
    """Several LoRA files on one expert; `strengths` gives one for each, from the sigmas of the run and the one at hand.

    The host's hooks do the same by merging anew at every change, with a copy of every weight they touch.
    """

    loras: tuple[ScheduledLora, ...]
    strengths: Callable[[Sequence[float], float], list[float]]

    def __call__(self, patcher: ModelPatcher) -> None:
        """Put a function on every weight of `patcher`, a clone, that a LoRA changes; a wrapper sets the strengths."""
        strengths = Strengths(self.strengths, len(self.loras))
        for name, patches in self._patches(skeleton(patcher.model.model_config.unet_config)):
            module: Any = patcher.get_model_object(name.rpartition(".")[0])
            if hasattr(module, f"{name.rpartition('.')[2]}_function"):
                patcher.add_weight_wrapper(name, Patched(name, patches, strengths, module))
            else:
                patcher.add_object_patch(name, strengths.parameter(name, patches, patcher.get_model_object(name)))
        patcher.add_wrapper(WrappersMP.APPLY_MODEL, strengths.follow)

    def _patches(self, model: BaseModel) -> Iterator[tuple[str, Numbered]]:
        found = [
            (name, number, patch)
            for number, lora in enumerate(self.loras)
            for part in find_patches(read_weights(lora.path), lora.role, model).parts
            for name, patch in part.items()
        ]
        for name, patches in groupby(sorted(found, key=itemgetter(0, 1)), key=itemgetter(0)):
            yield name, [(number, patch) for _, number, patch in patches]


class Strengths:
    """The strengths in force during one evaluation, and the parameters that no function reaches, kept up with them."""

    def __init__(self, strengths: Callable[[Sequence[float], float], list[float]], count: int):
        self.now = [0.0] * count
        self._strengths = strengths
        self._parameters: list[tuple[torch.nn.Parameter, torch.Tensor, str, Numbered]] = []

    def parameter(self, name: str, patches: Numbered, weight: Any) -> torch.nn.Parameter:
        """A parameter to put in the place of `weight`: `weight` with the LoRAs at their strength."""
        parameter = torch.nn.Parameter(weight.detach().clone(), requires_grad=False)
        self._parameters.append((parameter, weight, name, patches))
        return parameter

    def follow(self, executor: Callable, x: Any, t: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        """An APPLY_MODEL wrapper: bring the strengths up to date with the sigma, then go on."""
        options = kwargs.get("transformer_options") or args[3]
        now = self._strengths(options["sample_sigmas"].tolist(), float(t.max()))
        if now != self.now:
            self.now = now
            for parameter, weight, name, patches in self._parameters:
                parameter.copy_(self.merged(name, patches, weight.to(torch.float32, copy=True)))
        return executor(x, t, *args, **kwargs)

    def merged(self, name: str, patches: Numbered, weight: torch.Tensor) -> torch.Tensor:
        """`weight`, in fp32, with the patches at the strengths in force."""
        active = [(self.now[number], patch, 1.0, None, None) for number, patch in patches if self.now[number]]
        return calculate_weight(active, weight, name)


@dataclass(frozen=True)
class Patched:
    """The function the host calls with a weight each time it is used."""

    name: str
    patches: Numbered
    strengths: Strengths
    module: Any

    def __call__(self, weight: torch.Tensor) -> torch.Tensor:
        """The weight as merging would leave it; at strength 0 the very same."""
        if not any(self.strengths.now[number] for number, _ in self.patches):
            return weight
        real = weight.to(torch.float32, copy=True)
        scale = getattr(self.module, "scale_weight", None)  # scaled fp8: the host multiplies what we return by it
        if scale is None:
            return self.strengths.merged(self.name, self.patches, real).to(weight.dtype)
        scale = scale.to(real.device)
        return (self.strengths.merged(self.name, self.patches, real * scale) / scale).to(weight.dtype)
