"""Nodes of the shelf "Experts": the list of LoRAs, and the list on the experts."""

from comfy_api.latest import io

from ...experts import memory
from ...experts.lora.apply import apply_loras
from ...experts.lora.files import fingerprints, lora_files
from ...experts.lora.schedule import LIMIT
from ...experts.lora.spec import AUTO, BOTH, CHOICES, SAME, Loras, LoraSpec
from ...experts.pair import Experts
from ..schema import advanced, schema
from ..sockets import WanExperts, WanLoras
from ..text import log_report
from .pair import CATEGORY


class Lora(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        names = lora_files()
        return schema(
            node_id="WanDuet_Lora",
            display_name="Wan 2.2 LoRA",
            category=CATEGORY,
            description="One LoRA of the list. Name either half of a high/low pair: the other one is found by name. "
            "Chain these nodes and end in Apply Wan 2.2 LoRAs.",
            search_aliases=["lora loader", "lora stack", "power lora", "high low lora", "lightning", "lightx2v"],
            inputs=[
                WanLoras.Input("loras", optional=True, tooltip="The rows before this one."),
                *_row(names),
                *_rarely_needed(names),
            ],
            outputs=[WanLoras.Output(display_name="loras", tooltip="The rows so far, in the order they are applied.")],
        )

    @classmethod
    def validate_inputs(cls, file: str, low_file: str = AUTO) -> bool:
        """Accept any name: a missing file raises in Apply Wan 2.2 LoRAs, so that a graph can still be read."""
        return True

    @classmethod
    def fingerprint_inputs(cls, **settings) -> tuple:
        """The files as they are on disk; a name that comes over a link is None here."""
        row = {name: value for name, value in settings.items() if name in ("file", "expert", "low_file")}
        return fingerprints(LoraSpec(**row)) if None not in row.values() and "file" in row else None, *settings.items()

    @classmethod
    def execute(
        cls,
        file: str,
        strength: float,
        expert: str,
        schedule: str,
        low_file: str = AUTO,
        remote_id: str = "",
        loras: Loras = (),
    ) -> io.NodeOutput:
        return io.NodeOutput((*loras, LoraSpec(file, strength, expert, schedule, low_file, remote_id)))


def _row(names: list[str]) -> list[io.Input]:
    return [
        io.Combo.Input(
            "file",
            options=names,
            tooltip="From models/loras. Every known layout is read: native, kohya, diffusers, PEFT, LyCORIS, …",
        ),
        io.Float.Input(
            "strength",
            default=1.0,
            min=-LIMIT,
            max=LIMIT,
            step=0.01,
            tooltip="The strength on every expert it is for. At 0 the file is not loaded.",
        ),
        io.Combo.Input(
            "expert",
            options=list(CHOICES),
            default=BOTH,
            tooltip="The expert it goes to. both: each half of a pair to its own, a single file to both. "
            "high or low: that half of a pair, or a single file, to that expert only.",
        ),
        io.String.Input(
            "schedule",
            default="",
            tooltip="Multiplies the strength. '0.9;1': .9 on the high expert and 1 on the low one. "
            "';1': the high one is left out. '0.9,0.5;1': values are spread over the steps of a stage; without "
            "';' over the whole run. Three parts are the phases of a three-phase plan. Empty: 1. "
            "A strength that changes within a stage costs some time at every step, but no copy of the expert.",
        ),
    ]


def _rarely_needed(names: list[str]) -> list[io.Input]:
    low_file = io.Combo.Input(
        "low_file",
        options=[AUTO, SAME, *names],
        default=AUTO,
        optional=True,
        display_name="low-noise file",
        tooltip="auto: the partner by name. same file: the file above for every expert, whatever its name says. "
        "Or the low expert's file; the first one is then the high expert's.",
    )
    remote_id = io.String.Input(
        "remote_id",
        default="",
        optional=True,
        tooltip="Only for a paid node, which can't read this machine's file: the same LoRA as a URL, or "
        "owner/repository/file.safetensors at Hugging Face (fal), or as an AIR (Runware). A local run ignores it.",
    )
    return [advanced(low_file), advanced(remote_id)]


class ApplyLoras(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="WanDuet_ApplyLoras",
            display_name="Apply Wan 2.2 LoRAs",
            category=CATEGORY,
            description="Puts the list on the experts. What each file will change is checked from headers now; "
            "weights are read when an expert is opened. A LoRA that changes nothing is an error here.",
            search_aliases=["lora loader", "lora stack", "lora keys not loaded", "match report"],
            inputs=[
                WanExperts.Input("experts", tooltip="The pair to change."),
                WanLoras.Input("loras", tooltip="The list, from Wan 2.2 LoRA nodes."),
            ],
            outputs=[
                WanExperts.Output(display_name="experts", tooltip="The pair with the list on it."),
                io.String.Output(
                    display_name="report",
                    tooltip="For every file and expert: keys read, weights changed, and what looks wrong.",
                ),
            ],
        )

    @classmethod
    def execute(cls, experts: Experts, loras: Loras) -> io.NodeOutput:
        experts, report = apply_loras(experts, loras)
        report = f"{report}\n{memory.report(experts)}"
        return io.NodeOutput(experts, log_report(report))
