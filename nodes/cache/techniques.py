"""Nodes of the shelf "Cache": evaluations that reuse what the blocks made of an earlier one."""

from typing import Any

from comfy_api.latest import io

from ...cache.masks import ALL_ALLOWED, MASKS
from ...cache.presets import ACCELERATIONS, BLOCKS, NONE, PLANNED, REGULAR, SPECTRUM, Preset, Presets
from ...cache.residuals import DEVICES, OFFLOAD
from ...cache.run import StepCache, with_cache, without_cache
from ...cache.settings import Settings, Window
from ...cache.techniques.base import Technique
from ...cache.techniques.dual_block import DualBlock
from ...cache.techniques.magcache import MEASURE, NO_RETENTION, RATIOS, RETENTIONS, MagCache
from ...cache.techniques.seacache import SeaCache
from ...cache.techniques.teacache import AUTO, COEFFICIENTS, E0, E, TeaCache
from ...experts.handle import ModelHandle
from ...experts.pair import Experts
from ...experts.variant import HIGH
from ..schema import advanced, schema
from ..sockets import WanExperts


def _schema(
    name: str, description: str, aliases: list[str], presets: Presets, default: float, *own: io.WidgetInput
) -> io.Schema:
    """The schema of the cache node with this name: inputs that all have, and between them those of its own."""
    return schema(
        node_id=f"WanDuet_{name.replace(' ', '')}",
        display_name=f"Wan 2.2 {name}",
        category="Wan Duet/Cache",
        description=description,
        search_aliases=[*aliases, "step cache", "easycache", "speed up"],
        inputs=[*_first_inputs(presets, default), *own, *map(advanced, _last_inputs())],
        outputs=[WanExperts.Output(display_name="experts", tooltip="The pair with the cache on it.")],
    )


def _first_inputs(presets: Presets, default: float) -> list[io.Input]:
    told = " ".join(f"{name}: {preset}." for name, preset in presets.items())
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
            default=default,
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


def _cached(
    technique: Technique,
    presets: Presets,
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
    step_mask: str = "",
    **settings: Any,
) -> io.NodeOutput:
    window = Window(start_step, end_step, start_percent, end_percent)
    if acceleration == NONE:
        return io.NodeOutput(without_cache(experts))
    threshold, target = presets.get(acceleration, Preset(reuse_threshold))
    chosen = Settings(
        threshold, target=target_speedup or target, window=window, device=cache_device, mask=step_mask, **settings
    )
    return io.NodeOutput(with_cache(experts, StepCache(technique, chosen)))


class FirstBlockCache(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        description = (
            "Runs the first block of every evaluation; where it adds nearly what it added last time, the other blocks "
            "are left out and what they added is carried on."
        )
        return _schema("First Block Cache", description, ["fbcache", "first block cache", "wavespeed"], BLOCKS, 0.08)

    @classmethod
    def execute(cls, **inputs: Any) -> io.NodeOutput:
        return _cached(DualBlock(1), BLOCKS, **inputs)


class DualBlockCache(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        blocks = io.Int.Input(
            "first_blocks",
            default=4,
            min=1,
            max=39,
            tooltip="Blocks that always run (F). More judge better, and save less.",
        )
        mask = io.String.Input(
            "step_mask",
            default=ALL_ALLOWED,
            optional=True,
            tooltip=f"none, {', '.join(MASKS)} (cache-dit's names), or a mark for every step of the run: # is computed "
            "in any case, . may be reused. The strip of a report will do.",
        )
        description = (
            "First Block Cache with more blocks to judge by, and a mask of steps: DBCache of cache-dit, without blocks "
            "at the end."
        )
        aliases = ["dbcache", "cache-dit", "dual block cache"]
        return _schema("Dual Block Cache", description, aliases, BLOCKS, 0.08, blocks, advanced(mask))

    @classmethod
    def execute(cls, experts: Experts, first_blocks: int, **inputs: Any) -> io.NodeOutput:
        technique = DualBlock(first_blocks)
        for checkpoint in filter(None, (expert.handle.checkpoint for expert in experts)):
            technique.policy(checkpoint.skeleton, HIGH)  # raises before the run if the model has too few blocks
        return _cached(technique, BLOCKS, experts, **inputs)


class TeaCacheNode(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        coefficients = io.Combo.Input(
            "coefficients",
            options=list(COEFFICIENTS),
            default=AUTO,
            tooltip="Published polynomials that turn a change of the embedding into one of the output. Nobody has "
            "published any for A14B: auto takes none for it, and TI2V-5B's for that.",
        )
        signal = io.Combo.Input(
            "signal",
            options=[E, E0],
            default=E,
            optional=True,
            tooltip="What is watched: e, the embedding of the timestep, or e0, what the blocks are given of it.",
        )
        description = (
            "Leaves all blocks out until the embedding of the timestep has changed enough. On Wan that follows from "
            "the sigmas: the whole run is planned before it begins."
        )
        aliases = ["teacache", "tea cache"]
        return _schema("TeaCache", description, aliases, PLANNED, 0.1, coefficients, advanced(signal))

    @classmethod
    def execute(cls, coefficients: str, signal: str = E, **inputs: Any) -> io.NodeOutput:
        return _cached(TeaCache(coefficients, signal), PLANNED, **inputs)


class MagCacheNode(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        ratios = io.Combo.Input(
            "ratios",
            options=list(RATIOS),
            default=AUTO,
            tooltip="auto: those measured on these files before, or the published ones of their kind. measure: one run "
            "without reuse, after which they are kept for these files.",
        )
        retention = io.Combo.Input(
            "retention",
            options=list(RETENTIONS),
            default=NO_RETENTION,
            optional=True,
            tooltip="none: warmup alone decides. authors': the first fifth of each stage is computed; on I2V all of "
            "the high expert's and a tenth of the low one's.",
        )
        description = (
            "Leaves all blocks out until the size of what they add has drifted, by ratios measured once for a model. "
            "The whole run is planned before it begins."
        )
        aliases = ["magcache", "mag cache", "calibration"]
        return _schema("MagCache", description, aliases, PLANNED, 0.04, ratios, advanced(retention))

    @classmethod
    def execute(cls, experts: Experts, ratios: str, retention: str = NO_RETENTION, **inputs: Any) -> io.NodeOutput:
        handles = [expert.handle for expert in experts]
        files = () if any(isinstance(handle, ModelHandle) for handle in handles) else tuple(h.name for h in handles)
        if ratios == MEASURE and not files:
            raise ValueError("ratios is 'measure', but connected MODELs have no file names: use Load Wan 2.2 Experts.")
        return _cached(MagCache(files, ratios, retention), PLANNED, experts, **inputs)


class SeaCacheNode(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        description = (
            "Leaves all blocks out until the video in the latents, told from noise by its spectrum, has changed "
            "enough. It looks at each video and runs no block for that."
        )
        return _schema("SeaCache", description, ["seacache", "sea cache", "spectral"], SPECTRUM, 0.25)

    @classmethod
    def execute(cls, **inputs: Any) -> io.NodeOutput:
        return _cached(SeaCache(), SPECTRUM, **inputs)
