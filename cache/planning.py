"""What a planned technique will do, before the run, and the reuse threshold that a target asks for."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from .guards import Progress, Stage, forced
from .settings import Settings
from .techniques.base import Policy

_THRESHOLDS = tuple(10 ** (exponent / 50) for exponent in range(-200, 51))  # .0001 to 10, in steps of 5 %


@dataclass(frozen=True)
class Outlook:
    """The part of a run that one expert does, and what a technique sees at each of its steps."""

    policy: Policy
    settings: Settings
    stage: Stage
    changes: Sequence[float]

    def decisions(self, threshold: float) -> list[bool]:
        """Whether each own step is computed, at one evaluation a step."""
        progress, since, computed = Progress(), None, []
        for step, change in zip(self.stage.own, self.changes, strict=True):
            sigma = self.stage.sigmas[step]
            must = forced(self.settings, self.stage, progress, sigma) is not None
            computed.append(must or not self.policy.error(since, change) < threshold)
            since: Any = self.policy.after(since, change, computed[-1])
            progress.count(computed[-1], sigma)
        return computed


def solved(outlooks: Iterable[Outlook], target: float) -> float:
    """The lowest threshold by which all of these together meet the target, or the one that comes nearest to it."""
    outlooks = list(outlooks)
    steps = sum(len(outlook.changes) for outlook in outlooks)
    nearest = (steps + 1, 0.0)
    for threshold in _THRESHOLDS:
        count = sum(sum(outlook.decisions(threshold)) for outlook in outlooks)
        nearest = min(nearest, (count, threshold))
        if count <= steps / target:
            break
    return nearest[1]
