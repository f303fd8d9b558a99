"""Which pixels of a frame are a person's."""

import torch
from torch import Tensor

from .detector.body import Bodies
from .detector.region import put_back


def mask_of(found: Bodies, height: int, width: int) -> Tensor:
    """How surely each pixel [H, W] is one of the bodies', in 0..1."""
    canvas = torch.zeros(height, width, device=found.masks.device)
    for mask, region in zip(found.masks, found.regions, strict=True):
        put_back(mask, region, canvas)
    return canvas
