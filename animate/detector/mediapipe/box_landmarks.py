"""The embedded detector where another one has seen people: the body that is in each box."""

import numpy as np
from torch import Tensor

from .body import MARGIN, Bodies
from .detections import overlaps
from .embedded import SETTLING, EmbeddedDetector, no_details
from .wholebody import wholebody

PRESENT = 0.5  # less than for somebody whom nobody else has seen
FITS = 0.2  # intersection over union of a box and its body


class EmbeddedPoints:
    """Find the points of the person in a box by the embedded networks."""

    def __init__(self, detector: EmbeddedDetector):
        self._detector = detector

    def points(self, image: Tensor, boxes: np.ndarray, *, hands: bool, face: bool) -> np.ndarray:
        """The points [N, 133, 3] of whoever is in the boxes [N, 4], N at least 1, of an image [H, W, 3] in bytes.

        Zeros where nobody is.
        """
        found = self._settled(image, np.stack([self._region(image, box) for box in boxes]))
        details = self._detector.details(image, found, no_details(len(found)), hands=hands, face=face)
        points = wholebody(found.points, *details)
        fits = [overlaps(*pair)[0] >= FITS for pair in zip(boxes, found.boxes()[:, None], strict=True)]
        points[~np.array(fits) | (found.presence < PRESENT)] = 0
        return points

    def _region(self, image: Tensor, box: np.ndarray) -> np.ndarray:
        """The region [4] of the body that a box [4] fits best: the box's own, or that of somebody found there."""
        left, top, right, bottom = box
        square = np.array([[(left + right) / 2, (top + bottom) / 2, MARGIN * max(right - left, bottom - top), 0.0]])
        regions = np.concatenate([square, self._detector.guessed(image, square)])
        found = self._detector.look(image, regions)
        return found.following[(overlaps(box, found.boxes()) * (found.presence >= PRESENT)).argmax()]

    def _settled(self, image: Tensor, regions: np.ndarray) -> Bodies:
        """The bodies in regions [N, 4] that fit them, from regions that nearly do."""
        for _ in range(SETTLING):
            regions = self._detector.look(image, regions).following
        return self._detector.look(image, regions)
