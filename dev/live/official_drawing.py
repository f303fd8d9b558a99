"""What Wan's official preprocessing makes of poses and masks: official_drawing.py WAN GIVEN.npz MADE.npz

WAN is the folder of the package `wan`, whose files are loaded one by one: all of it would need the whole model.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np


def drawings(points: np.ndarray, sizes: np.ndarray) -> list[np.ndarray]:
    """The picture of each person [133, 3], on black of its size (width, height)."""
    from human_visualization import draw_aapose_new

    made = []
    for person, (width, height) in zip(points, sizes, strict=True):
        joints = person[[0, 6, 6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3, 17, 20]]
        others = person[[0, 5, 6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3, 18, 21]]
        black = np.zeros((height, width, 3), np.uint8)
        hands = {"kp2ds_lhand": person[91:112], "kp2ds_rhand": person[112:133], "draw_hand": True}
        made.append(draw_aapose_new(black, (joints + others) / 2, 0.5, **hands))
    return made


if __name__ == "__main__":
    sys.path.insert(0, str(Path(sys.argv[1], "modules", "animate", "preprocess")))
    given = np.load(sys.argv[2])
    np.savez(sys.argv[3], *drawings(given["points"], given["sizes"]))
