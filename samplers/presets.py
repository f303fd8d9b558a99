"""Named plans with explicit values: what the official code and the distilled LoRAs ask for."""

from typing import Any, NamedTuple

from .host import Sampler, ksampler


class Preset(NamedTuple):
    """The values of one plan; `shift` 0 follows the model, as in the Stage Plan."""

    steps: int
    cfg_high: float
    cfg_low: float
    shift: float
    sampler: str
    sampler_options: dict[str, Any]
    about: str


# dpmpp_2m_sde without noise is the official code's `dpm++`, step for step.
_OFFICIAL = ("dpmpp_2m_sde", {"eta": 0.0, "solver_type": "midpoint"})
_EULER = ("euler", {})

PRESETS = {
    "Quality 40": Preset(40, 4.0, 3.0, 0.0, *_OFFICIAL, about="the official steps, cfg and dpm++ solver"),
    "Balanced 20": Preset(20, 3.5, 3.5, 0.0, *_OFFICIAL, about="half the steps, the same solver"),
    "Turbo 8": Preset(8, 1.0, 1.0, 5.0, *_EULER, about="needs a distilled LoRA (Lightning) on both experts"),
    "Turbo 4": Preset(4, 1.0, 1.0, 5.0, *_EULER, about="needs a distilled LoRA (Lightning) on both experts"),
    "Hybrid": Preset(12, 3.5, 1.0, 5.0, *_EULER, about="a distilled LoRA on the low expert only, to keep the motion"),
}


def solver(preset: Preset) -> Sampler:
    """The host's SAMPLER for a preset."""
    return ksampler(preset.sampler, preset.sampler_options)
