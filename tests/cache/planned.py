"""Runs of one expert, planned on paper: no model, no sampler."""

import torch
from wan_duet.cache.planner import PlannedRun
from wan_duet.cache.settings import CacheSettings
from wan_duet.cache.step_rules import StepRange
from wan_duet.cache.techniques.base import Policy


def strip(computed: list[bool]) -> str:
    """Return a mark for each evaluation."""
    return "".join("#" if it else "." for it in computed)


def steps_of(steps: int, own: range | None = None) -> StepRange:
    """Return the steps of a run that are evenly spaced, all of them or those in `own`."""
    return StepRange(tuple(torch.linspace(1, 0, steps + 1).tolist()), tuple(own or range(steps)), "." * steps)


def decide(
    policy: Policy, observed: list[float], settings: CacheSettings, steps: StepRange, threshold: float
) -> list[bool]:
    """Return what is computed of a run of one expert."""
    return PlannedRun(policy, settings, steps, observed).decide(threshold)
