"""A step cache on both experts in one run, and the change that brings it there."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

from comfy.model_patcher import ModelPatcher

from ..experts.pair import Experts, PatcherEdit
from ..experts.variant import HIGH, LOW
from ..host.patching import CallbacksMP
from ..samplers.distilled import distilled_names
from ..samplers.observers import ObservedChange, RunObserver
from ..samplers.plan import Plan
from .planner import ExpertSchedule, PlannedRun, ThresholdPlanner, solve_threshold
from .report import CacheLog, format_report
from .settings import CacheSettings
from .techniques.base import Technique
from .wrappers import KEY, ExpertCache, detach

log = logging.getLogger("wan_duet")


@dataclass(frozen=True)
class StepCache:
    """A step cache as a node puts it on a pair: a technique and its settings."""

    technique: Technique
    """The technique with its own settings."""
    settings: CacheSettings
    """The settings that every technique has."""

    def __str__(self) -> str:
        threshold, target = self.settings.threshold, self.settings.target
        goal = f"target {target:g}x" if target else f"reuse threshold {threshold:g}"
        return f"{self.technique.name}, {goal}, at most {self.settings.max_consecutive} in a row"


@dataclass(frozen=True)
class CacheOn(ObservedChange):
    """A step cache on the expert in `role`: a change."""

    source: StepCache

    def __str__(self) -> str:
        return str(self.source)

    def observe(self, plan: Plan, experts: Experts) -> RunObserver:
        """Return the cache in the runs of one guider; raises ValueError if its window does not fit the plan."""
        if plan.sigmas:
            self.source.settings.window.check(len(plan.steps()))
        return CacheRun(self.source, plan, experts)

    def __call__(self, patcher: ModelPatcher) -> None:
        """Attach it for a run by another sampler: all steps are this expert's, and the report goes to the log.

        Raises ValueError if the technique needs our own sampler.
        """
        technique, settings = self.source.technique, self.source.settings
        technique.check_unguided()
        schedule = ExpertSchedule(technique, settings, self.role, _all_steps)
        cache = ExpertCache(schedule, _no_strengths, ThresholdPlanner(settings, {self.role: schedule}, {}))
        cache.attach(patcher)
        options: dict[str, Any] = patcher.model_options
        options[KEY] = self.source

        def say(_: ModelPatcher) -> None:
            for line in _report(self.source, [cache]):
                log.info(line)
            cache.begin()

        patcher.add_callback_with_key(CallbacksMP.ON_CLEANUP, KEY, say)


class CacheRun:
    """A step cache that observes a guider's runs: it knows which steps are whose."""

    def __init__(self, cache: StepCache, plan: Plan, experts: Experts):
        self._cache = cache
        roles = (HIGH, LOW) if experts.low else (HIGH,)
        schedules = {role: _schedule(cache, role, plan, experts) for role in roles}
        parts = {role: partial(experts[role].handle.part, cache.technique.modules) for role in roles}
        busy = {role: part for role, part in parts.items() if not schedules[role].idle}
        planner = ThresholdPlanner(cache.settings, schedules, busy)
        self._on = {
            role: ExpertCache(schedule, experts[role].strengths_at, planner) for role, schedule in schedules.items()
        }

    def on(self, role: str) -> PatcherEdit:
        """Return the change that puts it on the expert in `role`."""
        return self._on[role].attach

    def begin(self) -> None:
        """Start the count of a run."""
        for cache in self._on.values():
            cache.begin()

    def leave(self, role: str) -> None:
        """Drop all that is kept of the expert in `role`: the evaluations go on with another one."""
        self._on[role].drop()

    def report(self) -> list[str]:
        """Format what was reused in the last run."""
        for role, cache in self._on.items():
            cache.log.note(self._cache.technique.conclude(role, cache.log.figures))
        return _report(self._cache, list(self._on.values()))


def _report(cache: StepCache, on: Sequence[ExpertCache]) -> list[str]:
    """Format the counts of a run, after the next move if nothing was reused; the threshold that a target asks for."""
    logs, passed = [it.log for it in on], [it.passed for it in on if it.passed]
    lines = format_report(str(cache), logs)
    if lines and passed and cache.settings.target:
        near = solve_threshold(passed, cache.settings.target)
        lines.insert(-1, f"  A reuse threshold of about {near:.2g} would have come near the target.")
    if lines and not any(log.reused or log.figures for log in logs):  # a run that measures saves nothing on purpose
        lines.insert(0, f"The cache saved nothing: {_next_move(logs, passed)}")
    return lines


def _next_move(logs: Sequence[CacheLog], passed: Sequence[PlannedRun]) -> str:
    """Name the way to reuse something, after a run in which every evaluation was computed."""
    if sum(log.reasons.total() for log in logs) == sum(log.computed for log in logs):
        return (
            "every evaluation had to be computed, for the reasons below. For a short run or a distilled model, turn "
            "force on; otherwise lower warmup, or widen the window or the step_mask."
        )
    near = f" of about {solve_threshold(passed, 1.5):.2g}" if passed else ""
    return (
        "every evaluation was too far from the one before it. Choose a faster acceleration, or custom and a "
        f"reuse_threshold{near}{' for a third of the evaluations' if near else ' above this one'}."
    )


def with_cache(experts: Experts, cache: StepCache) -> Experts:
    """Return the experts with a step cache, in the place of one that was there."""
    bare = without_cache(experts)
    for role in (HIGH, LOW) if experts.low else (HIGH,):
        bare = bare.with_change(CacheOn(cache, role), role)
    return bare


def take_off_cache(patchers: Sequence[ModelPatcher]) -> tuple[list[ModelPatcher], StepCache | None]:
    """Return MODELs without the step cache that all of them bring along from a pair, and that cache if there is one."""
    cache, *others = cast(Iterable[Any], (patcher.model_options.get(KEY) for patcher in patchers))
    if cache is None or any(other != cache for other in others):
        return list(patchers), None
    bare = [patcher.clone() for patcher in patchers]
    for patcher in bare:
        detach(patcher)
    return bare, cache


def without_cache(experts: Experts) -> Experts:
    """Return the experts without a step cache."""
    return experts.without(CacheOn)


def _schedule(cache: StepCache, role: str, plan: Plan, experts: Experts) -> ExpertSchedule:
    own = partial(_own_steps, plan, role) if experts.low else _all_steps
    return ExpertSchedule(cache.technique, cache.settings, role, own, _idle(cache.settings, role, plan, experts))


def _idle(settings: CacheSettings, role: str, plan: Plan, experts: Experts) -> str:
    """Return why nothing is reused on the expert in `role` whatever the run; empty if something may be."""
    if settings.low_only and role == HIGH and experts.low:
        return "low expert only"
    names = distilled_names(experts, plan, role)
    return f"distilled ({names[0]})" if names and not settings.force else ""


def _own_steps(plan: Plan, role: str, sigmas: Sequence[float]) -> list[int]:
    return [step for step, own in enumerate(plan.roles(sigmas)) if own == role]


def _all_steps(sigmas: Sequence[float]) -> range:
    return range(len(sigmas) - 1)


def _no_strengths(sigmas: Sequence[float], sigma: float) -> tuple[float, ...]:
    return ()
