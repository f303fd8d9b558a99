"""The miniature's text encoder: the tiny UMT5 with a token for each word of the captions, made from a seed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from ..tiny import text_encoder, tokenizer
from .clips import CAPTIONS

SEED = 4
BRANCH = 0.3  # of the residual branches, so that each token's own word dominates what comes out for it


def weights() -> dict[str, Tensor]:
    """Return the bf16 weights of the text encoder and its tokenizer."""
    found = text_encoder(SEED)
    for name, weight in found.items():
        if name == "shared.weight":
            found[name] = weight * weight.shape[1] ** 0.5
        elif name.endswith((".o.weight", ".wo.weight")):
            found[name] = weight * BRANCH
    found["spiece_model"] = tokenizer(map(str, CAPTIONS), "word", 100)
    return found


def encode(file: Path, prompts: Sequence[str]) -> list[Tensor]:
    """Return what the host's CLIPTextEncode makes of each prompt with the encoder in `file`, [512, 4096]."""
    from comfy.sd import CLIPType, load_clip

    clip = load_clip([str(file)], clip_type=CLIPType.WAN)
    return [clip.encode_from_tokens_scheduled(clip.tokenize(prompt))[0][0][0] for prompt in prompts]
