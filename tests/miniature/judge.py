"""What a clip of the miniature shows, from nothing but its pixels."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Frames = NDArray[np.floating]
COLORS = {
    "red": (0.90, 0.10, 0.10),
    "green": (0.10, 0.75, 0.15),
    "blue": (0.15, 0.25, 0.95),
    "yellow": (0.95, 0.85, 0.10),
}
CHROMA = 0.33  # of a pixel's channels the greatest less the least: above it is no background, which is nearly grey
LEAST_AREA = 60  # pixels; the smallest shape has 200
LEAST_MOTION = 6.0  # pixels from first to last frame; the slowest clip has 17
# How much of the box around it a shape fills. Drawn: triangles .56, circles .80, squares 1. The VAE rounds corners, and
# makes them .65, .81 and .92.
TRIANGLE_BELOW, SQUARE_ABOVE = 0.71, 0.86


class Verdict(NamedTuple):
    """What is seen; None where nothing is."""

    color: str | None
    shape: str | None
    direction: str | None


def judge(frames: Frames) -> Verdict:
    """Return colour, shape and direction of the one shape in `frames`, [T, H, W, 3] in 0..1."""
    masks = _masks(frames)
    if masks is None:
        return Verdict(None, None, None)
    return Verdict(_color(frames[_vivid(frames)]), _shape(masks), _direction(masks))


def fullness(frames: Frames) -> float:
    """Return how much of the box around it the shape fills, 0..1: what tells the shapes apart; not a number if none."""
    masks = _masks(frames)
    return float("nan") if masks is None else _fullness(masks)


def drift(frames: Frames) -> float:
    """Return how far the shape gets off its way from first to last frame, in pixels: drawn ones go straight."""
    masks = _masks(frames)
    return float("inf") if masks is None else min(map(abs, _way(masks)))


def _vivid(frames: Frames) -> NDArray[np.bool_]:
    return np.ptp(frames, axis=3) > CHROMA


def _masks(frames: Frames) -> NDArray[np.bool_] | None:
    """Return where the shape is, in the frames that show it; None if too few do."""
    masks = _vivid(frames)
    seen = masks.sum((1, 2)) >= LEAST_AREA
    return masks[seen] if seen.mean() >= 0.8 and seen[0] and seen[-1] else None


def _color(pixels: Frames) -> str:
    mean = np.median(pixels, axis=0)
    return min(COLORS, key=lambda name: float(np.linalg.norm(mean - COLORS[name])))


def _shape(masks: NDArray[np.bool_]) -> str:
    ratio = _fullness(masks)
    return "triangle" if ratio < TRIANGLE_BELOW else "square" if ratio > SQUARE_ABOVE else "circle"


def _fullness(masks: NDArray[np.bool_]) -> float:
    return float(np.median([_area_ratio(mask) for mask in masks]))


def _area_ratio(mask: NDArray[np.bool_]) -> float:
    """Return how much of the box around the mask it fills; a row or column of under two pixels is no part of it."""
    rows, columns = (np.flatnonzero(mask.sum(axis) >= 2) for axis in (1, 0))
    if not len(rows) or not len(columns):
        return 0.0
    box = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return float(box.mean())


def _direction(masks: NDArray[np.bool_]) -> str | None:
    """Return where the shape goes; None if it stays or wavers."""
    down, right = _way(masks)
    if max(abs(down), abs(right)) < max(LEAST_MOTION, 2 * min(abs(down), abs(right))):
        return None
    if abs(right) > abs(down):
        return "right" if right > 0 else "left"
    return "down" if down > 0 else "up"


def _way(masks: NDArray[np.bool_]) -> tuple[float, float]:
    """Return how far the masks' centroid goes down and right, by a straight line fitted to its way, in pixels."""
    centroids = np.array([np.argwhere(mask).mean(0) for mask in masks])
    down, right = np.polyfit(np.arange(len(masks)), centroids, 1)[0] * (len(masks) - 1)
    return float(down), float(right)
