"""Convolutions that oneDNN runs together with their activation, with weights that it has laid out beforehand.

torch has these for what it compiles only and documents them nowhere: where they are missing or differ, a network is
run without them, which on the CPU takes a third longer.
"""

from typing import Any

import torch
from torch import Tensor

ACTIVATIONS: dict[str | None, tuple[str, list[float]]] = {
    None: ("none", []),
    "relu": ("relu", []),
    "relu6": ("hardtanh", [0.0, 6.0]),
}


class FusedConvolution:
    """One convolution on the CPU in single precision; its weights are laid out for the first input that it gets."""

    def __init__(
        self, weight: Tensor, bias: Tensor, stride: int, padding: tuple[int, int], groups: int, activation: str | None
    ):
        self._weight, self._bias, self._laid_out = weight, bias, False
        self._settings: tuple[Any, ...] = (padding, (stride, stride), (1, 1), groups)
        self._activation = ACTIVATIONS[activation]

    def __call__(self, x: Tensor) -> Tensor:
        operators = torch.ops.mkldnn
        if not self._laid_out:
            self._weight = operators._reorder_convolution_weight(self._weight, *self._settings, x.shape)
            self._laid_out = True
        return operators._convolution_pointwise(x, self._weight, self._bias, *self._settings, *self._activation, "")


def can_fuse(device: torch.device) -> bool:
    """Say whether fused convolutions work on a device with this torch, by a try on a single pixel."""
    if device.type != "cpu":
        return False
    pixel = torch.full((1, 1, 1, 1), 3.0)
    try:
        with torch.inference_mode():
            made = FusedConvolution(pixel, pixel.flatten(), 1, (0, 0), 1, "relu6")(pixel)
    except (AttributeError, RuntimeError, TypeError):
        return False
    return made.item() == 6
