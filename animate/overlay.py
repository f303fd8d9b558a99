"""Poses and masks drawn over the frames, for a look at what was detected."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from .draw import draw_on
from .face_crop import Box
from .raster import draw_line

TINT = np.array([0.0, 255.0, 80.0])
BOX, FACE_BOX = (255, 255, 0), (0, 200, 255)


def overlay_pose(
    frame: np.ndarray, people: Sequence[np.ndarray], boxes: Sequence[Box], faces: Sequence[Box], mask: np.ndarray | None
) -> np.ndarray:
    """A frame [H, W, 3] in bytes with the mask [H, W] tinted, and skeletons [133, 3], boxes and face crops drawn."""
    made = frame.copy()
    if mask is not None:
        share = 0.5 * mask[..., None]
        made = (made * (1 - share) + TINT * share).astype(np.uint8)
    draw_on(made, people)
    thick = max(min(made.shape[:2]) // 300, 1)
    for outlines, colour in ((boxes, BOX), (faces, FACE_BOX)):
        for left, top, right, bottom in outlines:
            corners = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]
            for start, end in pairwise(corners):
                draw_line(made, start, end, colour, thick)
    return made
