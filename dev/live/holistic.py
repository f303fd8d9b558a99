"""MediaPipe's Holistic on a video, as JSON, a line for each frame: holistic.py VIDEO [LEFT TOP SIDE TIMES]

With four more numbers: in a square of the video, enlarged. Points are x, y in pixels, null where nothing was found.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import av
import cv2
import mediapipe
import numpy as np

PARTS = ("pose", "left_hand", "right_hand", "face")


def frames(video: str, left: int = 0, top: int = 0, side: int = 0, times: int = 1) -> Iterator[np.ndarray]:
    """The frames [H, W, 3], or of each the square, enlarged."""
    for frame in av.open(video).decode(video=0):
        image = frame.to_ndarray(format="rgb24")
        if side:
            square = image[top : top + side, left : left + side]
            image = cv2.resize(square, None, fx=times, fy=times, interpolation=cv2.INTER_LINEAR)
        yield image


def places(landmarks: Any, width: int, height: int) -> list[list[float]] | None:
    """Points in pixels, to a tenth."""
    if landmarks is None:
        return None
    return [[round(point.x * width, 1), round(point.y * height, 1)] for point in landmarks.landmark]


if __name__ == "__main__":
    detector = mediapipe.solutions.holistic.Holistic(model_complexity=1)
    for image in frames(sys.argv[1], *map(int, sys.argv[2:])):
        found = detector.process(image)
        height, width = image.shape[:2]
        print(json.dumps({part: places(getattr(found, f"{part}_landmarks"), width, height) for part in PARTS}))
