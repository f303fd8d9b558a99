"""The face of a person, frame by frame, as Wan 2.2 Animate takes it: a square of 512 pixels, stretched to fill it."""

from collections.abc import Iterable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .pose import FACE, MISSING, SEEN, Pose

SIZE = 512
HOLD, BLACK = "hold", "black"
INSTEAD = {HOLD: "the place of the nearest face in time is shown", BLACK: "the face video is black"}
Box = tuple[int, int, int, int]


def face_box(face: np.ndarray, area: float, width: int, height: int) -> Box:
    """Left, top, right and bottom around a face [68, 2], `area` times its own area; three quarters of the added height
    go above it (get_face_bboxes of Wan's official preprocessing)."""
    low, high = face.min(0), face.max(0)
    wide, tall = high - low
    beside, above = wide * (area**0.5 - 1) / 2, tall * (area**0.5 - 1) / 4
    left, right = max(low[0] - beside, 0), min(high[0] + beside, width)
    top, bottom = max(low[1] - 3 * above, 0), min(high[1] + above, height)
    return int(left), int(top), int(right), int(bottom)


def face_boxes(pose: Pose, person: int, area: float, missing: str) -> list[Box | None]:
    """A person's face in each frame; where there is none the nearest one is held, or None stands for black."""
    boxes: list[Box | None] = []
    for points, state in zip(pose.points[:, person], pose.states[:, person], strict=True):
        face = points[FACE]
        seen = state != MISSING and (face[:, 2] >= SEEN).all()
        box = face_box(face[:, :2], area, pose.width, pose.height) if seen else None
        boxes.append(box if box and box[2] > box[0] and box[3] > box[1] else None)
    there = np.array([i for i, box in enumerate(boxes) if box])
    if missing == BLACK or not len(there):
        return boxes
    middles = (there[1:] + there[:-1]) / 2  # up to which the earlier one is the nearest
    return [boxes[there[place]] for place in np.searchsorted(middles, range(len(boxes)))]


def crop_faces(frames: Iterable[np.ndarray], boxes: list[Box | None]) -> Tensor:
    """The boxes of as many frames [H, W, 3] in bytes, as images [T, 512, 512, 3] in 0..1."""
    faces = torch.empty(len(boxes), SIZE, SIZE, 3)  # filled frame by frame: zeroing it all takes long
    for face, frame, box in zip(faces, frames, boxes, strict=True):
        if box:
            left, top, right, bottom = box
            part = torch.from_numpy(frame[top:bottom, left:right]).permute(2, 0, 1)[None] / 255
            face.copy_(F.interpolate(part, (SIZE, SIZE), mode="bilinear")[0].permute(1, 2, 0))
        else:
            face.zero_()
    return faces


def face_counts(pose: Pose, person: int, missing: str) -> str:
    """The frames in which a person's face was seen, and what is shown in the others."""
    found, frames = sum(map(bool, face_boxes(pose, person, 1.0, BLACK))), len(pose)
    if found == frames:
        return f"a face in all {frames} frames"
    if not found:
        return (
            f"no face in any of {frames} frames: the face video is black. "
            "Choose another person, or leave the face video of Animate unconnected"
        )
    return f"no face in {frames - found} of {frames} frames, where {INSTEAD[missing]}"
