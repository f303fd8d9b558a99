"""Named plans with explicit values: what the official code and the distilled LoRAs ask for."""

from typing import NamedTuple

from ..experts.pair import Experts
from ..experts.variant import HIGH
from .plan import Phase, Plan
from .planner import make_plan


class PlanPreset(NamedTuple):
    """The values of one plan; `shift` and `boundary` 0 follow the model, as in the Stage Plan."""

    steps: int
    """Steps of the whole run."""
    cfg_high: float
    """Guidance of the high-noise expert."""
    cfg_low: float
    """Guidance of the low-noise expert."""
    shift: float
    """Flow shift; 0 follows the model."""
    sampler: str
    """Name of the solver."""
    scheduler: str
    """Name of the scheduler."""
    about: str
    """What it is for, in the words of the node's tooltip."""
    boundary: float = 0.0
    """Sigma at which the experts change. Default 0, the model's own."""
    opening: tuple[Phase, ...] = ()
    """Phases before those of the two experts. Default none."""


_OFFICIAL, _EULER = ("flow_unipc", "wan_unipc"), ("euler", "simple")

PRESETS = {
    "Quality 40": PlanPreset(40, 4.0, 3.0, 0.0, *_OFFICIAL, about="the official steps, cfg and solver"),
    "Balanced 20": PlanPreset(20, 3.5, 3.5, 0.0, *_OFFICIAL, about="half the steps, the same solver"),
    "Turbo 8": PlanPreset(8, 1.0, 1.0, 5.0, *_EULER, about="needs a distilled LoRA (Lightning) on both experts"),
    "Turbo 4": PlanPreset(4, 1.0, 1.0, 5.0, *_EULER, about="needs a distilled LoRA (Lightning) on both experts"),
    "Hybrid": PlanPreset(
        12, 3.5, 1.0, 5.0, *_EULER, about="a distilled LoRA on the low expert only, to keep the motion"
    ),
    "Anti-slow-motion 3-phase": PlanPreset(
        8,
        1.0,
        1.0,
        5.0,
        *_EULER,
        about="opens without the distilled LoRA and with guidance, which keeps the motion: schedule its row '0;1;1'",
        boundary=0.8,
        opening=(Phase(HIGH, 3.5, 0.985),),
    ),
}


def preset_plan(preset: PlanPreset, experts: Experts) -> Plan:
    """The plan of a preset for `experts`; opens nothing."""
    return make_plan(
        experts,
        steps=preset.steps,
        cfg_high=preset.cfg_high,
        cfg_low=preset.cfg_low,
        shift=preset.shift,
        sampler=preset.sampler,
        scheduler=preset.scheduler,
        boundary=preset.boundary,
        opening=preset.opening,
    )
