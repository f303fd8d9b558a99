"""People drawn as Wan 2.2 Animate was trained to see them (draw_aapose_new, `v2`, of Wan's official preprocessing)."""

import colorsys
import math
from collections.abc import Iterable

import numpy as np

from .pose import HANDS, SEEN
from .raster import draw_disc, draw_line, fill_convex

JOINTS = (
    *((0, 0), (5, 6), (6, 6), (8, 8), (10, 10), (5, 5), (7, 7), (9, 9)),  # nose, neck, right arm, left arm
    *((12, 12), (14, 14), (16, 16), (11, 11), (13, 13), (15, 15)),  # right leg, left leg
    *((2, 2), (1, 1), (4, 4), (3, 3), (17, 18), (20, 21)),  # eyes and ears, right first; left and right toes
)
"""The 20 joints, each midway between two points of COCO-WholeBody."""
OF_COCO = (0, 15, 14, 17, 16, 5, 2, 6, 3, 7, 4, 11, 8, 12, 9, 13, 10)
"""The joint of each of COCO's 17 points; the first 18 joints are in OpenPose's order."""
HEAD = (0, 14, 15, 16, 17)
LIMBS = (
    *((1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7), (1, 8), (8, 9), (9, 10), (1, 11), (11, 12), (12, 13)),
    *((1, 0), (0, 14), (14, 16), (0, 15), (15, 17), (13, 18), (10, 19)),
)
_HUES = (0, 85, 170, 255)
COLOURS = (
    *((255, green, 0) for green in _HUES),
    *((red, 255, 0) for red in (170, 85, 0)),
    *((0, 255, blue) for blue in (85, 170, 255)),
    *((0, green, 255) for green in (170, 85, 0)),
    *((red, 0, 255) for red in (85, 170, 255)),
    *((255, 0, blue) for blue in (170, 85)),
    *((200, 200, 0), (100, 100, 0)),
)
LIMB_SHADE = 0.6
FINGERS = tuple((0 if joint % 4 == 1 else joint - 1, joint) for joint in range(1, 21))
FINGER_COLOURS = tuple(tuple(int(c * 255) for c in colorsys.hsv_to_rgb(i / 20, 1, 1)) for i in range(20))
FINGER_POINT = (0, 0, 255)
_TURN = np.radians(np.arange(360))


def joints(points: np.ndarray) -> np.ndarray:
    """The 20 joints [20, 3] of a person's points [133, 3]; a joint is as sure as its points are on average."""
    first, second = zip(*JOINTS, strict=True)
    return (points[list(first)] + points[list(second)]) / 2


def draw_pose(
    people: Iterable[np.ndarray], width: int, height: int, *, head: bool = True, hands: bool = True
) -> np.ndarray:
    """A picture [H, W, 3] in bytes of people [133, 3] on black."""
    picture = np.zeros((height, width, 3), np.uint8)
    draw_on(picture, people, head=head, hands=hands)
    return picture


def draw_on(picture: np.ndarray, people: Iterable[np.ndarray], *, head: bool = True, hands: bool = True) -> None:
    """Draw people [133, 3] on a picture [H, W, 3] in bytes, in place."""
    thick = max(min(picture.shape[:2]) // 200 - 1, 1)
    for points in people:
        _draw_body(picture, joints(points), thick, head)
        for hand in HANDS if hands else ():
            _draw_hand(picture, points[hand], max(thick // 2, 1))


def _draw_body(picture: np.ndarray, body: np.ndarray, thick: int, head: bool) -> None:
    seen = body[:, 2] >= SEEN
    if not head:
        seen[list(HEAD)] = False
    for (start, end), colour in zip(LIMBS, COLOURS, strict=False):
        if seen[start] and seen[end]:
            shade = [int(c * LIMB_SHADE) for c in colour]
            fill_convex(picture, _ellipse(body[start, :2], body[end, :2], thick), shade)
    for joint in np.flatnonzero(seen):
        draw_disc(picture, body[joint, :2].astype(int).tolist(), thick, COLOURS[joint])


def _draw_hand(picture: np.ndarray, hand: np.ndarray, thick: int) -> None:
    places = hand[:, :2].astype(int)
    seen = (hand[:, 2] >= SEEN) & (places > 0).all(1)
    for (start, end), colour in zip(FINGERS, FINGER_COLOURS, strict=True):
        if seen[start] and seen[end]:
            draw_line(picture, places[start].tolist(), places[end].tolist(), colour, thick)
    for place in places[seen].tolist():
        draw_disc(picture, place, thick, FINGER_POINT)


def _ellipse(start: np.ndarray, end: np.ndarray, thick: int) -> np.ndarray:
    """The corners [360, 2] of the ellipse between two joints, in whole pixels and degrees like the official one."""
    middle, across = ((start + end) / 2).astype(int), start - end
    half, angle = int(np.hypot(*across) / 2), math.radians(int(math.degrees(math.atan2(across[1], across[0]))))
    right, down = half * np.cos(_TURN), thick * np.sin(_TURN)
    cos, sin = math.cos(angle), math.sin(angle)
    return np.rint(np.stack([right * cos - down * sin, right * sin + down * cos], -1) + middle).astype(int)
