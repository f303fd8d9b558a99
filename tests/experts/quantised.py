"""Tiny checkpoints in the storage formats of quantised files, made by the host's own quantisers where it has them."""

import importlib
import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

Weights = dict[str, Tensor]
ROTATION = 64  # columns that are rotated together; the narrowest linear here has 128


class Stored(NamedTuple):
    """The tensors of a file, and the metadata of its header."""

    tensors: Weights
    metadata: dict[str, str] | None = None


def fp8_by_marker(weights: Weights, by_row: bool = False) -> Stored:
    """As the official files of 2025 are made: every linear with a scale, and a marker that says so.

    Where there is one, hosts of that year hold all linears in fp8.
    """
    made: Weights = {"scaled_fp8": torch.empty(2, dtype=torch.float8_e4m3fn)}
    for name, weight in weights.items():
        if is_linear(name, weight) or (name == "head.head.weight" and not by_row):
            made[name], made[name.replace(".weight", ".scale_weight")] = in_fp8(weight, by_row)
        else:
            made[name] = weight
    return Stored(made)


def fp8_by_metadata(weights: Weights) -> Stored:
    """The layers named in the metadata of the header."""
    made, layers = dict(weights), {}
    for name, weight in weights.items():
        if is_linear(name, weight):
            stem = name.removesuffix(".weight")
            made[name], made[f"{name}_scale"] = in_fp8(weight)
            layers[stem] = {"format": "float8_e4m3fn"}
    return Stored(made, {"_quantization_metadata": json.dumps({"format_version": "1.0", "layers": layers})})


def by_layer(algorithm: str, by_row: bool = False, **settings: Any) -> Callable[[Weights], Stored]:
    """Each linear with a `comfy_quant` tensor beside it that names the algorithm."""

    def parts(weight: Tensor) -> Weights:
        if algorithm in _BY_HAND and not settings:
            return dict(zip(("", "_scale"), _BY_HAND[algorithm](weight, by_row), strict=True))
        return _by_host(weight, algorithm, {**settings, "per_channel": True} if by_row else settings)

    def made(weights: Weights) -> Stored:
        tensors: Weights = {}
        for name, weight in weights.items():
            if is_linear(name, weight):
                tensors |= {name + suffix: part for suffix, part in parts(weight).items()}
                said = json.dumps({"format": algorithm, **settings}).encode()
                tensors[name.replace(".weight", ".comfy_quant")] = torch.tensor(list(said), dtype=torch.uint8)
            else:
                tensors[name] = weight
        return Stored(tensors)

    return made


def is_linear(name: str, weight: Tensor) -> bool:
    """Whether the weight is that of a linear, which is what gets quantised; the last one never is."""
    return name.endswith(".weight") and weight.ndim == 2 and not name.startswith("head.")


def in_fp8(weight: Tensor, by_row: bool = False, dtype: torch.dtype = torch.float8_e4m3fn) -> tuple[Tensor, Tensor]:
    """The weight in fp8, and the scale that brings the largest of it, or of each row, to the largest there is."""
    scale = _largest(weight, by_row) / torch.finfo(dtype).max
    return (weight / scale).to(dtype), scale


def in_int8(weight: Tensor, by_row: bool = False) -> tuple[Tensor, Tensor]:
    """The weight in int8, and its scale or those of its rows."""
    scale = _largest(weight, by_row) / 127
    return (weight / scale).round().to(torch.int8), scale


def _largest(weight: Tensor, by_row: bool) -> Tensor:
    return weight.abs().amax(dim=1, keepdim=True) if by_row else weight.abs().max()


_BY_HAND: dict[str, Callable[[Tensor, bool], tuple[Tensor, Tensor]]] = {
    "float8_e4m3fn": in_fp8,
    "float8_e5m2": lambda weight, by_row: in_fp8(weight, by_row, torch.float8_e5m2),
    "int8_tensorwise": in_int8,
}


def _by_host(weight: Tensor, algorithm: str, settings: Mapping[str, Any]) -> Weights:
    """Raises KeyError on a host that doesn't know the algorithm."""
    host: Any = importlib.import_module("comfy.quant_ops")
    layout = host.get_layout_class(host.QUANT_ALGOS[algorithm]["comfy_tensor_layout"])
    quantised = layout.quantize(weight, **settings)
    return layout.state_dict_tensors(*quantised)


FORMATS: dict[str, Callable[[Weights], Stored]] = {
    "scaled_fp8": fp8_by_marker,
    "scaled_fp8 by row": lambda weights: fp8_by_marker(weights, by_row=True),
    "fp8 by metadata": fp8_by_metadata,
    "fp8": by_layer("float8_e4m3fn"),
    "fp8 by row": by_layer("float8_e4m3fn", by_row=True),
    "fp8 e5m2": by_layer("float8_e5m2"),
    "nvfp4": by_layer("nvfp4"),
    "mxfp8": by_layer("mxfp8"),
    "int8": by_layer("int8_tensorwise"),
    "int8 by row": by_layer("int8_tensorwise", by_row=True),
    "int8 rotated": by_layer("int8_tensorwise", by_row=True, convrot=True, convrot_groupsize=ROTATION),
    "w4a4": by_layer("convrot_w4a4", convrot_groupsize=ROTATION),
    "w4a8": by_layer("asym_w4a8_int8", convrot_groupsize=ROTATION),
}
BY_HAND = ("scaled_fp8", "scaled_fp8 by row", "fp8 by metadata", "fp8", "fp8 by row", "fp8 e5m2", "int8", "int8 by row")


def made_here(name: str, weights: Weights) -> Stored:
    """The weights in one of FORMATS; the test is skipped on a host that has no quantiser for it."""
    try:
        return FORMATS[name](weights)
    except (KeyError, AttributeError):
        pytest.skip(f"this ComfyUI doesn't know {name}")
