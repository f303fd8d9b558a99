"""The format in which a file stores its weights, by the name that people know it by."""

import json
from collections import Counter
from collections.abc import Mapping

import torch
from torch import Tensor

from ...host.quantised import known_formats
from .header import SAID
from .quantised import SCALES

PLAIN = {torch.bfloat16: "bf16", torch.float16: "fp16", torch.float32: "fp32", torch.float64: "fp64"}
FP8 = {torch.float8_e4m3fn: "fp8 e4m3", torch.float8_e5m2: "fp8 e5m2"}
# As ComfyUI calls them
NAMED = {
    "float8_e4m3fn": "fp8 e4m3 scaled",
    "float8_e5m2": "fp8 e5m2 scaled",
    "int8_tensorwise": "int8",
    "convrot_w4a4": "w4a4",
    "asym_w4a8_int8": "w4a8",
}
# Ends of keys beside a weight, from packers that ComfyUI doesn't know
BESIDE = {".quant_state.bitsandbytes__nf4": "bitsandbytes nf4", ".absmax": "bitsandbytes", "_scale_2": "nvfp4"}


def storage_of(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> str:
    """The format of most of the weights of linears; empty if there are none."""
    layers = json.loads(metadata.get("_quantization_metadata", "{}")).get("layers", {})
    counts: Counter[str] = Counter()
    for key, weight in tensors.items():
        if key.endswith(".weight") and (weight.ndim == 2 or weight.dtype == torch.uint8):
            stem = key.removesuffix(".weight")
            said = tensors.get(stem + SAID)
            layer = layers.get(stem) if said is None else json.loads(said.numpy().tobytes())
            counts[_named(layer) if layer else _by_type(tensors, key)] += weight.numel()
    return counts.most_common(1)[0][0] if counts else ""


def is_packed(storage: str) -> bool:
    """Say whether weights are stored in less than 16 bits, so that a changed one has to be rounded."""
    return bool(storage) and storage not in PLAIN.values()


def known_here() -> str:
    """The formats that this host has names for."""
    return ", ".join(
        dict.fromkeys(("bf16", "fp16", "fp8 e4m3 scaled", *(NAMED.get(name, name) for name in known_formats())))
    )


def _named(layer: Mapping[str, object]) -> str:
    name = str(layer.get("format"))
    return f"{NAMED.get(name, name)}{' rotated' if layer.get('convrot') else ''}"


def _by_type(tensors: Mapping[str, Tensor], key: str) -> str:
    kind = tensors[key].dtype
    for end, name in BESIDE.items():
        if key + end in tensors:
            return name
    if kind in FP8:
        scales = [key.removesuffix(".weight") + scale for scale in SCALES]
        return FP8[kind] + (" scaled" if any(scale in tensors for scale in scales) else "")
    return PLAIN.get(kind, str(kind).removeprefix("torch."))
