"""Files that hold a Wan transformer in a way that ComfyUI doesn't read: what to call them, and what to do."""

import re
from collections.abc import Iterable
from pathlib import Path

PICKLES = (".pt", ".pt2", ".pth", ".ckpt", ".bin", ".pkl")
_SHARD = re.compile(r"-0*(\d+)-of-0*(\d+)$")
_SINGLE = "Take the repackaged single file (Comfy-Org/Wan_2.2_ComfyUI_Repackaged at Hugging Face has them all)."


def foreign(path: str) -> str | None:
    """Words for a file that its name tells to be in pieces, or without a header; None for others."""
    shard = _SHARD.search(Path(path).stem)
    if shard and shard[2] != "1":
        return f"is shard {shard[1]} of {shard[2]} of a checkpoint, not a whole expert. {_SINGLE}"
    if Path(path).suffix.lower() in PICKLES:
        return (
            f"is a pickle ({Path(path).suffix}), which can't be checked before it is read. Save it as safetensors, or "
            "load both halves with Load Diffusion Model and connect the MODELs to Experts From Models."
        )
    return None


def foreign_layout(keys: Iterable[str]) -> str | None:
    """Words for a Wan transformer whose weights are called otherwise; None for what is none."""
    keys = list(keys)
    if any(".attn1.to_q." in key for key in keys):
        return f"is a Wan transformer in the diffusers layout. {_SINGLE}"
    if any(key.endswith((".qweight", ".qlinear.weight")) for key in keys):
        return (
            "is packed for a loader of its own (qweight). Load both halves with that one and connect the MODELs to "
            "Experts From Models."
        )
    return None
