"""The plan: everything about a run that is known before it. Plain numbers, no torch, no host."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..experts.variant import HIGH, LOW

TIMESTEPS = 1000
ALMOST = 1e-9  # of a step: 90 steps at strength .7 are 63, whatever the product's last bit says
TIE = 1e-3  # of a timestep: a sigma computed to lie on the boundary counts as high, whatever its last bit says


@dataclass(frozen=True)
class Phase:
    """A stretch of the run by one expert at one cfg, down to `floor`, a fraction of 1000 timesteps."""

    role: str
    cfg: float
    floor: float = 0.0


@dataclass(frozen=True)
class Plan:
    """A run as it is known beforehand."""

    sigmas: tuple[float, ...]
    """From noise to image, one more than steps; none if there is no step to do."""
    shift: float
    """Flow shift of both experts."""
    phases: tuple[Phase, ...]
    """One for each expert, or more."""
    sampler: str = "euler"
    """Name of the solver."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Options of the solver, such as `order`."""
    scheduler: str = "simple"
    """Name of the spacing of the sigmas."""
    steps_asked_for: int = 0
    """Steps of the whole run, of which a strength below 1 may leave fewer."""
    strength: float = 1.0
    """How much of a video that the run starts from is regenerated, 0 to 1."""

    def phase(self, sigma: float) -> int:
        """The phase of an evaluation at `sigma`: the first whose floor its timestep reaches (Wan 2.2 text2video)."""
        reached = (sigma * TIMESTEPS >= phase.floor * TIMESTEPS - TIE for phase in self.phases)
        return next((number for number, is_it in enumerate(reached) if is_it), len(self.phases) - 1)

    def role(self, sigma: float) -> str:
        """The expert for an evaluation at `sigma`."""
        return self.phases[self.phase(sigma)].role

    def cfg(self, sigma: float) -> float:
        """The guidance scale of an evaluation at `sigma`."""
        return self.phases[self.phase(sigma)].cfg

    @property
    def boundary(self) -> float | None:
        """The floor of the high expert's last phase; None if a single expert does every step."""
        high = [phase.floor for phase in self.phases if phase.role == HIGH]
        return high[-1] if len(high) < len(self.phases) else None

    @property
    def opening(self) -> tuple[Phase, ...]:
        """The phases before the last one of the high expert."""
        return self.phases[: [phase.role for phase in self.phases].count(HIGH) - 1]

    def roles(self, sigmas: Iterable[float] | None = None) -> list[str]:
        """The expert of every step: of the plan's own sigmas, or of those a run was really given."""
        return [self.role(sigma) for sigma in self.steps(sigmas)]

    def steps(self, sigmas: Iterable[float] | None = None) -> list[float]:
        """The sigma every step starts at."""
        return list(self.sigmas if sigmas is None else sigmas)[:-1]


def two_phases(boundary: float, cfg_high: float, cfg_low: float) -> tuple[Phase, ...]:
    """The plain pair: the high expert down to the boundary, then the low one."""
    return Phase(HIGH, cfg_high, boundary), Phase(LOW, cfg_low)


def steps_at(steps: int, strength: float) -> int:
    """Number of `steps` that run at a strength: `int(steps * strength)` as in diffusers, but one at least above 0."""
    return max(min(math.floor(steps * strength + ALMOST), steps), int(strength > 0))


def last_steps(sigmas: tuple[float, ...], strength: float) -> tuple[float, ...]:
    """The last steps of a schedule, as many as its strength leaves; none at strength 0."""
    steps = len(sigmas) - 1
    kept = steps_at(steps, strength)
    return sigmas[steps - kept :] if kept else ()


def split_line(plan: Plan, sigmas: Iterable[float] | None = None) -> str:
    """The split in one line: `26 high + 14 low steps`."""
    roles = plan.roles(sigmas)
    if plan.boundary is None:
        return f"{len(roles)} steps on a single expert"
    return f"{roles.count(HIGH)} high + {roles.count(LOW)} low steps"


def half_split_line(plan: Plan) -> str:
    """The mistake that handing over after half the steps would have been."""
    roles = plan.roles()
    half, high = len(roles) // 2, roles.count(HIGH)
    would = f"A half split ({half} + {len(roles) - half}) would"
    if high > half:
        return f"{would} hand {_steps(high - half)} above the boundary to the low expert."
    if high < half:
        return f"{would} leave {_steps(half - high)} below the boundary on the high expert."
    return f"{would} happen to be right here."


def ignored_negative_line(plan: Plan) -> str | None:
    """Number of steps that skip the negative prompt because their cfg is 1; None if none does."""
    steps = plan.steps()
    skipping = sum(math.isclose(plan.cfg(sigma), 1.0) for sigma in steps)
    if not skipping:
        return None
    if skipping == len(steps):
        return "The whole run is at cfg 1 and skips the negative prompt."
    return f"{skipping} of {len(steps)} steps run at cfg 1 and skip the negative prompt."


def table(plan: Plan) -> str:
    """Step, sigma, expert and cfg, one line a step; indented, which Markdown leaves as it is."""
    rows = [
        f"    {step:4d}   {sigma:.4f}   {plan.role(sigma):4s}   cfg {plan.cfg(sigma):g}"
        for step, sigma in enumerate(plan.steps(), start=1)
    ]
    return "\n".join(["    step   sigma    expert", *rows])


def _steps(count: int) -> str:
    return f"{count} step{'s' if count > 1 else ''}"
