"""Planning before a run: which steps are whose, and one reuse threshold for both experts that meets a target."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from ..host.models import BaseModel
from .settings import CacheSettings
from .state import StageForecast
from .step_rules import FEW_STEPS, StageProgress, StepRange, parse_mask, reason_to_compute
from .techniques.base import Policy, Technique

_THRESHOLDS = tuple(10 ** (exponent / 50) for exponent in range(-200, 51))  # .0001 to 10, in steps of 5 %

OwnSteps = Callable[[Sequence[float]], Sequence[int]]
"""From the sigmas of a run, the numbers of the steps that an expert does."""

PartialModel = Callable[[], BaseModel | None]
"""As much of an expert's model as can be looked at while it may be closed; None if that is not possible."""


@dataclass(frozen=True)
class PlannedRun:
    """The part of a run that one expert does, and what a technique observes at each of its steps."""

    policy: Policy
    settings: CacheSettings
    steps: StepRange
    observed: Sequence[float]

    def decide(self, threshold: float) -> list[bool]:
        """Return for each own step whether it is computed, at one evaluation a step."""
        progress, accumulated, computed = StageProgress(), None, []
        for step, observed in zip(self.steps.own, self.observed, strict=True):
            sigma = self.steps.sigmas[step]
            why = reason_to_compute(self.settings, self.steps, progress, sigma, self.steps.step(sigma))
            computed.append(why is not None or not self.policy.error(accumulated, observed) < threshold)
            accumulated: Any = self.policy.update(accumulated, observed, computed[-1])
            progress.count(computed[-1], sigma)
        return computed


def solve_threshold(runs: Iterable[PlannedRun], target: float) -> float:
    """Return the lowest threshold by which all runs together meet the target, or the one that comes nearest to it."""
    runs = list(runs)
    steps = sum(len(run.observed) for run in runs)
    nearest = (steps + 1, 0.0)
    for threshold in _THRESHOLDS:
        count = sum(sum(run.decide(threshold)) for run in runs)
        nearest = min(nearest, (count, threshold))
        if count <= steps / target:
            break
    return nearest[1]


@dataclass(frozen=True)
class ExpertSchedule:
    """A technique on the expert in `role`, and its share of any run. `idle` says why nothing is ever reused."""

    technique: Technique
    settings: CacheSettings
    role: str
    own: OwnSteps
    idle: str = ""

    def steps(self, sigmas: Tensor) -> tuple[StepRange, str]:
        """Return the expert's part of a run, and why nothing is reused there; empty if something may be."""
        values = tuple(sigmas.tolist())
        steps = len(values) - 1
        self.settings.window.check(steps)
        idle = self.idle
        if not idle and steps < FEW_STEPS and not self.settings.force:
            idle = f"a run of fewer than {FEW_STEPS} steps"
        return StepRange(values, tuple(self.own(values)), parse_mask(self.settings.mask, steps)), idle

    def settings_for(self, policy: Policy, steps: StepRange) -> CacheSettings:
        """Return the settings with as much of a warm-up as the technique wants."""
        return replace(self.settings, warmup=max(self.settings.warmup, policy.warmup(len(steps.own))))

    def plan(self, sigmas: Tensor, model: BaseModel) -> PlannedRun | None:
        """Plan the part of a run on `model`; None if the expert has no step in it or the technique can't plan."""
        steps, _ = self.steps(sigmas)
        if not steps.own:
            return None
        policy = self.technique.policy(model, self.role)
        observed = policy.forecast(model, sigmas[list(steps.own)])
        if observed is None:
            return None
        return PlannedRun(policy, self.settings_for(policy, steps), steps, observed)


class ThresholdPlanner:
    """Plans once for the sigmas of a run, both experts together, so that what was planned is what is done.

    `parts` are the models of experts on which something may be reused.
    """

    def __init__(
        self, settings: CacheSettings, schedules: Mapping[str, ExpertSchedule], parts: Mapping[str, PartialModel]
    ):
        self._settings, self._schedules, self._parts = settings, schedules, parts
        self._sigmas: tuple[float, ...] = ()
        self._forecasts: dict[str, StageForecast] = {}

    def forecast(self, role: str, sigmas: Tensor, model: BaseModel) -> StageForecast | None:
        """Return the forecast for the expert in `role`, whose steps begin now on `model`; None if it can't be made."""
        if self._sigmas != tuple(sigmas.tolist()):
            self._sigmas, self._forecasts = tuple(sigmas.tolist()), self._plan_all(role, sigmas, model)
        if role not in self._forecasts:  # it could not be looked at before
            self._forecasts |= self._choose({role: self._schedules[role].plan(sigmas, model)})
        return self._forecasts.get(role)

    def _plan_all(self, role: str, sigmas: Tensor, model: BaseModel) -> dict[str, StageForecast]:
        runs, note = {role: self._schedules[role].plan(sigmas, model)}, ""
        for other in self._others(role, sigmas) if runs[role] else ():
            part = self._parts[other]()
            if part is None:
                note = f"the {other} expert can't be looked at before it is open: each meets the target for itself"
            else:
                runs[other] = self._schedules[other].plan(sigmas, part)
        return self._choose(runs, note)

    def _others(self, role: str, sigmas: Tensor) -> list[str]:
        """Return the expert that a target counts too: the other one, if it has steps of the run and may reuse."""
        if not self._settings.target:
            return []
        return [other for other in self._parts if other != role and self._schedules[other].steps(sigmas)[0].own]

    def _choose(self, looked: Mapping[str, PlannedRun | None], note: str = "") -> dict[str, StageForecast]:
        runs = {role: run for role, run in looked.items() if run is not None}
        threshold, target = self._settings.threshold, self._settings.target
        notes = (note,) if note else ()
        if target:
            threshold = solve_threshold(runs.values(), target)
            notes = (*notes, f"a reuse threshold of {threshold:.2g} for the target")
        return {
            role: StageForecast(dict(zip(run.steps.own, run.observed, strict=True)), threshold, notes)
            for role, run in runs.items()
        }
