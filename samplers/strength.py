"""The strength of a scheduled LoRA at every step: a schedule on a plan."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from ..experts.kind import HIGH
from ..experts.lora.merge import MergeLora
from ..experts.lora.schedule import Schedule
from ..experts.lora.scheduled import ScheduledLora
from ..experts.lora.vary import VaryLoras
from ..experts.pair import Change, Expert, Experts
from .plan import Plan


def on_plan(experts: Experts, plan: Plan) -> Experts:
    """The experts with every scheduled LoRA brought to the plan's steps; merged where its strength holds all along.

    Raises ValueError for a schedule with another number of stages than the plan has.
    """
    return replace(experts, high=_on_plan(experts.high, plan), low=experts.low and _on_plan(experts.low, plan))


def strength_at(schedule: Schedule, plan: Plan, sigmas: Sequence[float], sigma: float) -> float:
    """The strength in force at `sigma`, in a run over `sigmas`: that of the step it falls into."""
    stages = _stages(schedule, plan)
    starts = plan.steps(sigmas)
    steps = schedule.steps([stages[plan.phase(start)] for start in starts])
    reached = [step for step, start in enumerate(starts) if start >= sigma * (1 - 1e-5)]
    return steps[reached[-1] if reached else 0]


def _on_plan(expert: Expert, plan: Plan) -> Expert:
    changes: list[Change] = []
    varied: list[ScheduledLora] = []
    for change in expert.changes:
        if not isinstance(change, ScheduledLora):
            changes.append(change)
            continue
        held = _held(change, plan)
        if held is None:
            varied.append(change)
        elif held:
            changes.append(MergeLora(change.path, change.role, held))
    if varied:
        schedules = [lora.strength for lora in varied]
        changes.append(VaryLoras(tuple(varied), partial(_strengths_at, schedules, plan)))
    return replace(expert, changes=tuple(changes))


def _strengths_at(schedules: Sequence[Schedule], plan: Plan, sigmas: Sequence[float], sigma: float) -> list[float]:
    return [strength_at(schedule, plan, sigmas, sigma) for schedule in schedules]


def _held(lora: ScheduledLora, plan: Plan) -> float | None:
    """The strength that holds whenever the LoRA's expert runs; None if it changes."""
    stages = _stages(lora.strength, plan)
    own = {stage for stage, phase in zip(stages, plan.phases, strict=True) if phase.role == lora.role}
    return Schedule(tuple(lora.strength.stages[stage] for stage in sorted(own))).constant


def _stages(schedule: Schedule, plan: Plan) -> list[int]:
    """The stage of the schedule that each phase of the plan is in."""
    count = len(schedule.stages)
    if count == 1:
        return [0] * len(plan.phases)
    if count == len(plan.phases):
        return list(range(count))
    if count == 2:
        return [0 if phase.role == HIGH else 1 for phase in plan.phases]
    raise ValueError(
        f"LoRA schedule '{schedule}' has {count} stages and the plan has {len(plan.phases)} phases. "
        "Write 'high;low', or one list for the whole run"
        + (", or choose the preset 'Anti-slow-motion 3-phase'" if count == 3 else "")
    )
