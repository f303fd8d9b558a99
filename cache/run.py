"""A cache on both experts in one run, and the change that brings it there."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

from comfy.model_patcher import ModelPatcher
from comfy.patcher_extension import CallbacksMP

from ..experts.lora.vary import VaryLoras
from ..experts.pair import Change, Expert, Experts
from ..experts.variant import HIGH, LOW
from ..samplers.distilled import distilled_names
from ..samplers.plan import Plan
from .foresight import Foresight
from .planning import Outlook, solved
from .prospect import Prospect
from .report import Log, told
from .settings import Settings
from .techniques.base import Technique
from .techniques.magcache import MEASURE, MagCache
from .wrappers import KEY, ExpertCache, detach

log = logging.getLogger("wan_duet")


@dataclass(frozen=True)
class StepCache:
    """What a cache node puts on a pair: a technique and its settings."""

    technique: Technique
    settings: Settings

    def __str__(self) -> str:
        threshold, target = self.settings.threshold, self.settings.target
        goal = f"target {target:g}x" if target else f"reuse threshold {threshold:g}"
        return f"{self.technique.name}, {goal}, at most {self.settings.max_consecutive} in a row"

    def follow(self, plan: Plan, experts: Experts) -> "CacheRun":
        """The cache in the runs of one guider. Raises ValueError if its window does not fit the plan."""
        if plan.sigmas:
            self.settings.window.check(len(plan.steps()))
        return CacheRun(self, plan, experts)


@dataclass(frozen=True)
class CacheOn:
    """A step cache on the expert in `role`: a change."""

    followed: StepCache
    role: str

    def __str__(self) -> str:
        return str(self.followed)

    def __call__(self, patcher: ModelPatcher) -> None:
        """For a run by another sampler than ours: all its steps are this expert's, and its report goes to the log.

        Raises ValueError where ratios are to be measured: another sampler would not say when all of them are.
        """
        technique, settings = self.followed.technique, self.followed.settings
        if isinstance(technique, MagCache) and technique.ratios == MEASURE:
            raise ValueError(
                f"ratios is '{MEASURE}', which only Wan 2.2 Video Sampler and Wan 2.2 Guider can do. "
                "Connect the experts to one of them for that run, without Models From Experts."
            )
        prospect = Prospect(technique, settings, self.role, _all_steps)
        cache = ExpertCache(prospect, _no_weights, Foresight(settings, {self.role: prospect}, {}))
        cache.attach(patcher)
        options: dict[str, Any] = patcher.model_options
        options[KEY] = self.followed

        def say(_: ModelPatcher) -> None:
            for line in _report(self.followed, [cache]):
                log.info(line)
            cache.begin()

        patcher.add_callback_with_key(CallbacksMP.ON_CLEANUP, KEY, say)


class CacheRun:
    """A step cache that follows a guider's runs: it knows which steps are whose."""

    def __init__(self, cache: StepCache, plan: Plan, experts: Experts):
        self._cache = cache
        roles = (HIGH, LOW) if experts.low else (HIGH,)
        prospects = {role: _prospect(cache, role, plan, experts) for role in roles}
        parts = {role: partial(experts[role].handle.part, cache.technique.modules) for role in roles}
        busy = {role: part for role, part in parts.items() if not prospects[role].idle}
        foresight = Foresight(cache.settings, prospects, busy)
        self._on = {
            role: ExpertCache(prospect, partial(_weights, experts[role]), foresight)
            for role, prospect in prospects.items()
        }

    def on(self, role: str) -> Change:
        """The change that puts it on the expert in `role`."""
        return self._on[role].attach

    def begin(self) -> None:
        """A run begins."""
        for cache in self._on.values():
            cache.begin()

    def leave(self, role: str) -> None:
        """The evaluations go on with another expert: nothing of this one's is kept."""
        self._on[role].drop()

    def report(self) -> list[str]:
        """What was reused in the last run."""
        for role, cache in self._on.items():
            if isinstance(self._cache.technique, MagCache):
                cache.log.note(self._cache.technique.conclude(role, cache.log.measured))
        return _report(self._cache, list(self._on.values()))


def _report(cache: StepCache, on: Sequence[ExpertCache]) -> list[str]:
    """The counts of a run, after the next move if nothing was reused; the threshold that a target asks for."""
    lines, passed = told(str(cache), [it.log for it in on]), [it.passed for it in on if it.passed]
    if lines and passed and cache.settings.target:
        near = solved(passed, cache.settings.target)
        lines.insert(-1, f"  A reuse threshold of about {near:.2g} would have come near the target.")
    measured = isinstance(cache.technique, MagCache) and cache.technique.ratios == MEASURE
    if lines and not measured and not any(it.log.reused for it in on):
        lines.insert(0, f"The cache saved nothing: {_next_move([it.log for it in on], passed)}")
    return lines


def _next_move(logs: Sequence[Log], passed: Sequence[Outlook]) -> str:
    """The way to reuse something, after a run in which every evaluation was computed."""
    if sum(log.reasons.total() for log in logs) == sum(log.computed for log in logs):
        return (
            "every evaluation had to be computed, for the reasons below. For a short run or a distilled model, turn "
            "force on; otherwise lower warmup, or widen the window or the step_mask."
        )
    near = f" of about {solved(passed, 1.5):.2g}" if passed else ""
    return (
        "every evaluation was too far from the one before it. Choose a faster acceleration, or custom and a "
        f"reuse_threshold{near}{' for a third of the evaluations' if near else ' above this one'}."
    )


def with_cache(experts: Experts, cache: StepCache) -> Experts:
    """The experts with a step cache, in the place of one that was there."""
    bare = without_cache(experts)
    for role in (HIGH, LOW) if experts.low else (HIGH,):
        bare = bare.with_change(CacheOn(cache, role), role)
    return bare


def taken_off(patchers: Sequence[ModelPatcher]) -> tuple[list[ModelPatcher], StepCache | None]:
    """MODELs without the step cache that all of them bring along from a pair, and that cache, if there is one."""
    cache, *others = cast(Iterable[Any], (patcher.model_options.get(KEY) for patcher in patchers))
    if cache is None or any(other != cache for other in others):
        return list(patchers), None
    bare = [patcher.clone() for patcher in patchers]
    for patcher in bare:
        detach(patcher)
    return bare, cache


def without_cache(experts: Experts) -> Experts:
    """The experts without a step cache."""
    return experts.without(CacheOn)


def _prospect(cache: StepCache, role: str, plan: Plan, experts: Experts) -> Prospect:
    own = partial(_own_steps, plan, role) if experts.low else _all_steps
    return Prospect(cache.technique, cache.settings, role, own, _idle(cache.settings, role, plan, experts))


def _idle(settings: Settings, role: str, plan: Plan, experts: Experts) -> str:
    """Why nothing is reused on the expert in `role` whatever the run; empty if something may be."""
    if settings.low_only and role == HIGH and experts.low:
        return "low expert only"
    names = distilled_names(experts, plan, role)
    return f"distilled ({names[0]})" if names and not settings.force else ""


def _own_steps(plan: Plan, role: str, sigmas: Sequence[float]) -> list[int]:
    return [step for step, own in enumerate(plan.roles(sigmas)) if own == role]


def _all_steps(sigmas: Sequence[float]) -> range:
    return range(len(sigmas) - 1)


def _weights(expert: Expert, sigmas: Sequence[float], sigma: float) -> tuple[float, ...]:
    varied = [change for change in expert.changes if isinstance(change, VaryLoras)]
    return tuple(strength for change in varied for strength in change.strengths(sigmas, sigma))


def _no_weights(sigmas: Sequence[float], sigma: float) -> tuple[float, ...]:
    return ()
