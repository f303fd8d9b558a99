"""Left and right, put back where they change places for a few frames.

Of somebody against the light a network may see the back in place of the front. All joints then jump to the other side
at once, and back again soon, which no body does: one that turns round passes through its profile.
"""

from dataclasses import replace

import numpy as np

from .pose import BODY, HANDS, MISSING, SEEN, SHOULDERS, Pose

BRIEF = 8  # frames
JUMP = 0.1  # of the body's size, that joints move on average more than if the sides were exchanged
_BODY_PAIRS = tuple((left, left + 1) for left in range(1, 17, 2))
_FEET_PAIRS = ((17, 20), (18, 21), (19, 22))
_HAND_PAIRS = tuple(zip(range(HANDS[0].start, HANDS[0].stop), range(HANDS[1].start, HANDS[1].stop), strict=True))


def _exchange() -> np.ndarray:
    """For each of the 133 points the one on the other side; the face, which has a network of its own, stays."""
    other = np.arange(HANDS[1].stop)
    for left, right in (*_BODY_PAIRS, *_FEET_PAIRS, *_HAND_PAIRS):
        other[[left, right]] = right, left
    return other


OTHER_SIDE = _exchange()


def fix_left_right(pose: Pose) -> Pose:
    """The pose with the sides of whoever has them exchanged for up to BRIEF frames put back."""
    points = pose.points.copy()
    for person in range(points.shape[1]):
        jumps = [t for t in range(1, len(points)) if _jumps(pose, person, t)]
        while len(jumps) > 1:
            start, end = jumps[:2]
            if end - start <= BRIEF:
                points[start:end, person] = points[start:end, person][:, OTHER_SIDE]
                del jumps[:2]
            else:
                del jumps[0]
    return replace(pose, points=points)


def _jumps(pose: Pose, person: int, t: int) -> bool:
    """Say whether the sides of a person change places from the frame before to this one."""
    if (pose.states[t - 1 : t + 1, person] == MISSING).any():
        return False
    before, now = pose.points[t - 1 : t + 1, person, BODY]
    paired = np.array(_BODY_PAIRS).ravel()
    seen = paired[(before[paired, 2] >= SEEN) & (now[paired, 2] >= SEEN) & (now[OTHER_SIDE[paired], 2] >= SEEN)]
    if not set(SHOULDERS) <= set(seen.tolist()):
        return False
    moved = np.linalg.norm(now[seen, :2] - before[seen, :2], axis=1).mean()
    crossed = np.linalg.norm(now[OTHER_SIDE[seen], :2] - before[seen, :2], axis=1).mean()
    return bool(moved - crossed > JUMP * np.ptp(before[seen, :2], axis=0).max())
