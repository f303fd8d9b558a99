"""The latents that the experts learn from, encoded once by the finished VAE and kept beside the training's state."""

from __future__ import annotations

import json
import os
from pathlib import Path

import torch
from comfy.latent_formats import Wan21
from comfy.ldm.wan.vae import WanVAE
from safetensors.torch import load_file, save_file
from torch import Tensor

from . import text, vae
from .clips import CAPTIONS, draw
from .expert import Lessons

CHUNK = 16  # clips drawn from one seed
WORKFLOW = Path(__file__).parents[2] / "workflows" / "api" / "text_to_video.json"


def prepare(folder: Path, vae_file: Path, count: int, *, color: str | None = None, images: bool = False) -> Lessons:
    """Return the lessons of `count` clips, encoded now unless `folder` has them.

    `color` is that of every shape, whatever its caption says; `images` adds I2V's channels.
    """
    name = color or ("images" if images else "clips")
    file = folder / f"{name}-{count}.safetensors"
    if not file.exists():
        partial = file.with_suffix(".partial")
        save_file(_encode_all(vae_file, count, color, images), partial)
        os.replace(partial, file)
    kept = load_file(file)
    encoded, dropped = contexts(folder)
    return Lessons(kept["latents"], kept["prompts"], encoded, dropped, kept.get("concat"))


def clip(index: int) -> Tensor:
    """Return the frames [3, T, H, W] in -1..1 that lesson `index` is the latent of."""
    _, clips, _ = _chunk(index // CHUNK)
    return clips[index % CHUNK]


def load_vae(file: Path) -> WanVAE:
    """Return the finished VAE in `file`, its bf16 weights computed with in fp32 as the host does on a CPU."""
    net = vae.network()
    net.load_state_dict({name: weight.float() for name, weight in load_file(file).items()})
    return net.requires_grad_(False)


def normalised(latents: Tensor) -> Tensor:
    """Return latents as the transformer sees them: with the mean and deviation of Wan 2.1's channels taken out."""
    return Wan21().process_in(latents)


def denormalised(latents: Tensor) -> Tensor:
    """Return the latents that the VAE decodes, from those that the transformer sees."""
    return Wan21().process_out(latents)


def image_channels(net: WanVAE, clips: Tensor, last: Tensor) -> Tensor:
    """Return what the host appends for frame images: mask and latents [B, 20, t, h, w] of the first frame of each
    clip [B, 3, T, H, W] in -1..1, and of its last frame where `last` is true, with grey in between."""
    given = torch.zeros_like(clips)
    given[:, :, 0] = clips[:, :, 0]
    given[last, :, -1] = clips[last, :, -1]
    latents = normalised(vae.encode(net, given))
    mask = torch.zeros(len(clips), 4, *latents.shape[2:])
    mask[:, :, 0] = 1  # the first frame is the four of its latent
    mask[last, 3, -1] = 1
    return torch.cat([mask, latents], 1)


def _encode_all(vae_file: Path, count: int, color: str | None, images: bool) -> dict[str, Tensor]:
    net = load_vae(vae_file)
    found: dict[str, list[Tensor]] = {"latents": [], "prompts": []}
    for seed in range(count // CHUNK):
        prompts, clips, generator = _chunk(seed, color)
        found["prompts"].append(prompts)
        # In bfloat16, at half the time: the latents move by half a percent.
        with torch.autocast("cpu", torch.bfloat16):
            found["latents"].append(normalised(vae.encode(net, clips)))
            if images:
                last = torch.rand(CHUNK, generator=generator) < 0.5
                found.setdefault("concat", []).append(image_channels(net, clips, last))
    return {name: torch.cat(parts) for name, parts in found.items()}


def _chunk(seed: int, color: str | None = None) -> tuple[Tensor, Tensor, torch.Generator]:
    """Return the prompts and the clips in -1..1 that belong to a seed, and its generator as they leave it."""
    generator = torch.Generator().manual_seed(seed)
    prompts = torch.randint(len(CAPTIONS), (CHUNK,), generator=generator)
    clips = draw([CAPTIONS[index] for index in prompts], generator, color=color).frames * 2 - 1
    return prompts, clips, generator


def contexts(folder: Path) -> tuple[Tensor, tuple[int, ...]]:
    """Return what the host makes of every caption, of no text and of the workflow's negative prompt; the indices of
    the last two."""
    file = folder / "umt5.safetensors"
    save_file(text.weights(), file)
    nodes = json.loads(WORKFLOW.read_text(encoding="utf-8")).values()
    (negative,) = (node["inputs"]["text"] for node in nodes if node["_meta"]["title"] == "Negative prompt")
    prompts = [*map(str, CAPTIONS), "", negative]
    return torch.stack(text.encode(file, prompts)), (len(prompts) - 2, len(prompts) - 1)
