"""The shipped workflows in the sizes of the miniature, and what tests and benchmarks change about them."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..client import Prompt
from .clips import LENGTH, SIZE

WORKFLOWS = Path(__file__).parents[2] / "workflows" / "api"
FRAMES = {1: "image_to_video", 2: "first_last_frame", 3: "key_frames"}  # the workflow for so many frame images
LORA = "miniature_yellow_high_noise.safetensors"
UNDISTILLED = "Balanced 20"  # the preset of the workflow needs a LoRA that makes do with four steps


def text_to_video(caption: str, seed: int) -> Prompt:
    """Return the workflow for a caption."""
    prompt = _shipped("text_to_video", caption, seed)
    inputs(prompt, "EmptyHunyuanLatentVideo").update(width=SIZE, height=SIZE, length=LENGTH)
    return prompt


def with_lora(caption: str, seed: int, strength: float, expert: str = "both") -> Prompt:
    """Return the workflow with a LoRA, here the one that turns shapes yellow."""
    prompt = _shipped("text_to_video_turbo", caption, seed)
    inputs(prompt, "EmptyHunyuanLatentVideo").update(width=SIZE, height=SIZE, length=LENGTH)
    inputs(prompt, "WanDuet_Preset")["preset"] = UNDISTILLED
    inputs(prompt, "WanDuet_Lora").update(file=LORA, low_file="auto", strength=strength, expert=expert)
    return prompt


def without_lora(prompt: Prompt) -> Prompt:
    """Return a workflow with a LoRA as it is without: all that takes the changed experts takes the loaded ones."""
    prompt = copy.deepcopy(prompt)
    changed, loaded = node_id(prompt, "WanDuet_ApplyLoras"), node_id(prompt, "WanDuet_LoadExperts")
    for node in prompt.values():
        node["inputs"].update({name: [loaded, 0] for name, value in node["inputs"].items() if value == [changed, 0]})
    return prompt


def with_frames(caption: str, seed: int, images: Mapping[str, str]) -> Prompt:
    """Return the workflow for one to three frame images: files of the host's input folder by their frames."""
    prompt = _shipped(FRAMES[len(images)], caption, seed)
    inputs(prompt, "WanDuet_FrameConditioning").update(width=SIZE, height=SIZE, length=LENGTH)
    nodes = [node["inputs"] for node in prompt.values() if node["class_type"] == "WanDuet_FrameImage"]
    for node, (frame, file) in zip(nodes, images.items(), strict=True):
        node["frame"] = frame
        prompt[node["image"][0]]["inputs"]["image"] = file
    return prompt


def as_images(prompt: Prompt) -> Prompt:
    """Return the workflow with its frames saved as PNG in place of a film, which is compressed."""
    prompt = {
        key: node for key, node in prompt.items() if not node["class_type"].endswith(("SaveVideo", "CreateVideo"))
    }
    images = {"images": [node_id(prompt, "VAEDecode"), 0], "filename_prefix": "miniature/frame"}
    return {**prompt, "save": {"class_type": "SaveImage", "inputs": images}}


def node_id(prompt: Prompt, class_type: str) -> str:
    """Return the id of the one node of a class; raise ValueError if there is another number of them."""
    (found,) = (key for key, node in prompt.items() if node["class_type"] == class_type)
    return found


def inputs(prompt: Prompt, class_type: str) -> dict[str, Any]:
    """Return the inputs of the one node of a class, to be changed in place."""
    return prompt[node_id(prompt, class_type)]["inputs"]


def _shipped(name: str, caption: str, seed: int) -> Prompt:
    prompt: Prompt = json.loads((WORKFLOWS / f"{name}.json").read_text(encoding="utf-8"))
    (text,) = (node for node in prompt.values() if node["_meta"]["title"] == "Prompt")
    text["inputs"]["text"] = caption
    inputs(prompt, "RandomNoise")["noise_seed"] = seed
    return prompt
