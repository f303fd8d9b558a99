"""People whose boxes are known in every frame: told apart from frame to frame, their points taken from each box."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from .detector.mediapipe.detections import overlaps
from .pose import BODY, FOUND, MISSING, POINTS, SEEN, Pose
from .tracker import PersonSearch, pick_people

Boxes = Callable[[int, Tensor], np.ndarray]
"""The boxes [N, 4] in a frame, given its number and its image."""
SAME_PERSON = 0.3  # intersection over union of somebody's boxes in two frames


class Points(Protocol):
    """Finds the points [N, 133, 3] of the people in boxes [N, 4] of an image [H, W, 3] in bytes."""

    def points(self, image: Tensor, boxes: np.ndarray, *, hands: bool, face: bool) -> np.ndarray: ...


@dataclass
class Tracker:
    """Says which of a frame's boxes are of whom: where somebody was before, or of whom the search picks."""

    search: PersonSearch
    last: list[np.ndarray | None] = field(init=False)
    there: list[int] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        self.last = [None] * self.search.people

    def next(self, boxes: np.ndarray, width: int, height: int) -> dict[int, int]:
        """The place in the next frame's boxes [N, 4] of each person who is there."""
        left = list(range(len(boxes)))
        found: dict[int, int] = {}
        for person in self.there:
            if left and (last := self.last[person]) is not None:
                same = overlaps(last, boxes[left])
                if same.max() >= SAME_PERSON:
                    found[person] = left.pop(int(same.argmax()))
        anybody = any(last is not None for last in self.last)
        new = pick_people(boxes, left, self.search, width, height)[0 if anybody else self.search.skip :]
        for person in range(self.search.people):
            if person not in found and new:
                found[person] = new.pop(self._nearest(person, boxes[new]))
        for person, place in found.items():
            self.last[person] = boxes[place]
        self.there = sorted(found)
        return found

    def _nearest(self, person: int, boxes: np.ndarray) -> int:
        """Of boxes in the order of the pick, the one nearest to where a person was last; the first for a new one."""
        if (last := self.last[person]) is None:
            return 0
        moved = boxes - last
        return int(np.linalg.norm(moved[:, :2] + moved[:, 2:], axis=1).argmin())


def detect_in_boxes(
    network: Points, frames: Iterable[np.ndarray], boxes: Boxes, search: PersonSearch, fps: float
) -> Pose:
    """The people in the boxes of each of a video's frames [H, W, 3] in bytes.

    Somebody without a joint that can be seen is missing. Raises ValueError if there is no frame.
    """
    tracker, points = Tracker(search), []
    height = width = most = 0
    for number, frame in enumerate(frames):
        height, width = frame.shape[:2]
        image = torch.from_numpy(frame)
        found = boxes(number, image)
        most = max(most, len(found))
        who = tracker.next(found, width, height)
        points.append(np.zeros((search.people, POINTS, 3), np.float32))
        if who:
            chosen = found[list(who.values())]
            points[-1][list(who)] = network.points(image, chosen, hands=search.hands, face=search.face)
    if not points:
        raise ValueError("the video has no frames. Connect one that has.")
    made = np.stack(points)
    states = np.where((made[:, :, BODY, 2] >= SEEN).any(-1), FOUND, MISSING).astype(np.uint8)
    made[states == MISSING] = 0
    return Pose(made, states, np.zeros((*states.shape, 4), np.float32), width, height, fps, most)
