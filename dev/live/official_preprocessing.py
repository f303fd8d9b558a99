"""What Wan's official preprocessing makes of poses, masks and faces: official_preprocessing.py WAN GIVEN.npz MADE.npz

WAN is the folder of the package `wan`, whose files are loaded one by one: all of it would need the whole model.
GIVEN has arrays under the names of the functions below, `drawings.0` and so on; MADE has what they return.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

AREA = 1.3


def drawing(person: np.ndarray, size: np.ndarray) -> np.ndarray:
    """The picture of a person [133, 3], on black of a size (width, height)."""
    joints = person[[0, 6, 6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3, 17, 20]]
    others = person[[0, 5, 6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3, 18, 21]]
    black = np.zeros((size[1], size[0], 3), np.uint8)
    hands = {"kp2ds_lhand": person[91:112], "kp2ds_rhand": person[112:133], "draw_hand": True}
    return import_module("human_visualization").draw_aapose_new(black, (joints + others) / 2, 0.5, **hands)


def mask(given: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """A mask [H, W] grown and in cells (across, along), as for the replaced character."""
    utils = import_module("utils")
    _, grown = utils.get_mask_body_img(np.zeros((*given.shape, 3)), given.astype(np.uint8), iterations=3)
    return utils.get_aug_mask(grown, int(cells[0]), int(cells[1]))


def face(points: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Left, right, top and bottom around a face [68, 2] in pixels of a picture (width, height)."""
    heel_and_face = np.concatenate([np.zeros((1, 2)), points / size])
    return np.array(import_module("utils").get_face_bboxes(heel_and_face, AREA, (size[1], size[0])))


if __name__ == "__main__":
    sys.path.insert(0, str(Path(sys.argv[1], "modules", "animate", "preprocess")))
    given = np.load(sys.argv[2])
    functions = {"drawing": drawing, "mask": mask, "face": face}
    made: dict[str, Any] = {}
    for name, function in functions.items():
        if f"{name}.0" in given:
            pairs = zip(given[f"{name}.0"], given[f"{name}.1"], strict=True)
            made |= {f"{name}.{i}": function(*pair) for i, pair in enumerate(pairs)}
    np.savez(sys.argv[3], **made)
