"""Schedulers, which space the sigmas of a run: the host's, two that are made for flow, and the official grids."""

import math
from collections.abc import Callable
from itertools import pairwise

import torch

from ..host.sampling import SCHEDULER_NAMES, KSampler, calculate_sigmas, get_sigmas_exponential, get_sigmas_karras
from .shift import flow_sampling

# The noise range of the diffusion schedule that diffusers spaces Karras and exponential sigmas over.
VE_SIGMA_MIN, VE_SIGMA_MAX = 0.0100, 157.4


def _in_flow(scheduler: Callable[..., torch.Tensor]) -> Callable[[int, float], torch.Tensor]:
    """A variance-exploding scheduler mapped onto flow by `sigma / (1 + sigma)`; the map takes the shift's place."""

    def sigmas(steps: int, shift: float) -> torch.Tensor:
        ve = scheduler(steps, VE_SIGMA_MIN, VE_SIGMA_MAX)
        return ve / (1 + ve)

    return sigmas


def _official(first: float) -> Callable[[int, float], torch.Tensor]:
    """The grid of an official Wan solver: evenly from `first` down, then shifted."""

    def sigmas(steps: int, shift: float) -> torch.Tensor:
        even = torch.linspace(first, 0, steps + 1, dtype=torch.float64)
        return (shift * even / (1 + (shift - 1) * even)).float()

    return sigmas


FLOW_SCHEDULERS = {
    "flow_karras": _in_flow(get_sigmas_karras),
    "flow_exponential": _in_flow(get_sigmas_exponential),
    "wan_unipc": _official(0.999),
    "wan_dpmpp": _official(1.0),
}
SCHEDULERS = [*SCHEDULER_NAMES, *FLOW_SCHEDULERS]

# On flow sigmas these ignore the shift and leave the high-noise expert one or two steps of twenty.
NOT_MADE_FOR_FLOW = {"karras": "flow_karras", "exponential": "flow_exponential", "kl_optimal": "simple"}


def schedule_sigmas(scheduler: str, sampler: str, steps: int, shift: float) -> tuple[float, ...]:
    """`steps + 1` falling sigmas from noise to 0, as the host's KSampler spaces them for `sampler`.

    Fewer where a scheduler repeats itself; ValueError where it has no number for so few steps.
    """
    trim = sampler in KSampler.DISCARD_PENULTIMATE_SIGMA_SAMPLERS
    count = steps + trim
    if scheduler in FLOW_SCHEDULERS:
        sigmas = FLOW_SCHEDULERS[scheduler](count, shift)
    else:
        sigmas = calculate_sigmas(flow_sampling(shift), scheduler, count)
    if trim:
        sigmas = torch.cat([sigmas[:-2], sigmas[-1:]])
    found = sigmas.tolist()
    if not all(map(math.isfinite, found)):
        raise ValueError(f"scheduler '{scheduler}' can't space {steps} steps. Take more steps, or scheduler 'simple'.")
    return tuple(found[:1] + [sigma for before, sigma in pairwise(found) if sigma < before])
