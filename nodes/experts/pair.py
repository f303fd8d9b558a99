"""Nodes of the shelf "Experts": files or MODELs in, the pair out."""

import time
from collections.abc import Mapping
from typing import Any

from comfy_api.latest import io
from comfy_execution.graph_utils import ExecutionBlocker

from ...cache.run import take_off_cache, with_cache
from ...experts import files, host_report, memory
from ...experts.fingerprint import fingerprint
from ...experts.handle import WEIGHT_DTYPES, ModelHandle
from ...experts.pair import AUTO, KEEP_BOTH, RESIDENCIES, Expert, Experts, check_pair
from ...experts.variant import HIGH, LOW
from ..schema import advanced, schema
from ..sockets import WanExperts
from ..text import log_report, show

CATEGORY = "Wan Duet/Experts"
GUIDER = "WanDuet_Guider"
OPENING = ("WanDuet_Sampler", "WanDuet_ModelsFromExperts")


class LoadExperts(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="WanDuet_LoadExperts",
            display_name="Load Wan 2.2 Experts (High Noise, Low Noise)",
            category=CATEGORY,
            description="Name the high-noise file; its low-noise partner is found by name. Both are checked from their "
            "headers now and read when first needed. For GGUF files use your GGUF loader and Experts From Models.",
            search_aliases=[
                *("wan2.2", "wan22", "load diffusion model", "unet loader", "high noise", "low noise", "moe"),
                *("block swap", "offload", "unload", "low vram"),  # what residency is for
            ],
            inputs=[
                *_files(),
                *_settings(),
            ],
            outputs=[
                WanExperts.Output(display_name="experts", tooltip="The pair; no weight is read before it is needed."),
                io.String.Output(display_name="report", tooltip="What each file is, and what looks wrong."),
            ],
            hidden=[io.Hidden.prompt, io.Hidden.unique_id],
        )

    @classmethod
    def validate_inputs(cls, high: str, low: str) -> bool:
        """Accept any name: a missing file raises once a sampler hangs on it; until then the graph can be read."""
        return True

    @classmethod
    def fingerprint_inputs(cls, high: str | None = None, low: str | None = None, **settings: object) -> tuple:
        """The files as they are on disk; a name that comes over a link is None here.

        While one is missing the node always runs: a sampler may hang on it by now.
        """
        names = [high, files.low_file(high, low) if high and low else None]
        return *(fingerprint(name, files.FOLDER) or time.monotonic() for name in names if name), *settings.items()

    @classmethod
    def execute(
        cls, high: str, low: str, weight_dtype: str, residency: str, allow_same_file: bool = False
    ) -> io.NodeOutput:
        experts = files.load_pair(high, low, weight_dtype, allow_same_file, residency)
        if _is_sampled(cls.hidden.prompt, cls.hidden.unique_id):
            files.check_present(experts)
        reports = (files.report(experts, high), memory.report(experts), host_report.report(experts))
        return io.NodeOutput(experts, log_report("\n".join(reports)))


def _is_sampled(prompt: Mapping[str, Any], node_id: str) -> bool:
    """Say whether this node's experts reach one that opens both: a sampler, or a guider that something uses.

    A run below strength 1 may leave an expert out: there a missing file is said by the sampler, if it is missed.
    """
    users = {id: node for id, node in prompt.items() if node["inputs"].get("experts") == [node_id, 0]}
    return any(
        (node["class_type"] in OPENING and _is_whole(prompt, node))
        or (node["class_type"] == GUIDER and _is_whole(prompt, node) and _is_used(prompt, id))
        or _is_sampled(prompt, id)
        for id, node in users.items()
    )


def _is_used(prompt: Mapping[str, Any], node_id: str) -> bool:
    return any([node_id, 0] in node["inputs"].values() for node in prompt.values())


def _is_whole(prompt: Mapping[str, Any], node: Mapping[str, Any]) -> bool:
    plan = node["inputs"].get("plan")
    return not isinstance(plan, list) or prompt[plan[0]]["inputs"].get("strength", 1.0) == 1.0


def _files() -> list[io.Input]:
    names = files.expert_files()
    return [
        io.Combo.Input(
            "high",
            options=names,
            display_name="high-noise file",
            tooltip="The high-noise expert from models/diffusion_models, or a single model (5B, Animate, S2V).",
        ),
        io.Combo.Input(
            "low",
            options=[files.AUTO, files.NONE, *names],
            default=files.AUTO,
            display_name="low-noise file",
            tooltip="auto: the file that differs from the first only in high/low. none: run one expert alone.",
        ),
    ]


def _settings() -> list[io.Input]:
    return [
        io.Combo.Input(
            "weight_dtype",
            options=list(WEIGHT_DTYPES),
            default="default",
            tooltip="default keeps the file's own precision; the fp8 types halve the memory of a 16-bit file.",
        ),
        io.Combo.Input(
            "residency",
            options=list(RESIDENCIES),
            default=AUTO,
            tooltip="keep both: fastest, both experts stay in memory. one at a time: half the memory, each "
            "expert is read when its steps begin. auto: both if they fit; the report says which and why.",
        ),
        advanced(
            io.Boolean.Input(
                "allow_same_file",
                default=False,
                optional=True,
                tooltip="Accept one file in both places. Useful for tests only: the result is one model's.",
            )
        ),
    ]


class ExpertsFromModels(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="WanDuet_ExpertsFromModels",
            display_name="Wan 2.2 Experts From Models",
            category=CATEGORY,
            description="A pair made of ordinary MODELs, from any loader (GGUF too) or any node in between. "
            "Both stay in memory: the host owns their weights.",
            search_aliases=["gguf", "model list", "high noise", "low noise", "moe"],
            is_input_list=True,
            inputs=[
                io.Model.Input(
                    "models",
                    optional=True,
                    tooltip="The MODEL list of Models From Experts, or of any node in between: high first, then low.",
                ),
                io.Model.Input("high", optional=True, tooltip="The high-noise MODEL, or a single one."),
                io.Model.Input("low", optional=True, tooltip="The low-noise MODEL."),
            ],
            outputs=[WanExperts.Output(display_name="experts", tooltip="The pair made of these MODELs.")],
        )

    @classmethod
    def execute(cls, models: list | None = None, high: list | None = None, low: list | None = None) -> io.NodeOutput:
        given = [*(models or []), *(high or []), *(low or [])]
        if not 1 <= len(given) <= 2 or (low and len(given) == 1):
            raise ValueError(
                f"models, high and low brought {len(given)} MODELs. Connect a MODEL list of one or two, "
                "or high with or without low."
            )
        bare, cache = take_off_cache(given)
        pair = [Expert(ModelHandle(patcher, f"{role} MODEL")) for role, patcher in zip((HIGH, LOW), bare, strict=False)]
        experts = Experts(pair[0], pair[1] if len(pair) > 1 else None, KEEP_BOTH)
        check_pair(experts)
        return io.NodeOutput(with_cache(experts, cache) if cache else experts)


class ModelsFromExperts(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="WanDuet_ModelsFromExperts",
            display_name="Wan 2.2 Models From Experts",
            category=CATEGORY,
            description="Opens the pair as ordinary MODELs. Any node on the MODEL list runs once for each expert. "
            "Both experts are read into memory here and stay there.",
            search_aliases=["model list", "split experts", "torch compile", "sage attention"],
            inputs=[WanExperts.Input("experts", tooltip="The pair to open.")],
            outputs=[
                io.Model.Output("high", display_name="high", tooltip="The high-noise expert as a MODEL."),
                io.Model.Output("low", display_name="low", tooltip="The low-noise expert; blocked if there is none."),
                io.Model.Output(
                    "models",
                    display_name="models",
                    is_output_list=True,
                    tooltip="Both as a list: a node connected here is applied to each. End in Experts From Models.",
                ),
            ],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def execute(cls, experts: Experts) -> io.NodeOutput:
        models = [expert.open() for expert in experts]
        show(f"{len(models)} expert{'s' * (len(models) > 1)} opened and kept in memory", cls.hidden.unique_id)
        low = models[1] if len(models) > 1 else ExecutionBlocker(None)
        return io.NodeOutput(models[0], low, models)
