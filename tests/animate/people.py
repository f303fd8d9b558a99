"""A person made of numbers, and pictures in numbers of what a detector sees."""

import numpy as np
from wan_duet.animate.pose import FACE, FOUND, HANDS, POINTS, Pose

STANDING = (
    *((0, -80), (4, -84), (-4, -84), (9, -82), (-9, -82)),  # nose, eyes, ears: left is at the picture's right
    *((20, -60), (-20, -60), (28, -30), (-28, -30), (32, 0), (-32, 0)),
    *((12, 0), (-12, 0), (13, 40), (-13, 40), (14, 80), (-14, 80)),
    *((18, 86), (20, 86), (12, 84), (-18, 86), (-20, 86), (-12, 84)),
)


def person(x: float, y: float, size: float = 1.0, score: float = 0.9) -> np.ndarray:
    """Somebody who faces us [133, 3], their hips around (x, y), about 180 pixels tall."""
    points = np.zeros((POINTS, 3))
    points[:23, :2] = STANDING
    turn = np.linspace(0, 2 * np.pi, 68, endpoint=False)
    points[FACE, :2] = np.stack([8 * np.cos(turn), -80 + 10 * np.sin(turn)], -1)
    finger = np.stack([np.tile(np.arange(-2, 3), 5)[:21], np.arange(21)], -1)
    for hand, wrist in zip(HANDS, STANDING[9:11], strict=True):
        points[hand, :2] = finger * 0.8 + wrist
    points[:, :2] = points[:, :2] * size + (x, y)
    points[:, 2] = score
    return points


def pose_of(*frames: list[np.ndarray | None], width: int = 320, height: int = 240, fps: float = 30.0) -> Pose:
    """A pose of frames, each with everybody in it or None in their place."""
    people = len(frames[0])
    points = np.zeros((len(frames), people, POINTS, 3), np.float32)
    states = np.zeros((len(frames), people), np.uint8)
    for t, frame in enumerate(frames):
        for p, points_of in enumerate(frame):
            if points_of is not None:
                points[t, p], states[t, p] = points_of, FOUND
    regions = np.zeros((len(frames), people, 4), np.float32)
    regions[states == FOUND] = (100, 100, 200, 0)
    return Pose(points, states, regions, width, height, fps)
