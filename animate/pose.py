"""WAN_POSE: where the joints of people are, in every frame of a video."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

POINTS = 133
"""Those of COCO-WholeBody."""
BODY, FEET, FACE = slice(0, 17), slice(17, 23), slice(23, 91)
HANDS = (slice(91, 112), slice(112, 133))
NOSE, SHOULDERS, HIPS = 0, (5, 6), (11, 12)

MISSING, FOUND, FILLED = range(3)
SEEN = 0.5
"""The score from which on a point counts."""


@dataclass(frozen=True)
class Pose:
    """T frames of P people: points [T, P, 133, 3] as x, y in pixels and score, states [T, P], regions [T, P, 4].

    A region is where the detector looked, as centre, size and angle; all of it is zero where a person is missing.
    `seen` is the most people in one frame, followed or not; 0 if nobody counted.
    """

    points: np.ndarray
    states: np.ndarray
    regions: np.ndarray
    width: int
    height: int
    fps: float
    seen: int = 0

    def __len__(self) -> int:
        return len(self.points)

    def people(self, frame: int) -> Iterator[np.ndarray]:
        """The points [133, 3] of everybody who is in a frame, found or filled in."""
        yield from self.points[frame][self.states[frame] != MISSING]

    def boxes(self, frame: int) -> np.ndarray:
        """A box [P, 4] around each person's points that count; zeros where there are none."""
        return np.stack([box(points) for points in self.points[frame]])


def box(points: np.ndarray) -> np.ndarray:
    """Left, top, right and bottom [4] of the points [K, 3] that count; zeros if none does."""
    counted = points[points[:, 2] >= SEEN, :2]
    return np.concatenate([counted.min(0), counted.max(0)]) if len(counted) else np.zeros(4)


def counts(pose: Pose, pick: str = "") -> str:
    """A line on whom `pick` left out, if it is given, and for each person the frames found, filled and missing."""
    followed = int((pose.states == FOUND).any(0).sum())
    people = f"{pose.seen} {'person' if pose.seen == 1 else 'people'}"
    lines = [f"{people} seen, {followed} followed ({pick})"] if pick else []
    for person, states in enumerate(pose.states.T):
        found, filled, missing = (int((states == state).sum()) for state in (FOUND, FILLED, MISSING))
        lines.append(f"person {person}: found in {found} of {len(pose)} frames, filled {filled}, missing {missing}")
    return "\n".join(lines)
