"""The plan: everything about a run that is known before it. Plain numbers, no torch, no host."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from ..experts.kind import HIGH, LOW

TIMESTEPS = 1000
TIE = 1e-3  # of a timestep: a sigma computed to lie on the boundary counts as high, whatever its last bit says


@dataclass(frozen=True)
class Plan:
    """Sigmas from noise to image, the boundary between the experts, the shift, and the cfg of each expert.

    `boundary` is a fraction of 1000 timesteps; None means that a single expert does every step.
    """

    sigmas: tuple[float, ...]
    boundary: float | None
    shift: float
    cfg_high: float
    cfg_low: float

    def role(self, sigma: float) -> str:
        """The expert for an evaluation at `sigma`: high iff its timestep reaches the boundary (Wan 2.2 text2video)."""
        if self.boundary is None or sigma * TIMESTEPS >= self.boundary * TIMESTEPS - TIE:
            return HIGH
        return LOW

    def cfg(self, role: str) -> float:
        """The guidance scale of one expert."""
        return self.cfg_high if role == HIGH else self.cfg_low

    def roles(self, sigmas: Iterable[float] | None = None) -> list[str]:
        """The expert of every step: of the plan's own sigmas, or of those a run was really given."""
        steps = list(self.sigmas if sigmas is None else sigmas)[:-1]
        return [self.role(sigma) for sigma in steps]


def last_steps(sigmas: tuple[float, ...], strength: float) -> tuple[float, ...]:
    """The last `int(steps * strength)` steps, as diffusers cuts a schedule; none at strength 0."""
    steps = len(sigmas) - 1
    kept = min(int(steps * strength), steps)
    return sigmas[steps - kept :] if kept else ()


def split_line(plan: Plan, sigmas: Iterable[float] | None = None) -> str:
    """The split in one line: `26 high + 14 low steps`."""
    roles = plan.roles(sigmas)
    if plan.boundary is None:
        return f"{len(roles)} steps on a single expert"
    return f"{roles.count(HIGH)} high + {roles.count(LOW)} low steps"


def half_split_line(plan: Plan) -> str:
    """What handing over after half the steps would have got wrong."""
    roles = plan.roles()
    half, high = len(roles) // 2, roles.count(HIGH)
    would = f"A half split ({half} + {len(roles) - half}) would"
    if high > half:
        return f"{would} hand {_steps(high - half)} above the boundary to the low expert."
    if high < half:
        return f"{would} leave {_steps(half - high)} below the boundary on the high expert."
    return f"{would} happen to be right here."


def ignored_negative_line(plan: Plan) -> str | None:
    """Which experts skip the negative prompt because their cfg is 1; None if none does."""
    used = dict.fromkeys(plan.roles())
    skipping = [role for role in used if math.isclose(plan.cfg(role), 1.0)]
    if not skipping:
        return None
    if len(skipping) == 2:
        return "Both experts run at cfg 1 and skip the negative prompt."
    who = "The expert" if plan.boundary is None else f"The {skipping[0]} expert"
    return f"{who} runs at cfg 1 and skips the negative prompt."


def table(plan: Plan) -> str:
    """Step, sigma, expert and cfg, one line a step; indented, which Markdown leaves as it is."""
    rows = [
        f"    {step:4d}   {sigma:.4f}   {role:4s}   cfg {plan.cfg(role):g}"
        for step, (sigma, role) in enumerate(zip(plan.sigmas, plan.roles(), strict=False), start=1)
    ]
    return "\n".join(["    step   sigma    expert", *rows])


def _steps(count: int) -> str:
    return f"{count} step{'s' if count > 1 else ''}"
