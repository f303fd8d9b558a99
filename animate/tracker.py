"""People followed through a video: looked for where they were, and searched for again when they are lost."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from .detector.mediapipe.body import Bodies
from .detector.mediapipe.detections import area, overlap_of_smaller
from .detector.mediapipe.embedded import Details, EmbeddedDetector, no_details
from .detector.mediapipe.wholebody import wholebody
from .left_right import fix_left_right
from .pose import FOUND, MISSING, POINTS, Pose

LARGEST, LEFT_TO_RIGHT, POINT = "largest", "left to right", "point"
PICKS = (LARGEST, LEFT_TO_RIGHT, POINT)
STILL_THERE, STILL_CLEAR = 0.5, 0.5  # presence and clarity of somebody who was there a frame ago
SAME_PLACE = 0.5
MOVED = 0.5  # of the size of their region, that somebody lost may have moved at most
TILED_EVERY = 10  # frames between searches with tiles, while somebody is missing
MISSED_FOR = 15  # frames in which somebody lost is looked for where they were last, and nobody else is taken for them


@dataclass(frozen=True)
class PersonSearch:
    """The people to track, and the parts of them to detect."""

    people: int = 1
    """Most people to track. Default 1."""
    pick: str = LARGEST
    """Order of choice among those in a frame, one of PICKS. Default the largest first."""
    skip: int = 0
    """People to leave out, in that order. Default 0."""
    point: tuple[float, float] = (0.5, 0.5)
    """Place that the pick `nearest` means, as fractions of width and height. Default the centre."""
    tiled: bool = True
    """Search parts of the frame too, for small people, while somebody is missing. Default True."""
    hands: bool = True
    """Detect the points of both hands. Default True."""
    face: bool = True
    """Detect the points of the face. Default True."""


@dataclass
class _Person:
    region: np.ndarray | None = None
    last: np.ndarray | None = None  # where they were seen last, if they were
    seen: float = -math.inf  # and in which frame


@dataclass
class PersonTracker:
    """Follows people from frame to frame; a frame's bodies come with the person each of them is."""

    detector: EmbeddedDetector
    search: PersonSearch
    people: list[_Person] = field(init=False)
    frame: int = field(default=0, init=False)
    most: int = field(default=0, init=False)  # people in one frame, followed or not

    def __post_init__(self) -> None:
        self.people = [_Person() for _ in range(self.search.people)]

    def next(self, image: Tensor) -> tuple[list[int], Bodies | None]:
        """Track people into the next frame [H, W, 3] in bytes: their numbers, and their bodies in the same order."""
        who, seen = self._still_there(image)
        missed = [n for n, person in enumerate(self.people) if n not in who and self.frame - person.seen <= MISSED_FOR]
        if missed:
            lost = np.array([self.people[n].last for n in missed])
            if found := self.detector.find_again(image, lost):
                who, seen = _with(who, seen, found, _near(missed, lost, found, _others(found, seen)))
        strangers = [n for n in range(len(self.people)) if n not in who and n not in missed]
        tiled = self.search.tiled and self.frame % TILED_EVERY == 0
        if strangers and (tiled or not who) and (found := self.detector.find(image, tiled=tiled)):
            others = _others(found, seen)
            self.most = max(self.most, len(who) + len(others))
            new = pick_people(found.boxes(), others, self.search, image.shape[1], image.shape[0])
            if all(person.last is None for person in self.people):
                new = new[self.search.skip :]
            who, seen = _with(who, seen, found, _pairs(strangers, new, self.people, found))
        self.most = max(self.most, len(who))
        self._remember(who, seen)
        return who, seen

    def _remember(self, who: Sequence[int], seen: Bodies | None) -> None:
        for person in self.people:
            person.region = None
        for place, number in enumerate(who):
            if seen is not None:
                person = self.people[number]
                person.region = person.last = seen.following[place]
                person.seen = self.frame
        self.frame += 1

    def _still_there(self, image: Tensor) -> tuple[list[int], Bodies | None]:
        regions = [(number, person.region) for number, person in enumerate(self.people) if person.region is not None]
        if not regions:
            return [], None
        seen = self.detector.look(image, np.stack([region for _, region in regions]))
        boxes, kept = seen.boxes(), []
        for i in np.flatnonzero((seen.presence >= STILL_THERE) & (seen.clarity >= STILL_CLEAR)).tolist():
            twice = kept and overlap_of_smaller(boxes[i], boxes[kept]).max() > 0.8  # two that follow the same one
            if not twice:
                kept.append(i)
        return [regions[i][0] for i in kept], seen.chosen(kept) if kept else None


def _others(found: Bodies, seen: Bodies | None) -> list[int]:
    """Those of the bodies found that are not among the ones seen already."""
    if seen is None:
        return list(range(len(found)))
    boxes, known = found.boxes(), seen.boxes()
    return [i for i in range(len(found)) if overlap_of_smaller(boxes[i], known).max() <= SAME_PLACE]


def _with(
    who: list[int], seen: Bodies | None, found: Bodies, pairs: Iterable[tuple[int, int]]
) -> tuple[list[int], Bodies | None]:
    """The people who are there with their bodies, and the detections that are paired with somebody."""
    if not (pairs := list(pairs)):
        return who, seen
    added = found.chosen([i for _, i in pairs])
    return [*who, *(number for number, _ in pairs)], added if seen is None else seen.joined(added)


def _near(missed: Sequence[int], lost: np.ndarray, found: Bodies, new: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Whom each new body is of, if anybody was in its place, lost [M, 4], a moment ago."""
    left = list(new)
    for number, region in zip(missed, lost, strict=True):
        distances = [float(np.linalg.norm(found.following[i][:2] - region[:2])) for i in left]
        if distances and min(distances) <= MOVED * region[2]:
            yield number, left.pop(int(np.argmin(distances)))


def _pairs(
    free: Sequence[int], new: Sequence[int], people: Sequence[_Person], found: Bodies
) -> Iterator[tuple[int, int]]:
    """Whom each new body is of: the one lost nearest by, or else whoever was never seen, in the order of the pick."""
    left = list(new)
    for number in free:
        if not left:
            return
        if (last := people[number].last) is None:
            yield number, left.pop(0)
            continue
        distances = [float(np.linalg.norm(found.following[i][:2] - last[:2])) for i in left]
        yield number, left.pop(int(np.argmin(distances)))


def pick_people(boxes: np.ndarray, which: Iterable[int], search: PersonSearch, width: int, height: int) -> list[int]:
    """Indices of the chosen boxes [N, 4], in the order of choice."""
    middles = (boxes[:, :2] + boxes[:, 2:]) / 2
    point = np.array(search.point) * (width, height)
    keys = {
        LARGEST: -area(boxes),
        LEFT_TO_RIGHT: middles[:, 0],
        POINT: np.linalg.norm(middles - point, axis=1),
    }
    return sorted(which, key=lambda i: keys[search.pick][i])


def detect_people(
    detector: EmbeddedDetector,
    frames: Iterable[np.ndarray],
    search: PersonSearch,
    fps: float,
    on_frame: Callable[[Tensor, list[int], Bodies | None], None] = lambda image, who, seen: None,
) -> Pose:
    """The people of a video, its frames [H, W, 3] in bytes; `on_frame` is told what was seen in each.

    Raises ValueError if there is no frame.
    """
    follower = PersonTracker(detector, search)
    points: list[np.ndarray] = []
    regions: list[np.ndarray] = []
    before = no_details(search.people)
    height = width = 0
    for frame in frames:
        height, width = frame.shape[:2]
        image = torch.from_numpy(frame)
        who, seen = follower.next(image)
        points.append(np.zeros((search.people, POINTS, 3), np.float32))
        regions.append(np.zeros((search.people, 4), np.float32))
        if seen is not None:
            theirs = Details(before.hands[who], before.faces[who])
            details = detector.details(image, seen, theirs, hands=search.hands, face=search.face)
            points[-1][who] = wholebody(seen.points, *details)
            regions[-1][who] = seen.regions
            before = no_details(search.people)
            before.hands[who], before.faces[who] = details
        on_frame(image, who, seen)
    if not points:
        raise ValueError("the video has no frames. Connect one that has.")
    placed = np.stack(regions)
    states = np.where(placed[..., 2] > 0, FOUND, MISSING).astype(np.uint8)
    return fix_left_right(Pose(np.stack(points), states, placed, width, height, fps, follower.most))
