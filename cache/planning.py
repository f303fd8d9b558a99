"""What a planned technique will do, before the run, and the reuse threshold that a target asks for."""

from collections.abc import Sequence
from typing import Any

from .guards import Progress, Stage, forced
from .policy import Policy
from .settings import Settings

_THRESHOLDS = tuple(10 ** (exponent / 50) for exponent in range(-200, 51))  # .0001 to 10, in steps of 5 %


def decisions(
    policy: Policy, changes: Sequence[float], settings: Settings, stage: Stage, threshold: float
) -> list[bool]:
    """Whether each own step is computed, at one evaluation a step."""
    progress, since, computed = Progress(), None, []
    for step, change in zip(stage.own, changes, strict=True):
        sigma = stage.sigmas[step]
        must = forced(settings, stage, progress, sigma) is not None
        computed.append(must or not policy.error(since, change) < threshold)
        since: Any = policy.after(since, change, computed[-1])
        progress.count(computed[-1], sigma)
    return computed


def solved(policy: Policy, changes: Sequence[float], settings: Settings, stage: Stage) -> float:
    """The lowest threshold that meets the target on this stage, or the one that comes nearest to it."""
    wanted = len(stage.own) / settings.target
    nearest = (len(stage.own) + 1, 0.0)
    for threshold in _THRESHOLDS:
        count = sum(decisions(policy, changes, settings, stage, threshold))
        nearest = min(nearest, (count, threshold))
        if count <= wanted:
            break
    return nearest[1]
