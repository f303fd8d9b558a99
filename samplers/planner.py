"""From a pair of experts and a few numbers to a plan, and what the user should know about it before the run."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from ..experts.pair import Experts
from ..experts.variant import HIGH, LOW
from .distilled import distilled_lines
from .lora_schedule import resolve_loras
from .plan import Phase, Plan, half_split_line, ignored_negative_line, last_steps, split_line, table, two_phases
from .schedules import NOT_MADE_FOR_FLOW, schedule_sigmas
from .shift import connected_shifts
from .solvers.names import describe_solver, wrong_line

AUTO = 0.0  # a boundary or shift of 0 follows the model
LAST_STEPS, ALL_STEPS = "last steps", "all steps"
FULL_NOISE = 0.9999
STRENGTH_MODES = (LAST_STEPS, ALL_STEPS)
NO_OPTIONS: Mapping[str, Any] = MappingProxyType({})


def make_plan(
    experts: Experts,
    *,
    steps: int,
    cfg_high: float,
    cfg_low: float,
    shift: float = AUTO,
    sampler: str = "euler",
    options: Mapping[str, Any] = NO_OPTIONS,
    scheduler: str = "simple",
    strength: float = 1.0,
    boundary: float = AUTO,
    opening: tuple[Phase, ...] = (),
    strength_mode: str = LAST_STEPS,
) -> Plan:
    """The plan for `experts`; opens nothing. Boundary and shift follow the model unless given.

    A shift that a node has put on connected MODELs counts as the model's own. The `opening` phases come first.
    Below strength 1 the last part of `steps` runs, or, with ALL_STEPS, as many steps from a later start (ComfyUI's
    `denoise`).
    """
    connected = connected_shifts(experts)
    chosen_shift = shift or (connected[0] if connected else experts.variant.shift)
    if strength_mode == ALL_STEPS and strength > 0:
        sigmas = schedule_sigmas(scheduler, sampler, int(steps / strength), chosen_shift)[-steps - 1 :]
    else:
        sigmas = last_steps(schedule_sigmas(scheduler, sampler, steps, chosen_shift), strength)
    pair = two_phases(boundary or experts.variant.boundary, cfg_high, cfg_low)
    phases = pair if experts.low else (Phase(HIGH, cfg_high),)
    return Plan(sigmas, chosen_shift, (*opening, *phases), sampler, dict(options), scheduler, steps, strength)


def report(plan: Plan, experts: Experts) -> str:
    """Report a plan: the split in one line, what a half split would get wrong, warnings, then the table of steps.

    Raises ValueError for a LoRA schedule that the plan has no phases for.
    """
    experts = resolve_loras(experts, plan)
    if not plan.sigmas:
        return "No step to do: at this strength the latent comes back as it is."
    settings = [f"shift {plan.shift:g}", f"{describe_solver(plan.sampler, plan.options)} / {plan.scheduler}"]
    if plan.boundary is not None:
        settings.insert(0, f"boundary {plan.boundary:g}")
    lines = [f"{split_line(plan)} ({', '.join(settings)})"]
    if plan.strength < 1:
        lines += _start_lines(plan)
    elif plan.boundary is not None:
        lines.append(half_split_line(plan))
    lines += [f"Opens at cfg {phase.cfg:g}, down to timestep {phase.floor * 1000:g}." for phase in plan.opening]
    return "\n".join([*lines, *_warnings(plan, experts), "", table(plan)])


def _start_lines(plan: Plan) -> list[str]:
    """The start of a run below strength 1, and what it leaves of the source."""
    ran, steps, strength = len(plan.steps()), plan.steps_asked_for, plan.strength
    which = f"the last {ran} of {steps} steps" if ran < steps else f"all {steps} steps"
    lines = [f"Starts at sigma {plan.sigmas[0]:.4f}: {which}."]
    if steps * strength < 1 and ran == 1:
        lines.append(f"Strength {strength:g} of {steps} steps is less than one step: one runs.")
    if plan.sigmas[0] >= FULL_NOISE:
        lines.append(f"That is pure noise: at strength {strength:g} nothing is left of the source.")
    if plan.boundary is not None and HIGH not in plan.roles():
        lines.append("The high expert has no step: its file is not opened.")
    return lines


def _warnings(plan: Plan, experts: Experts) -> list[str]:
    lines = [wrong_line(plan.sampler) or ""]
    if better := NOT_MADE_FOR_FLOW.get(plan.scheduler):
        lines.append(f"Scheduler '{plan.scheduler}' is not made for flow models: try '{better}'.")
    idle = {HIGH, LOW} - set(plan.roles())
    if plan.boundary is not None and idle and plan.sigmas[0] > plan.boundary:
        lines.append(f"The {idle.pop()} expert gets no step at all.")
    connected = connected_shifts(experts)
    if any(shift != plan.shift for shift in connected):
        values = " and ".join(f"{shift:g}" for shift in dict.fromkeys(connected))
        lines.append(f"The connected MODELs carry shift {values}; this run uses {plan.shift:g} for both experts.")
    lines += _unguided_lines(plan)
    lines.append(ignored_negative_line(plan) or "")
    lines += distilled_lines(experts, plan)
    return [line for line in lines if line]


def _unguided_lines(plan: Plan) -> list[str]:
    """A warning for every cfg below 1 among the run's steps."""
    low = sorted({cfg for sigma in plan.steps() if (cfg := plan.cfg(sigma)) < 1})
    return [
        f"cfg {cfg:g} is below 1, where there is no guidance: "
        + ("it leads towards the negative prompt." if cfg else "only the negative prompt counts.")
        for cfg in low
    ]
