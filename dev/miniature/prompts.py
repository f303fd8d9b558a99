"""The shipped workflow in the sizes of the miniature, and what tests and benchmarks change about it."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

from ..client import Prompt
from .clips import LENGTH, SIZE

WORKFLOW = Path(__file__).parents[2] / "workflows" / "api" / "text_to_video.json"
LORA = "miniature_yellow_high_noise.safetensors"


def text_to_video(caption: str, seed: int) -> Prompt:
    """Return the shipped workflow for a caption, at the size that the miniature knows."""
    prompt: Prompt = json.loads(WORKFLOW.read_text(encoding="utf-8"))
    (text,) = (node for node in prompt.values() if node["_meta"]["title"] == "Prompt")
    text["inputs"]["text"] = caption
    inputs(prompt, "EmptyHunyuanLatentVideo").update(width=SIZE, height=SIZE, length=LENGTH)
    inputs(prompt, "RandomNoise")["noise_seed"] = seed
    return prompt


def with_lora(prompt: Prompt, weight: float, transformer: str = "both") -> Prompt:
    """Return the workflow with the LoRA that turns shapes yellow between the loader and all that uses its experts."""
    prompt = copy.deepcopy(prompt)
    loader = node_id(prompt, "WanDuet_LoadExperts")
    for node in prompt.values():
        for name, value in node["inputs"].items():
            if value == [loader, 0]:
                node["inputs"][name] = ["apply", 0]
    lora = {
        "file": LORA,
        "weight": weight,
        "transformer": transformer,
        "schedule": "",
        "low_file": "auto",
        "remote_id": "",
    }
    prompt["lora"] = {"class_type": "WanDuet_Lora", "inputs": lora}
    prompt["apply"] = {"class_type": "WanDuet_ApplyLoras", "inputs": {"experts": [loader, 0], "loras": ["lora", 0]}}
    return prompt


def image_to_video(caption: str, seed: int, first: str, last: str | None = None) -> Prompt:
    """Return the workflow on the image-to-video pair; `first` and `last` name files of the host's input folder."""
    prompt = text_to_video(caption, seed)
    loader = inputs(prompt, "WanDuet_LoadExperts")
    loader["high"] = loader["high"].replace("t2v", "i2v")
    guider, size = inputs(prompt, "WanDuet_Guider"), inputs(prompt, "EmptyHunyuanLatentVideo")
    frames: dict[str, Any] = {name: guider[name] for name in ("positive", "negative")}
    frames.update(size, vae=[node_id(prompt, "VAELoader"), 0])
    for name, image in (("start_image", first), ("end_image", last)):
        if image:
            prompt[name] = {"class_type": "LoadImage", "inputs": {"image": image}}
            frames[name] = [name, 0]
    prompt["frames"] = {"class_type": "WanFirstLastFrameToVideo", "inputs": frames}
    guider.update(positive=["frames", 0], negative=["frames", 1])
    inputs(prompt, "SamplerCustomAdvanced")["latent_image"] = ["frames", 2]
    return prompt


def as_images(prompt: Prompt) -> Prompt:
    """Return the workflow with its frames saved as PNG in place of a film, which is compressed."""
    prompt = copy.deepcopy(prompt)
    del prompt[node_id(prompt, "SaveVideo")]
    images = prompt.pop(node_id(prompt, "CreateVideo"))["inputs"]["images"]
    prompt["save"] = {"class_type": "SaveImage", "inputs": {"images": images, "filename_prefix": "miniature/frame"}}
    return prompt


def node_id(prompt: Prompt, class_type: str) -> str:
    """Return the id of the one node of a class; raise ValueError if there is another number of them."""
    (found,) = (key for key, node in prompt.items() if node["class_type"] == class_type)
    return found


def inputs(prompt: Prompt, class_type: str) -> dict[str, Any]:
    """Return the inputs of the one node of a class, to be changed in place."""
    return prompt[node_id(prompt, class_type)]["inputs"]
