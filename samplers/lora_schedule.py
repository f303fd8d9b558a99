"""The strength of a scheduled LoRA at every step: a schedule on a plan."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from ..experts.handle import ModelHandle
from ..experts.lora.expert_lora import ExpertLora
from ..experts.lora.schedule import Schedule, constant
from ..experts.lora.verify import takes_hooks
from ..experts.pair import Expert, Experts
from ..experts.variant import HIGH
from .plan import Plan

BLOCKS = ".blocks."  # their layers are packed in every packed file


def resolve_loras(experts: Experts, plan: Plan) -> Experts:
    """The experts with their LoRAs brought to the plan's steps: merged where each strength holds all along.

    Raises ValueError for a schedule with another number of parts than the plan has phases, and for one that changes
    while the layers of a foreign loader run that take no such change.
    """
    return replace(experts, high=_resolve(experts.high, plan), low=experts.low and _resolve(experts.low, plan))


def strength_at(schedule: Schedule, plan: Plan, sigmas: Sequence[float], sigma: float) -> float:
    """The strength in force at `sigma`, in a run over `sigmas`: that of the step it falls into."""
    starts = plan.steps(sigmas)
    parts = _parts(schedule, plan)
    strengths = schedule.steps([parts[plan.phase(start)] for start in starts])
    above = [step for step, start in enumerate(starts) if start >= sigma * (1 - 1e-5)]
    return strengths[min(above, key=lambda step: starts[step], default=0)]


def _resolve(expert: Expert, plan: Plan) -> Expert:
    """If any LoRA varies, all on this expert do: a DoRA acts on what the ones before it made."""
    if expert.strengths is not None:
        return expert
    loras = tuple(_at_held_strength(lora, plan) for lora in expert.loras)
    if all(lora.strength.constant is not None for lora in loras):
        return replace(expert, loras=tuple(lora for lora in loras if lora.strength.constant))
    _check_takes_hooks(expert)
    schedules = [lora.strength for lora in loras]
    return replace(expert, loras=loras, strengths=partial(_strengths_at, schedules, plan))


def _at_held_strength(lora: ExpertLora, plan: Plan) -> ExpertLora:
    held = _held(lora, plan) if lora.strength.constant is None else lora.strength.constant
    return lora if held is None else replace(lora, strength=constant(held))


def _strengths_at(schedules: Sequence[Schedule], plan: Plan, sigmas: Sequence[float], sigma: float) -> list[float]:
    return [strength_at(schedule, plan, sigmas, sigma) for schedule in schedules]


def _held(lora: ExpertLora, plan: Plan) -> float | None:
    """The strength that holds whenever the LoRA's expert runs; None if it changes."""
    parts = _parts(lora.strength, plan)
    own = {part for part, phase in zip(parts, plan.phases, strict=True) if phase.role == lora.role}
    return Schedule(tuple(lora.strength.parts[part] for part in sorted(own))).constant


def _parts(schedule: Schedule, plan: Plan) -> list[int]:
    """The part of the schedule that each phase of the plan is in."""
    count, phases = len(schedule.parts), plan.phases
    if count == 1:
        return [0] * len(phases)
    if count == len(phases):
        return list(range(count))
    if count == 2 and plan.boundary is not None:
        return [0 if phase.role == HIGH else 1 for phase in phases]
    plural = "" if len(phases) == 1 else "s"
    raise ValueError(
        f"LoRA schedule '{schedule}' has {count} parts between its ';' and the plan has {len(phases)} phase{plural}. "
        "Write one list for the whole run, 'high;low' for two experts, or as many parts as the plan has phases"
    )


def _check_takes_hooks(expert: Expert) -> None:
    """Raise ValueError for a MODEL whose layers use weights that no hook reaches, as those of GGUF loaders do."""
    handle = expert.handle
    if not isinstance(handle, ModelHandle) or handle.checkpoint is None:
        return
    shapes = {name: weight.shape for name, weight in handle.checkpoint.skeleton.state_dict().items()}
    if not takes_hooks(handle.patcher, (name for name in shapes if BLOCKS in name), shapes):
        raise ValueError(
            f"a LoRA schedule changes the strength while the {handle.name} runs, and its loader's layers were not seen "
            "to follow: weights that are unpacked as they are used, as GGUF's are, can't be reached. Give one value a "
            "stage, as in '0.9;1'"
        )
