"""MediaPipe for dev/bench/animate_prep.py: mediapipe_speed.py VIDEO, then lines `pose COUNT` or `holistic COUNT`.

Answers each with the seconds that the next COUNT frames took.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from itertools import cycle, islice

import av
import mediapipe
import numpy as np


def frames(video: str) -> Iterator[np.ndarray]:
    """The frames [H, W, 3] of a video, again and again."""
    for _ in cycle([None]):
        for frame in av.open(video).decode(video=0):
            yield frame.to_ndarray(format="rgb24")


if __name__ == "__main__":
    solutions = mediapipe.solutions
    made = {
        "pose": solutions.pose.Pose(model_complexity=1, enable_segmentation=True),
        "holistic": solutions.holistic.Holistic(model_complexity=1, enable_segmentation=True),
    }
    sources = {name: frames(sys.argv[1]) for name in made}
    for line in sys.stdin:
        name, count = line.split()
        images = list(islice(sources[name], int(count)))
        begin = time.perf_counter()
        for image in images:
            made[name].process(image)
        print(time.perf_counter() - begin, flush=True)
