"""The receipt of a run: what a video was made with, to be read years later or compared with another run's."""

import hashlib
import os
import platform
import re
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

import av
import torch

from ..experts.handle import FileHandle
from ..experts.lora.expert_lora import ExpertLora
from ..experts.pair import Expert, Experts
from ..experts.variant import HIGH, LOW
from ..samplers.plan import Plan
from .graph import Prompt, seeds, solvers

VERSION = 2  # of the keys below: 1 had `spacing` where 2 has `scheduler`, and no number
SAMPLES, SAMPLE_BYTES = 64, 1 << 16


def receipt(
    comfyui: str,
    *,
    prompt: Prompt | None = None,
    node_id: str | None = None,
    result: int = 0,
    experts: Experts | None = None,
    plan: Plan | None = None,
    ran: str | None = None,
) -> dict[str, Any]:
    """Everything that is known of how the input of node `node_id` was made, ready for JSON; no path of this machine.

    `result` is its number, from 0 on, where a run has made several.
    """
    in_graph = (prompt, node_id) if prompt and node_id else None
    known = {
        "receipt": VERSION,
        "versions": versions(comfyui),
        "experts": _experts(experts) if experts else None,
        "plan": asdict(plan) if plan else None,
        "seeds": seeds(*in_graph, result) if in_graph else None,
        "solvers": solvers(*in_graph) if in_graph else None,
        "ran": ran,
    }
    return {name: value for name, value in known.items() if value}


def versions(comfyui: str) -> dict[str, str]:
    """Of the pack and of what its results depend on."""
    described = (Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8")
    pack = re.search(r'^version = "(.+)"', described, re.MULTILINE)
    own = pack[1] if pack else "unknown"
    python = platform.python_version()
    return {"wan_duet": own, "comfyui": comfyui, "torch": torch.__version__, "av": av.__version__, "python": python}


def fingerprint(path: str) -> str | None:
    """SHA-256 over a file's size and 64 samples of 64 KiB at even distances: files of 14 GB in an instant.

    None for a file that is there no more: its loss must not cost the video too.
    """
    try:
        size = os.path.getsize(path)
        digest = hashlib.sha256(str(size).encode())
        with open(path, "rb") as file:
            for sample in range(SAMPLES):
                file.seek(max(size - SAMPLE_BYTES, 0) * sample // (SAMPLES - 1))
                digest.update(file.read(SAMPLE_BYTES))
    except OSError:
        return None
    return digest.hexdigest()


def _experts(experts: Experts) -> dict[str, Any]:
    return {role: _expert(expert) for role, expert in zip((HIGH, LOW), experts, strict=False)}


def _expert(expert: Expert) -> dict[str, Any]:
    handle = expert.handle
    known: dict[str, Any] = {"name": handle.name}
    if handle.checkpoint:
        known["kind"] = handle.checkpoint.variant.label
    if isinstance(handle, FileHandle):
        known |= {"weight_dtype": handle.weight_dtype, "sampled_sha256": fingerprint(handle.path)}
    known["loras"] = [_lora(lora) for lora in expert.loras]
    known["changes"] = [str(change) for change in expert.changes if is_dataclass(change)]
    return known


def _lora(lora: ExpertLora) -> dict[str, Any]:
    held = lora.strength.constant
    strength = str(lora.strength) if held is None else held
    return {"name": os.path.basename(lora.path), "strength": strength, "sampled_sha256": fingerprint(lora.path)}
