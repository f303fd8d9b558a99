"""Nodes of the shelf "Cache": evaluations that reuse what the blocks made of an earlier one."""

from typing import Any

from comfy_api.latest import io

from ...cache.step_rules import ALL_ALLOWED, MASKS
from ...cache.techniques.dual_block import DualBlock
from ...cache.techniques.magcache import MEASURE, NO_RETENTION, RATIOS, RETENTIONS, MagCache
from ...cache.techniques.seacache import SeaCache
from ...cache.techniques.teacache import AUTO, COEFFICIENTS, E0, E, TeaCache
from ...experts.handle import ModelHandle
from ...experts.pair import Experts
from ...experts.variant import HIGH
from ..schema import advanced
from .inputs import apply_cache, cache_schema


class FirstBlockCache(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        description = (
            "Runs the first block of every evaluation; where it adds nearly what it added last time, the other blocks "
            "are left out and what they added is carried on."
        )
        aliases = ["fbcache", "first block cache", "wavespeed"]
        return cache_schema("First Block Cache", description, aliases, DualBlock, threshold=0.08)

    @classmethod
    def execute(cls, **inputs: Any) -> io.NodeOutput:
        return apply_cache(DualBlock(1), **inputs)


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
        return cache_schema("Dual Block Cache", description, aliases, DualBlock, blocks, advanced(mask), threshold=0.08)

    @classmethod
    def execute(cls, experts: Experts, first_blocks: int, **inputs: Any) -> io.NodeOutput:
        technique = DualBlock(first_blocks)
        for checkpoint in filter(None, (expert.handle.checkpoint for expert in experts)):
            technique.policy(checkpoint.skeleton, HIGH)  # raises before the run if the model has too few blocks
        return apply_cache(technique, experts, **inputs)


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
        return cache_schema("TeaCache", description, aliases, TeaCache, coefficients, advanced(signal), threshold=0.1)

    @classmethod
    def execute(cls, coefficients: str, signal: str = E, **inputs: Any) -> io.NodeOutput:
        return apply_cache(TeaCache(coefficients, signal), **inputs)


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
        return cache_schema("MagCache", description, aliases, MagCache, ratios, advanced(retention), threshold=0.04)

    @classmethod
    def execute(cls, experts: Experts, ratios: str, retention: str = NO_RETENTION, **inputs: Any) -> io.NodeOutput:
        handles = [expert.handle for expert in experts]
        files = () if any(isinstance(handle, ModelHandle) for handle in handles) else tuple(h.name for h in handles)
        if ratios == MEASURE and not files:
            raise ValueError("ratios is 'measure', but connected MODELs have no file names: use Load Wan 2.2 Experts.")
        return apply_cache(MagCache(files, ratios, retention), experts, **inputs)


class SeaCacheNode(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        description = (
            "Leaves all blocks out until the video in the latents, told from noise by its spectrum, has changed "
            "enough. It looks at each video and runs no block for that."
        )
        aliases = ["seacache", "sea cache", "spectral"]
        return cache_schema("SeaCache", description, aliases, SeaCache, threshold=0.25)

    @classmethod
    def execute(cls, **inputs: Any) -> io.NodeOutput:
        return apply_cache(SeaCache(), **inputs)


CACHE_NODES: list[type[io.ComfyNode]] = [FirstBlockCache, DualBlockCache, TeaCacheNode, MagCacheNode, SeaCacheNode]
