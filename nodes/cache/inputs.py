"""Inputs that all cache nodes share, and what they mean for a pair."""

from typing import Any

from comfy_api.latest import io

from ...cache.run import StepCache, with_cache, without_cache
from ...cache.settings import DEVICES, OFFLOAD, CacheSettings, StepWindow
from ...cache.step_rules import ALL_ALLOWED
from ...cache.techniques.base import ACCELERATIONS, NONE, REGULAR, Acceleration, Technique
from ...experts.pair import Experts
from ..schema import advanced, schema
from ..sockets import WanExperts


def cache_schema(
    name: str,
    description: str,
    aliases: list[str],
    technique: type[Technique],
    *own: io.WidgetInput,
    threshold: float,
) -> io.Schema:
    """Return the schema of the cache node with this name: inputs that all have, and between them those of its own.

    `threshold` is the default of the custom one.
    """
    return schema(
        node_id=f"WanDuet_{name.replace(' ', '')}",
        display_name=f"Wan 2.2 {name}",
        category="Wan Duet/Cache",
        description=description,
        search_aliases=[*aliases, "step cache", "easycache", "speed up"],
        inputs=[*_first_inputs(technique, threshold), *own, *map(advanced, _last_inputs())],
        outputs=[WanExperts.Output(display_name="experts", tooltip="The pair with the cache on it.")],
    )


def apply_cache(
    technique: Technique,
    experts: Experts,
    acceleration: str,
    reuse_threshold: float,
    *,
    start_step: int = 0,
    end_step: int = 0,
    start_percent: int = 0,
    end_percent: int = 100,
    target_speedup: float = 0.0,
    cache_device: str = OFFLOAD,
    step_mask: str = ALL_ALLOWED,
    **settings: Any,
) -> io.NodeOutput:
    """Put a technique on the experts, with the values of the shared inputs."""
    window = StepWindow(start_step, end_step, start_percent, end_percent)
    if acceleration == NONE:
        return io.NodeOutput(without_cache(experts))
    threshold, target = technique.accelerations.get(acceleration, Acceleration(reuse_threshold))
    chosen = CacheSettings(
        threshold, target=target_speedup or target, window=window, device=cache_device, mask=step_mask, **settings
    )
    return io.NodeOutput(with_cache(experts, StepCache(technique, chosen)))


def _first_inputs(technique: type[Technique], threshold: float) -> list[io.Input]:
    told = " ".join(f"{name}: {acceleration}." for name, acceleration in technique.accelerations.items())
    return [
        WanExperts.Input("experts", tooltip="The pair to cache. A cache that is on it already is replaced."),
        io.Combo.Input(
            "acceleration",
            options=list(ACCELERATIONS),
            default=REGULAR,
            tooltip=f"none: no cache. {told} custom: the threshold below.",
        ),
        io.Float.Input(
            "reuse_threshold",
            default=threshold,
            min=0.0,
            max=1.0,
            step=0.005,
            round=False,
            display_name="custom threshold",
            tooltip="Only for custom: the presets have their own. Higher reuses more, is faster and strays further "
            "from the uncached video. 0 reuses nothing.",
        ),
        io.Int.Input(
            "max_consecutive",
            default=3,
            min=1,
            max=5,
            tooltip="Evaluations reused in a row at most. Fewer, spread out, keep closer to the uncached video.",
        ),
        io.Boolean.Input(
            "low_only",
            default=False,
            tooltip="Leave the high-noise expert alone, which lays down the motion.",
        ),
    ]


def _last_inputs() -> list[io.WidgetInput]:
    return [
        io.Float.Input(
            "target_speedup",
            default=0.0,
            min=0.0,
            max=5.0,
            step=0.1,
            optional=True,
            tooltip="2 means: half of the run's evaluations; with low_only, half of the low expert's. Takes the place "
            "of the threshold where the cache can plan ahead (TeaCache, MagCache); else the report says which "
            "threshold would have come near it. 0: no target.",
        ),
        io.Int.Input(
            "warmup",
            default=1,
            min=1,
            max=100,
            optional=True,
            tooltip="Evaluations at the start of each expert's stage that are computed in any case. The last one of a "
            "stage always is.",
        ),
        *_window_inputs(),
        io.Combo.Input(
            "cache_device",
            options=list(DEVICES),
            default=OFFLOAD,
            optional=True,
            tooltip="Where residuals are kept. offload device: main memory, which costs little time. main device: the "
            "GPU, some GB at 720p.",
        ),
        io.Boolean.Input(
            "extrapolate",
            default=True,
            optional=True,
            tooltip="Draw a line through the last two computed residuals instead of repeating the last one: closer to "
            "the uncached video, for twice the memory.",
        ),
        io.Boolean.Input(
            "force",
            default=False,
            optional=True,
            tooltip="Reuse in runs of fewer than 12 steps and with distilled models too, where it costs the most.",
        ),
        io.Int.Input(
            "audit",
            default=0,
            min=0,
            max=100,
            optional=True,
            tooltip="Compute every so-many-th reused evaluation as well and report the true error: 1 for all of them. "
            "This takes the time that the cache saves. 0: none.",
        ),
    ]


def _window_inputs() -> list[io.WidgetInput]:
    ends = (
        ("start_step", 0, 0, 1000, "Reuse nothing before this step of the whole run."),
        ("end_step", 0, 0, 1000, "Reuse nothing from this step of the whole run on. 0: the end."),
        ("start_percent", 0, 0, 99, "In place of start_step: in percent of the whole run's steps."),
        ("end_percent", 100, 1, 100, "In place of end_step: in percent of the whole run's steps."),
    )
    return [
        io.Int.Input(name, default=default, min=least, max=most, optional=True, tooltip=tooltip)
        for name, default, least, most, tooltip in ends
    ]
