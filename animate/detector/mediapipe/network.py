"""Runs a network that dev/detector/convert.py has written: a list of steps, and the weights that they name."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor

from ....video.clip import Look, never
from .fused import FusedConvolution, can_fuse

FOLDER = Path(__file__).parent / "weights"
Weights = dict[str, Tensor]
Layer = Callable[..., Tensor]


class Network:
    """One network on one device: images [B, size, size, 3] in, its outputs out, each [B, …] with channels last.

    `look` is called before each layer, and may raise to end a run that somebody has interrupted.
    """

    def __init__(self, name: str, device: torch.device, look: Look = never):
        graph = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
        weights = load_file(FOLDER / f"{name}.safetensors")
        self.device = device
        self._look = look
        self.size: int = graph["size"]
        self._input: int = graph["input"]
        self._outputs: list[int] = graph["outputs"]
        fused = can_fuse(device)
        self._steps = [
            (_layer(step, {key: w.float().to(device) for key, w in _of(step["out"], weights).items()}, fused), step)
            for step in graph["steps"]
        ]
        self._unused = _unused_after(graph["steps"], self._outputs)

    def __call__(self, images: Tensor) -> list[Tensor]:
        """The outputs for images in the range the network was trained on, in single precision."""
        values = {self._input: images.to(self.device, torch.float32).permute(0, 3, 1, 2)}
        with torch.inference_mode():
            for place, (layer, step) in enumerate(self._steps):
                self._look()
                values[step["out"]] = layer(*(values[number] for number in step["in"]))
                for number in self._unused[place]:
                    del values[number]
        return [_channels_last(values[number]) for number in self._outputs]


def _of(output: int, weights: Weights) -> Weights:
    prefix = f"{output}."
    return {key.removeprefix(prefix): weight for key, weight in weights.items() if key.startswith(prefix)}


def _unused_after(steps: Sequence[dict[str, Any]], outputs: Sequence[int]) -> list[list[int]]:
    """For each step, the values that no later one reads."""
    last = {number: place for place, step in enumerate(steps) for number in step["in"]}
    unused: list[list[int]] = [[] for _ in steps]
    for number, place in last.items():
        if number not in outputs:
            unused[place].append(number)
    return unused


def _channels_last(value: Tensor) -> Tensor:
    return value.permute(0, 2, 3, 1) if value.ndim == 4 else value


def _layer(step: dict[str, Any], weights: Weights, fused: bool) -> Layer:
    settings = {name: value for name, value in step.items() if name not in ("op", "in", "out", "activation")}
    activation = step.get("activation")
    if step["op"] == "convolution":
        return _convolution(**weights, settings=settings, activation=activation, fused=fused)
    return _activated(_LAYERS[step["op"]](**settings, **weights), activation)


def _activated(layer: Layer, activation: str | None) -> Layer:
    if not activation:
        return layer
    bounded = F.relu if activation == "relu" else F.relu6
    return lambda *values: bounded(layer(*values), inplace=True)


def _convolution(weight: Tensor, bias: Tensor, settings: dict[str, Any], activation: str | None, fused: bool) -> Layer:
    left, right, top, bottom = settings["pads"]
    stride, groups = settings["stride"], settings["groups"]
    # torch pads both ends alike: for one more at the second, the kernel begins with a row and a column of zeros.
    weight, padding = F.pad(weight, (right - left, 0, bottom - top, 0)), (bottom, right)
    if fused:
        return FusedConvolution(weight, bias, stride, padding, groups, activation)
    return _activated(lambda x: F.conv2d(x, weight, bias, stride, padding, groups=groups), activation)


def _depth_to_space(block: int) -> Layer:
    def layer(x: Tensor) -> Tensor:  # TensorFlow has the block's place before the channel, torch's pixel_shuffle after
        batch, channels, height, width = x.shape
        x = x.reshape(batch, block, block, channels // block**2, height, width).permute(0, 3, 4, 1, 5, 2)
        return x.reshape(batch, channels // block**2, height * block, width * block)

    return layer


_LAYERS: dict[str, Callable[..., Layer]] = {
    "upconvolution": lambda weight, bias, stride: lambda x: F.conv_transpose2d(x, weight, bias, stride),
    "linear": lambda weight, bias: lambda x: F.linear(x.flatten(1), weight, bias),
    "prelu": lambda weight: lambda x: F.prelu(x, weight),
    "relu": lambda: F.relu,
    "hardswish": lambda: F.hardswish,
    "sigmoid": lambda: torch.sigmoid,
    "add": lambda: torch.add,
    "multiply": lambda: torch.mul,
    "add_channels": lambda count: lambda x: F.pad(x, (0, 0, 0, 0, 0, count)),
    "first_channels": lambda count: lambda x: x[:, :count],
    "max_pool": lambda size, stride: lambda x: F.max_pool2d(x, size, stride),
    "mean": lambda keep: lambda x: x.mean((2, 3), keepdim=keep),
    "resize": lambda size: lambda x: F.interpolate(x, size, mode="bilinear"),
    "depth_to_space": _depth_to_space,
    "rows": lambda shape: lambda x: _channels_last(x).reshape(-1, *shape),
    "concat": lambda axis: lambda *values: torch.cat(values, axis),
}
