"""Turned squares of an image: cut out for a network, and what it says about them put back.

Coordinates are those of pixels, (0, 0) the first one's; a region is (x, y, size, angle): its centre, its side in
pixels, and how far it is turned clockwise, in radians.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


def whole(width: int, height: int) -> np.ndarray:
    """The region [4] that holds a whole image."""
    return np.array([width / 2, height / 2, max(width, height), 0.0])


def toward(start: np.ndarray, end: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Regions [N, 4] around `start` [N, 2] whose upper side lies in the direction of `end` [N, 2]."""
    dx, dy = (end - start).T
    return np.column_stack([start, size, np.arctan2(dx, -dy)])


def shifted(regions: np.ndarray, down: float) -> np.ndarray:
    """Regions moved by a share of their size along their own vertical axis."""
    x, y, size, angle = regions.T
    return np.column_stack([x - np.sin(angle) * down * size, y + np.cos(angle) * down * size, size, angle])


def to_image(points: np.ndarray, regions: np.ndarray) -> np.ndarray:
    """Points [N, K, 2], in shares of their region, as pixels of the image."""
    x, y, size, angle = (column[:, None] for column in regions.T)
    right, down = (points[..., 0] - 0.5) * size, (points[..., 1] - 0.5) * size
    cos, sin = np.cos(angle), np.sin(angle)
    return np.stack([x + cos * right - sin * down, y + sin * right + cos * down], -1)


def crops(image: Tensor, regions: np.ndarray, size: int, *, black: bool = False) -> Tensor:
    """The regions of an image [H, W, 3] in bytes as [N, size, size, 3] in 0..1.

    Beyond its edge the image's last pixels go on, or everything is black.
    """
    beyond = "zeros" if black else "border"
    return torch.cat([_crop(image, region, size, beyond) for region in regions])


def _crop(image: Tensor, region: np.ndarray, size: int, beyond: str) -> Tensor:
    part, left, top = _part_around(image, region)
    x, y, side, angle = region.tolist()
    pixels = part.permute(2, 0, 1)[None] / 255
    x, y = x - left, y - top
    if (finer := int(side // size)) > 1:  # or pixels between those that are sampled would be lost
        pixels = F.avg_pool2d(pixels, finer, ceil_mode=True)
        x, y, side = ((x + 0.5) / finer - 0.5, (y + 0.5) / finer - 0.5, side / finer)
    cos, sin = math.cos(angle) * side, math.sin(angle) * side
    step = torch.arange(size, device=image.device, dtype=torch.float32) / size - 0.5
    across = (x + cos * step)[None, :] - (sin * step)[:, None]
    along = (y + sin * step)[None, :] + (cos * step)[:, None]
    return _sampled(pixels, across, along, beyond).permute(0, 2, 3, 1)


def _part_around(image: Tensor, region: np.ndarray) -> tuple[Tensor, int, int]:
    """The part of the image that a region can touch, at least one pixel, and where it begins."""
    x, y, side, _ = region.tolist()
    reach = side / math.sqrt(2) + 1
    left, right = (_held(edge, image.shape[1]) for edge in (x - reach, x + reach))
    top, bottom = (_held(edge, image.shape[0]) for edge in (y - reach, y + reach))
    return image[top : bottom + 1, left : right + 1], left, top


def _held(place: float, count: int) -> int:
    return min(max(int(place), 0), count - 1)


def _sampled(image: Tensor, across: Tensor, along: Tensor, beyond: str) -> Tensor:
    """Values [1, C, h, w] of an image [1, C, H, W] at pixel coordinates [h, w], interpolated."""
    height, width = image.shape[-2:]
    grid = torch.stack([across * (2 / max(width - 1, 1)) - 1, along * (2 / max(height - 1, 1)) - 1], -1)
    return F.grid_sample(image, grid[None], mode="bilinear", padding_mode=beyond, align_corners=True)


def put_back(value: Tensor, region: np.ndarray, canvas: Tensor) -> None:
    """Draw `value` [h, h], which covers the region, on a canvas [H, W]; the larger of both stays."""
    part, left, top = _part_around(canvas, region)
    x, y, side, angle = region.tolist()
    cos, sin, size = math.cos(angle) / side, math.sin(angle) / side, value.shape[-1]
    right = torch.arange(part.shape[1], device=canvas.device, dtype=torch.float32) + (left - x)
    down = torch.arange(part.shape[0], device=canvas.device, dtype=torch.float32) + (top - y)
    across = ((cos * right)[None, :] + (sin * down)[:, None] + 0.5) * size
    along = ((cos * down)[:, None] - (sin * right)[None, :] + 0.5) * size
    torch.maximum(part, _sampled(value[None, None], across, along, "zeros")[0, 0], out=part)
