"""Make torchvision importable where its compiled part does not fit the torch beside it."""

from __future__ import annotations

import torch

_library: torch.library.Library | None = None  # the operators live as long as this object


def register_torchvision_operators() -> None:
    """Declare the operators that PyPI's torchvision, linked to CUDA, cannot bring along for a CPU torch.

    Does nothing where torchvision works.
    """
    global _library
    try:
        import torchvision  # noqa: F401
    except RuntimeError:  # operator torchvision::nms does not exist
        _library = torch.library.Library("torchvision", "DEF")
        for operator in ("nms", "qnms"):
            _library.define(operator + "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
