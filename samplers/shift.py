"""The flow shift: as a change to an expert, and as the host's model sampling without a model."""

import copy
from dataclasses import dataclass
from typing import Any

from ..experts.handle import ModelHandle
from ..experts.pair import Experts
from ..host.sampling import CONST, ModelPatcher, ModelSamplingDiscreteFlow, keep_schedules_apart
from .plan import TIMESTEPS


class FlowSampling(ModelSamplingDiscreteFlow, CONST):
    """The model sampling of every Wan: rectified flow on 1000 shifted timesteps."""


def flow_sampling(shift: float) -> FlowSampling:
    """The host's sigma tables for `shift`, with no model loaded."""
    sampling = FlowSampling()
    sampling.set_parameters(shift=shift, multiplier=TIMESTEPS)
    return sampling


@dataclass(frozen=True)
class Shift:
    """Give an expert the plan's shift, so that cond ranges and hook keyframes mean what the plan says."""

    shift: float

    def __call__(self, patcher: ModelPatcher) -> None:
        """Patch a copy of the patcher's own model sampling, whatever class a node may have given it."""
        sampling: Any = copy.deepcopy(patcher.get_model_object("model_sampling"))
        sampling.set_parameters(shift=self.shift, multiplier=sampling.multiplier)
        patcher.add_object_patch("model_sampling", sampling)
        keep_schedules_apart(patcher, sampling)


def connected_shifts(experts: Experts) -> list[float]:
    """The shifts that nodes like ModelSamplingSD3 have put on connected MODELs, in the order high, low."""
    handles = [expert.handle for expert in experts]
    patches = [handle.patcher.object_patches for handle in handles if isinstance(handle, ModelHandle)]
    return [patch["model_sampling"].shift for patch in patches if hasattr(patch.get("model_sampling"), "shift")]
