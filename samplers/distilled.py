"""Distilled LoRAs and plans that don't go together, known by name before the run."""

import math
import re
from collections.abc import Iterator
from pathlib import Path

from ..experts.handle import ModelHandle
from ..experts.pair import Expert, Experts
from .plan import Plan

MANY_STEPS = 16  # twice what the longest recipe takes
_DISTILLED = re.compile(
    r"lightning|lightx2v|lightwan|distill|causvid|fastwan|accvid|fusionx|self[-_ ]?forcing"
    r"|(?:turbo|spark)(?=[-_ ]?(?:diffusion|wan)|[ti]2v|(?![a-z]))|rapid[-_ ]?(?:aio|all)"
    r"|(?<![a-z\d])(?:lcm|dmd|rcm(?![a-z]))|(?<!\d)[1-8][-_ ]?steps?(?![a-z\d])",
    re.IGNORECASE,
)


def is_distilled(name: str) -> bool:
    """Say whether a file's name tells of a distillation to a few steps without guidance."""
    return bool(_DISTILLED.search(name))


def distilled_lines(experts: Experts, plan: Plan) -> list[str]:
    """Warnings where a plan doesn't suit distilled LoRAs, or their absence. `resolve_loras` has made `experts`."""
    steps = plan.steps()
    found = [list(_in_force(experts[plan.role(sigma)], plan, sigma)) for sigma in steps]
    names = dict.fromkeys(name for step in found for name in step)
    guided = sum(bool(step) and plan.cfg(sigma) > 1 for sigma, step in zip(steps, found, strict=True))
    lines = []
    if guided:
        lines.append(f"{guided} of {len(steps)} steps guide a distilled model at a cfg above 1: it is made for cfg 1.")
    if names and len(steps) >= MANY_STEPS:
        lines.append(f"{len(steps)} steps with a distilled model: it is made for 4 to 8.")
    if lines:
        lines.append(f"Distilled by name: {', '.join(names)}.")
    bare = [
        sigma
        for sigma, step in zip(steps, found, strict=True)
        if not step and math.isclose(plan.cfg(sigma), 1.0) and not _unknown(experts[plan.role(sigma)])
    ]
    if bare and len(steps) < MANY_STEPS:
        roles = " and ".join(dict.fromkeys(plan.role(sigma) for sigma in bare))
        lines.append(
            f"{len(bare)} of {len(steps)} steps run at cfg 1 without a distilled LoRA ({roles} expert): "
            "expect a blurred video. Put one on with Apply Wan 2.2 LoRAs before this node."
        )
    return lines


def any_distilled(experts: Experts) -> bool:
    """Say whether an expert is distilled by name, or may be: what a connected MODEL carries is not known."""
    names = [expert.handle.name for expert in experts]
    names += [_name(lora.path) for expert in experts for lora in expert.loras]
    return any(map(is_distilled, names)) or any(map(_unknown, experts))


def distilled_names(experts: Experts, plan: Plan, role: str) -> list[str]:
    """The distilled files that take part in the steps of the expert in `role`, by name."""
    own = (sigma for sigma in plan.steps() if experts.low is None or plan.role(sigma) == role)
    return list(dict.fromkeys(name for sigma in own for name in _in_force(experts[role], plan, sigma)))


def _in_force(expert: Expert, plan: Plan, sigma: float) -> Iterator[str]:
    """The distilled files that take part in an evaluation: the checkpoint itself, and LoRAs at a strength but 0."""
    strengths = expert.strengths_at(plan.sigmas, sigma)
    loras = (_name(lora.path) for lora, now in zip(expert.loras, strengths, strict=True) if now)
    return filter(is_distilled, (expert.handle.name, *loras))


def _unknown(expert: Expert) -> bool:
    """Say whether an expert's file, and what another node has put on it, can't be known."""
    return isinstance(expert.handle, ModelHandle)


def _name(path: str) -> str:
    """File and folder: in official layouts only the folder tells."""
    return "/".join(Path(path).parts[-2:])
