"""Detections of MediaPipe's single-shot detectors in a square image: boxes and points as fractions of it.

The settings are those of mediapipe/modules/pose_detection/pose_detection_cpu.pbtxt and of
mediapipe/modules/face_detection/face_detection_short_range.pbtxt.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

OVERLAP = 0.3  # from which on two boxes are of one thing


@dataclass(frozen=True)
class Anchors:
    """A detector's grid: for each scale, cells a side and guesses a cell; `size` is that of its image."""

    size: int
    scales: tuple[tuple[int, int], ...]

    def centres(self) -> np.ndarray:
        """The middle of every guess's cell [N, 2], in shares."""
        grids = []
        for cells, guesses in self.scales:
            place = (np.arange(cells) + 0.5) / cells
            rows, columns = np.meshgrid(place, place, indexing="ij")
            grids.append(np.repeat(np.stack([columns, rows], -1).reshape(-1, 2), guesses, axis=0))
        return np.concatenate(grids)


POSE = Anchors(224, ((28, 2), (14, 2), (7, 6)))
FACE = Anchors(128, ((16, 2), (8, 6)))


class Detection(NamedTuple):
    """One detection: its score, a box [4] as left, top, right, bottom, and points [K, 2]."""

    score: float
    box: np.ndarray
    points: np.ndarray


def detections(anchors: Anchors, guesses: np.ndarray, logits: np.ndarray, least: float) -> list[Detection]:
    """Detections in one image from its raw boxes [N, 4 + 2K] and logits [N, 1], the highest score first."""
    scores = 1 / (1 + np.exp(-np.clip(logits[:, 0], -80, 80)))
    kept = scores >= least
    scores, centres, guesses = scores[kept], anchors.centres()[kept], guesses[kept] / anchors.size
    middle, half = guesses[:, :2] + centres, guesses[:, 2:4] / 2
    boxes = np.concatenate([middle - half, middle + half], 1)
    points = guesses[:, 4:].reshape(len(guesses), guesses.shape[1] // 2 - 2, 2) + centres[:, None]
    return _merged(scores, boxes, points)


def _merged(scores: np.ndarray, boxes: np.ndarray, points: np.ndarray) -> list[Detection]:
    """One detection for all guesses that overlap the surest one, their mean weighted by score."""
    left = np.argsort(-scores)
    found = []
    while len(left):
        same = overlaps(boxes[left[0]], boxes[left]) > OVERLAP
        same[0] = True
        group, weights = left[same], scores[left[same]] / scores[left[same]].sum()
        box, point = np.tensordot(weights, boxes[group], 1), np.tensordot(weights, points[group], 1)
        found.append(Detection(float(scores[left[0]]), box, point))
        left = left[~same]
    return found


def overlaps(box: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Intersection over union [N] of a box [4] and others [N, 4]."""
    shared = _intersections(box, boxes)
    return shared / (area(box) + area(boxes) - shared + 1e-9)


def overlap_of_smaller(box: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """The share [N] of the smaller of two boxes that lies in the other one, for a box [4] and others [N, 4]."""
    return _intersections(box, boxes) / (np.minimum(area(box), area(boxes)) + 1e-9)


def area(boxes: np.ndarray) -> np.ndarray:
    """The areas of boxes [..., 4]."""
    return np.prod(np.clip(boxes[..., 2:] - boxes[..., :2], 0, None), -1)


def _intersections(box: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    corners = np.concatenate([np.maximum(box[:2], boxes[:, :2]), np.minimum(box[2:], boxes[:, 2:])], 1)
    return area(corners)
