"""Boxes of people from other nodes: BOUNDING_BOX, or the box around a MASK."""

from collections.abc import Mapping, Sequence
from math import isfinite, nan
from typing import Any

import numpy as np
from torch import Tensor

from .person_mask import check_masks
from .pose import MISSING, Pose

Box = Mapping[str, Any]
SIDES = ("x", "y", "width", "height")
PERSON = "person"
FORM = "a list of frames, each a list of {x, y, width, height} in pixels"


def to_boxes(pose: Pose) -> list[list[dict[str, Any]]]:
    """BOUNDING_BOX: for each frame, a dictionary for each person in it."""
    made = []
    for frame in range(len(pose)):
        boxes = pose.boxes(frame)[pose.states[frame] != MISSING]
        made.append(
            [
                {"x": int(left), "y": int(top), "width": int(right - left), "height": int(bottom - top)}
                for left, top, right, bottom in boxes.tolist()
            ]
        )
    return made


def from_boxes(given: Any, frames: int, width: int, height: int) -> list[np.ndarray]:
    """The boxes [N, 4] as left, top, right, bottom that a BOUNDING_BOX has for each of a video's frames.

    One box, or one list of them, is for all frames. Where some are labelled person, those are meant. What lies outside
    the picture is left out. Raises ValueError for another form, or another number of frames.
    """
    lists = _frames_of(given)
    if len(lists) not in (1, frames):
        raise ValueError(
            f"boxes has {len(lists)} frames, video {frames}. Connect the boxes of this video, or one for all of it."
        )
    persons_only = any(box.get("label") == PERSON for boxes in lists for box in boxes)
    made = [
        _inside([_corners(box) for box in boxes if not persons_only or box.get("label") == PERSON], width, height)
        for boxes in lists
    ]
    return made * frames if len(made) == 1 else made


def _frames_of(given: Any) -> list[list[Box]]:
    if isinstance(given, Mapping):
        return [[given]]
    if not isinstance(given, Sequence) or isinstance(given, str) or not given:
        raise ValueError(f"boxes is {_short(given)}, where {FORM} was expected.")
    frames: list[Any] = [given] if all(isinstance(box, Mapping) for box in given) else list(given)
    for frame in frames:
        if not isinstance(frame, Sequence) or not all(isinstance(box, Mapping) for box in frame):
            raise ValueError(f"boxes has a frame {_short(frame)}, where {FORM} was expected.")
    return frames


def _corners(box: Box) -> list[float]:
    try:
        x, y, width, height = (float(box[side]) for side in SIDES)
    except (KeyError, TypeError, ValueError):
        x = y = width = height = nan
    if not all(map(isfinite, (x, y, width, height))):
        raise ValueError(f"boxes has {_short(dict(box))}, where {FORM} was expected.")
    return [x, y, x + width, y + height]


def _inside(corners: list[list[float]], width: int, height: int) -> np.ndarray:
    boxes = np.array(corners).reshape(-1, 4).clip(0, (width, height, width, height))
    return boxes[(boxes[:, 2:] > boxes[:, :2]).all(1)]


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 120 else f"{text[:120]}…"


def around_mask(mask: Tensor, frames: int, width: int, height: int) -> list[np.ndarray]:
    """The box [1, 4] around what is 0.5 or more of a video's mask [T, H, W] in each frame, [0, 4] where nothing is.

    Raises ValueError if it is none of this video.
    """
    made = []
    for one in check_masks(mask, frames, width, height).cpu():
        rows, columns = (np.flatnonzero((one >= 0.5).any(axis).numpy()) for axis in (1, 0))
        box = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1] if len(rows) else []
        made.append(np.array(box, float).reshape(-1, 4))
    return made
