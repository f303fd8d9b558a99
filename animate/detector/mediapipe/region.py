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


def shift(regions: np.ndarray, down: float) -> np.ndarray:
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
    """The regions of an image [H, W, 3] in bytes, on the CPU, as [N, size, size, 3] in 0..1.

    Beyond its edge the image's last pixels go on, or everything is black.
    """
    beyond = "zeros" if black else "border"
    return torch.cat([_crop(image, region, size, beyond) for region in regions])


def _crop(image: Tensor, region: np.ndarray, size: int, beyond: str) -> Tensor:
    part, left, top = _part_around(image, region)
    x, y, side, angle = region.tolist()
    pixels, x, y = part.permute(2, 0, 1)[None], x - left, y - top
    if (finer := int(side // size)) > 1:  # or pixels between those that are sampled would be lost
        height, width = (-(-count // finer) for count in pixels.shape[-2:])
        across, along = width / pixels.shape[-1], height / pixels.shape[-2]
        pixels = F.interpolate(pixels, (height, width), mode="bilinear", antialias=True)
    else:
        across = along = 1.0
    cos, sin = math.cos(angle) * side, math.sin(angle) * side
    step = torch.arange(size, dtype=torch.float32) / size - 0.5
    columns = (across * (x + 0.5 + cos * step) - 0.5, -across * sin * step)
    rows = (along * (y + 0.5 + sin * step) - 0.5, along * cos * step)
    return _sampled(pixels.float(), columns, rows, beyond).permute(0, 2, 3, 1) / 255


def _part_around(image: Tensor, region: np.ndarray) -> tuple[Tensor, int, int]:
    """The part of the image that a region can touch, at least one pixel, and where it begins."""
    x, y, side, angle = region.tolist()
    reach = side / 2 * (abs(math.cos(angle)) + abs(math.sin(angle))) + 1
    left, right = (_held(edge, image.shape[1]) for edge in (x - reach, x + reach))
    top, bottom = (_held(edge, image.shape[0]) for edge in (y - reach, y + reach))
    return image[top : bottom + 1, left : right + 1], left, top


def _held(place: float, count: int) -> int:
    return min(max(int(place), 0), count - 1)


def _sampled(image: Tensor, columns: tuple[Tensor, Tensor], rows: tuple[Tensor, Tensor], beyond: str) -> Tensor:
    """Values [1, C, h, w] of an image [1, C, H, W], interpolated at pixel coordinates.

    These are sums of what changes to the right [w] and what changes downwards [h].
    """
    grid = image.new_empty(1, len(rows[1]), len(columns[0]), 2)
    for axis, (right, down) in enumerate((columns, rows)):
        scale = 2 / max(image.shape[3 - axis] - 1, 1)
        torch.add(right * scale - 1, (down * scale)[:, None], out=grid[0, ..., axis])
    return F.grid_sample(image, grid, mode="bilinear", padding_mode=beyond, align_corners=True)


def put_back(value: Tensor, region: np.ndarray, canvas: Tensor) -> None:
    """Draw `value` [h, h], which covers the region, on a canvas [H, W]; the larger of both stays."""
    part, left, top = _part_around(canvas, region)
    x, y, side, angle = region.tolist()
    size = value.shape[-1]
    cos, sin = math.cos(angle) * size / side, math.sin(angle) * size / side
    right = torch.arange(part.shape[1], device=canvas.device, dtype=torch.float32) + (left - x)
    down = torch.arange(part.shape[0], device=canvas.device, dtype=torch.float32) + (top - y)
    columns, rows = (cos * right + 0.5 * size, sin * down), (0.5 * size - sin * right, cos * down)
    torch.maximum(part, _sampled(value[None, None], columns, rows, "zeros")[0, 0], out=part)
