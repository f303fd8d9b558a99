"""Results of Wan's official preprocessing for poses, masks and faces: official_preprocessing.py WAN GIVEN.npz MADE.npz

WAN is the folder of the package `wan`, whose files are loaded one by one: all of it would need the whole model.
GIVEN has arrays under the names of the functions below, `drawings.0` and so on; MADE has what they return.
"""

from __future__ import annotations

import sys
from copy import deepcopy
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

AREA = 1.3
ENDS = (  # each of the 20 joints is in the middle of two points
    (0, 6, 6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3, 17, 20),
    (0, 5, 6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3, 18, 21),
)


def drawing(person: np.ndarray, size: np.ndarray) -> np.ndarray:
    """The picture of a person [133, 3], on black of a size (width, height)."""
    joints = (person[[*ENDS[0]]] + person[[*ENDS[1]]]) / 2
    black = np.zeros((size[1], size[0], 3), np.uint8)
    hands = {"kp2ds_lhand": person[91:112], "kp2ds_rhand": person[112:133], "draw_hand": True}
    return import_module("human_visualization").draw_aapose_new(black, joints, 0.5, **hands)


def mask(given: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """A mask [H, W] grown and in cells (across, along), as for the replaced character."""
    utils = import_module("utils")
    _, grown = utils.get_mask_body_img(np.zeros((*given.shape, 3)), given.astype(np.uint8), iterations=3)
    return utils.get_aug_mask(grown, int(cells[0]), int(cells[1]))


def face(points: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Left, right, top and bottom around a face [68, 2] in pixels of a picture (width, height)."""
    heel_and_face = np.concatenate([np.zeros((1, 2)), points / size])
    return np.array(import_module("utils").get_face_bboxes(heel_and_face, AREA, (size[1], size[0])))


def frames(clip: np.ndarray, fps: np.ndarray) -> np.ndarray:
    """Frames of a clip (count, frames a second) that are taken at another rate."""
    count, own_fps = int(clip[0]), float(clip[1])
    indices = import_module("utils").get_frame_indices
    return np.array(indices(count, own_fps, int(count / own_fps * float(fps[0])), float(fps[0])))


def size(shape: np.ndarray, area: np.ndarray) -> np.ndarray:
    """Width and height for pictures of a shape (width, height) in an area."""
    width, height = shape
    resized = import_module("utils").resize_by_area(np.zeros((height, width, 3), np.uint8), int(area[0]), divisor=16)
    return np.array(resized.shape[1::-1])


def retarget(people: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """20 joints and both hands' points [T, 62, 2] of the motion people[:-1] [T, 133, 3] for the body people[-1].

    `sizes` are width and height of the motion's canvas and of the body's.
    """
    *motion, body = (_meta(person, *sizes[2 * (i == len(people) - 1) :][:2]) for i, person in enumerate(people))
    retargeted = import_module("retarget_pose").get_retarget_pose(deepcopy(motion[0]), body, motion, None, None)
    return np.array([np.concatenate([one.kps_body, one.kps_lhand, one.kps_rhand]) for one in retargeted], float)


def _meta(person: np.ndarray, width: int, height: int) -> dict[str, Any]:
    """A person [133, 3] as the official code has them."""
    share = person / (width, height, 1)
    joints = (share[[*ENDS[0]]] + share[[*ENDS[1]]]) / 2
    hands = {"keypoints_left_hand": share[91:112], "keypoints_right_hand": share[112:133]}
    return {"width": int(width), "height": int(height), "keypoints_body": joints, **hands}


if __name__ == "__main__":
    sys.path.insert(0, str(Path(sys.argv[1], "modules", "animate", "preprocess")))
    given = np.load(sys.argv[2])
    functions = {one.__name__: one for one in (drawing, mask, face, frames, size, retarget)}
    made: dict[str, Any] = {}
    for name, function in functions.items():
        if f"{name}.0" in given:
            pairs = zip(given[f"{name}.0"], given[f"{name}.1"], strict=True)
            made |= {f"{name}.{i}": function(*pair) for i, pair in enumerate(pairs)}
    np.savez(sys.argv[3], **made)
