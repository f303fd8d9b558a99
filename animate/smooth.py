"""Points that don't tremble, and short gaps in which nobody was seen closed."""

from dataclasses import replace
from itertools import pairwise

import numpy as np

from .pose import BODY, FILLED, MISSING, SEEN, Pose

REACH = {"off": 0, "light": 2, "strong": 4}
"""Frames to each side that a point's place is taken from."""
JUMP = 0.35  # of the body's size, that somebody moves from one frame to the next only where there is a cut
FEWEST = 3  # joints that have a size


def close_gaps(pose: Pose, longest: int) -> Pose:
    """The pose with its gaps of up to `longest` frames between two sights of a person closed on a straight line."""
    points, states, regions = pose.points.copy(), pose.states.copy(), pose.regions.copy()
    for person in range(states.shape[1]):
        there = np.flatnonzero(states[:, person] != MISSING)
        for before, after in pairwise(there):
            if not 1 < after - before <= longest + 1:
                continue
            share = (np.arange(before + 1, after) - before) / (after - before)
            gap = slice(before + 1, after)
            for values in (points, regions):
                first, last = values[before, person], values[after, person]
                values[gap, person] = first + share.reshape(-1, *[1] * first.ndim) * (last - first)
            unseen = np.minimum(points[before, person, :, 2], points[after, person, :, 2]) == 0
            points[gap, person, unseen] = 0  # a point without a place at one end has none between
            states[gap, person] = FILLED
    return replace(pose, points=points, states=states, regions=regions)


def smooth(pose: Pose, strength: str) -> Pose:
    """The pose with every point on the parabola that fits the frames around it, each weighted by its score.

    Savitzky and Golay's filter where all scores are equal. A frame that lacks a point does not count, nor does one
    beyond a cut.
    """
    if not REACH[strength]:
        return pose
    points = pose.points.copy()
    for person in range(points.shape[1]):
        for start, end in pairwise([0, *_cuts(points[:, person]), len(pose)]):
            points[start:end, person, :, :2] = _fitted(pose.points[start:end, person], REACH[strength])
    return replace(pose, points=points)


def _cuts(points: np.ndarray) -> list[int]:
    """The frames in which somebody [T, 133, 3] is elsewhere all at once."""
    return [t for t in range(1, len(points)) if _jumps(*points[t - 1 : t + 1, BODY])]


def _jumps(before: np.ndarray, now: np.ndarray) -> bool:
    seen = (before[:, 2] >= SEEN) & (now[:, 2] >= SEEN)
    if seen.sum() < FEWEST:
        return False
    moved = np.median(np.linalg.norm(now[seen, :2] - before[seen, :2], axis=1))
    return bool(moved > JUMP * np.ptp(before[seen, :2], axis=0).max())


def _fitted(points: np.ndarray, reach: int) -> np.ndarray:
    """The places [T, K, 2] of points [T, K, 3], smoothed."""
    weights, places = points[..., 2:].astype(np.float64), points[..., :2].astype(np.float64)
    moments = np.zeros((5, *weights.shape))
    sums = np.zeros((3, *places.shape))
    for step in range(-reach, reach + 1):
        weight, place = _moved(weights, step), _moved(places, step)
        for power in range(5):
            moments[power] += weight * step**power
        for power in range(3):
            sums[power] += weight * place * step**power
    return np.where(_can_be_fitted(weights, reach), _at_the_middle(moments, sums, places), places)


def _moved(values: np.ndarray, step: int) -> np.ndarray:
    """`values` of `step` frames later, zero beyond the ends."""
    moved = np.zeros_like(values)
    if step >= 0:
        moved[: max(len(values) - step, 0)] = values[step:]
    else:
        moved[-step:] = values[:step]
    return moved


def _at_the_middle(moments: np.ndarray, sums: np.ndarray, places: np.ndarray) -> np.ndarray:
    """The parabola's value at the frame itself, by Cramer's rule; the place itself where there is no parabola."""
    m0, m1, m2, m3, m4 = moments
    s0, s1, s2 = sums
    whole = m0 * (m2 * m4 - m3 * m3) - m1 * (m1 * m4 - m2 * m3) + m2 * (m1 * m3 - m2 * m2)
    part = s0 * (m2 * m4 - m3 * m3) - m1 * (s1 * m4 - s2 * m3) + m2 * (s1 * m3 - s2 * m2)
    return np.where(np.abs(whole) > 1e-9, part / np.where(whole == 0, 1, whole), places)


def _can_be_fitted(weights: np.ndarray, reach: int) -> np.ndarray:
    """Say whether a point is there and in both frames beside it: at an end it stays where it is."""
    there = (weights > 0).astype(np.float64)
    around = sum(_moved(there, step) for step in range(-reach, reach + 1))
    return (there > 0) & (_moved(there, 1) > 0) & (_moved(there, -1) > 0) & (around >= 3)
