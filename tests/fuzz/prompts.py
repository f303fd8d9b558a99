"""A small good prompt for every node of the pack, and what follows each output far enough to see it used."""

import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wan_duet.dev.client import Prompt
from wan_duet.tests.data.object_info import Info, choices, inputs, options
from wan_duet.tests.nodes.graph import Graph, Node
from wan_duet.tests.nodes.remote.conftest import paid

from .values import FRAMES, MAY, SIDE

WORKFLOWS = Path(__file__).resolve().parents[2] / "workflows" / "api"
HIGH = "wan2.2_t2v_high_noise_14B_fp8_scaled.safetensors"
# Where a default is too large for a test, or of no use in it
SETTINGS: Mapping[str, Any] = {
    "width": SIDE,
    "height": SIDE,
    "length": FRAMES,
    "steps": 4,
    "high": HIGH,
    "first_blocks": 1,
}
CFG = {"cfg_high": 1.0, "cfg_low": 1.0}


@dataclass(frozen=True)
class Good:
    """A prompt that runs, and the id of the node that it is for."""

    prompt: Prompt
    target: str

    @property
    def kind(self) -> str:
        return self.prompt[self.target]["class_type"]

    def changed(self, **given: Any) -> "Good":
        """The same with other inputs of its node; a `Give` becomes a link to a value, and `Left` is left out."""
        graph = Graph()
        graph.prompt = copy.deepcopy(self.prompt)
        now = graph.prompt[self.target]["inputs"]
        for name, value in given.items():
            if isinstance(value, Give):
                now[name] = give(graph, value.name)[0]
            elif isinstance(value, Left):
                now.pop(name, None)
            else:
                now[name] = value
        return Good(graph.prompt, self.target)


@dataclass(frozen=True)
class Give:
    """A value of values.py by its name."""

    name: str


@dataclass(frozen=True)
class Left:
    """An input that is left out."""


def give(graph: Graph, name: str) -> Node:
    return graph.add("Test_Value", name=name)


def good_prompts(info: Info) -> list[Good]:
    """One for every node of the pack that the server knows."""
    shown = _of_workflows()
    ours = (kind for kind in sorted(info) if kind.startswith("WanDuet_"))
    return [shown.get(kind) or _built(kind, info) for kind in ours]


def _of_workflows() -> dict[str, Good]:
    """The remote nodes, as the workflows that ship have them, but paid for."""
    found = {}
    for path in sorted(WORKFLOWS.glob("remote_*.json")):
        prompt: Prompt = json.loads(path.read_text(encoding="utf-8"))
        plain = {id: {key: node[key] for key in ("class_type", "inputs")} for id, node in prompt.items()}
        ours = [id for id, node in prompt.items() if node["class_type"].startswith("WanDuet_")]
        last = ours[-1]  # the others lead up to it
        found.setdefault(prompt[last]["class_type"], Good(paid(plain), last))
    return found


def _built(kind: str, info: Info) -> Good:
    """A prompt from the schema: widgets at their defaults, required sockets connected, outputs used."""
    graph, given = Graph(), {}
    for name, declared in inputs(info[kind]).items():
        if name in info[kind]["input"].get("required", {}):
            given[name] = _value(graph, name, declared)
    if kind == "WanDuet_ExpertsFromModels":
        given["high"] = graph.model(HIGH)
    target = graph.add(kind, **given)
    for number, socket in enumerate(info[kind]["output"]):
        _use(graph, socket, target[number])
    return Good(graph.prompt, target.id)


def _value(graph: Graph, name: str, declared: list[Any]) -> Any:
    offered = choices(declared)
    if name in SETTINGS and (offered is None or SETTINGS[name] in offered):
        return SETTINGS[name]
    if offered is not None:
        return options(declared).get("default", offered[0])
    if "default" in options(declared):
        return options(declared)["default"]
    return _connected(graph, declared[0].split(",")[0])


def _connected(graph: Graph, socket: str) -> Node | list[Any]:
    """A good value for a socket."""
    if socket in MAY:
        return give(graph, f"{socket}/{next(iter(MAY[socket]))}")
    match socket:
        case "WAN_EXPERTS":
            return graph.load(HIGH)
        case "WAN_PLAN":
            return graph.plan(graph.load(HIGH))
        case "WAN_LORAS":
            return graph.add("WanDuet_Lora", file=LORA, strength=1.0, expert="both", schedule="")
        case "WAN_FRAMES":
            return graph.add("WanDuet_FrameImage", image=give(graph, "IMAGE/image"), frame="auto")
        case "WAN_POSE":
            return graph.add("WanDuet_PoseFromKeypoints", keypoints=give(graph, "POSE_KEYPOINT/people"), fps=16.0)
        case "WAN_DETECTOR":
            return graph.add("WanDuet_LoadDetector", device="cpu")
        case "VAE":
            return graph.add("VAELoader", vae_name="wan_2.1_vae.safetensors")
        case "SAMPLER":
            return graph.add("KSamplerSelect", sampler_name="euler")
        case "STRING":
            return give(graph, "anything/text")
    raise ValueError(f"no good value for {socket}")


LORA = "wan2.2_t2v_lightx2v_4steps_lora_v1.1_high_noise.safetensors"


def _use(graph: Graph, socket: str, link: list[Any]) -> None:
    """Let a node run that looks at an output."""
    match socket:
        case "WAN_EXPERTS":
            graph.show(sampled(graph, link, graph.plan(graph.load(HIGH))[0]))
        case "WAN_PLAN":
            graph.show(sampled(graph, graph.load(HIGH)[0], link))
        case "WAN_LORAS":
            graph.show(graph.add("WanDuet_ApplyLoras", experts=graph.load(HIGH), loras=link)[1])
        case "WAN_FRAMES":
            prompt, vae = give(graph, "CONDITIONING/prompt"), _connected(graph, "VAE")
            size = {"width": SIDE, "height": SIDE, "length": FRAMES}
            kind = "WanDuet_FrameConditioning"
            graph.show(graph.add(kind, positive=prompt, negative=prompt, vae=vae, frames=link, **size)[3])
        case "WAN_POSE":
            graph.show(graph.add("WanDuet_DrawPose", pose=link)[0])
        case "GUIDER":
            graph.show(
                graph.add(
                    "SamplerCustomAdvanced",
                    noise=graph.add("RandomNoise", noise_seed=0),
                    guider=link,
                    sampler=_connected(graph, "SAMPLER"),
                    sigmas=_connected(graph, "WAN_PLAN")[2],
                    latent_image=give(graph, "LATENT/latent"),
                )[0]
            )
        case _:
            graph.show(link)


def sampled(graph: Graph, experts: list[Any], plan: list[Any]) -> list[Any]:
    prompt = give(graph, "CONDITIONING/prompt")
    given = {"sampler": _connected(graph, "SAMPLER"), "latent": give(graph, "LATENT/latent"), "seed": 0}
    return graph.add("WanDuet_Sampler", experts=experts, plan=plan, positive=prompt, negative=prompt, **given)[0]


def film(graph: Graph) -> None:
    """A whole film: sampled, decoded, saved, and its frames saved once more: x264's bytes are not always the same."""
    experts = graph.load(HIGH)
    latent = sampled(graph, experts[0], graph.plan(experts)[0])
    images = graph.add("VAEDecode", samples=latent, vae=_connected(graph, "VAE"))
    settings = {"format": "mp4", "quality": "high", "write_mode": "balanced", "fps": 0.0, "reverse": False}
    graph.add("WanDuet_SaveVideo", video=images, filename_prefix="fuzz/film", **settings)
    graph.add("SaveImage", images=images, filename_prefix="fuzz/frame")
