"""Safetensors files with the true header of a real model and a hole where its weights would be."""

import json
import struct
from pathlib import Path
from typing import Any

import torch
from comfy.ldm.wan.model import WanModel

Shapes = dict[str, tuple[int, ...]]
BYTES = 2  # of a bf16


def shapes_of(net: type[torch.nn.Module] = WanModel, **sizes: Any) -> Shapes:
    """The names and shapes of the weights of a host's net, built without memory for them."""
    weights = net(operations=torch.nn, device="meta", dtype=torch.bfloat16, **sizes).state_dict()
    return {name: tuple(weight.shape) for name, weight in weights.items()}


def write_header(path: Path, shapes: Shapes) -> Path:
    """A valid file that claims bf16 weights of these shapes; being sparse, it takes up no room whatever it claims."""
    entries, end = {}, 0
    for name, shape in shapes.items():
        start, end = end, end + BYTES * torch.Size(shape).numel()
        entries[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [start, end]}
    header = json.dumps(entries).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        file.truncate(8 + len(header) + end)
    return path
