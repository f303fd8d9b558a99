"""Hands, looked for where they were a frame ago, or else where a body's wrists and knuckles are.

The geometry is that of mediapipe/modules/holistic_landmark: hand_landmarks_from_pose, hand_recrop_by_roi and
hand_landmarks_to_roi.
"""

import numpy as np
from torch import Tensor

from .network import Network
from .region import crops, shift, to_image, toward

SIDES = ((15, 17, 19), (16, 18, 20))  # wrist, little finger and forefinger, left and right
SEEN = 0.1  # a wrist's visibility from which on a hand is looked for
PRESENT = 0.5
AROUND_WRIST, AROUND_PALM = 2.7, 2.0
POINTS = 21
PALM = [0, 1, 2, 3, 5, 6, 9, 10, 13, 14, 17, 18]
WRIST, FORE, MIDDLE, RING = 0, 5, 9, 13
UP = -0.1  # regions move towards the fingertips, by this share of their size
FAR = 0.75  # of the hand's size, that its wrist may lie from the body's


def hands(
    recrop: Network, network: Network, image: Tensor, bodies: np.ndarray, before: np.ndarray | None = None
) -> np.ndarray:
    """Both hands [N, 2, 21, 3] of bodies [N, 33, 3] as x, y, presence, left first; what was not looked for is zero.

    `before` are the hands of the same bodies a frame ago.
    """
    found = np.zeros((len(bodies), 2, POINTS, 3))
    wanted = [(body, side) for body in range(len(bodies)) for side in (0, 1) if bodies[body, SIDES[side][0], 2] > SEEN]
    known = [place for place in wanted if before is not None and before[place][0, 2] >= PRESENT]
    if known and before is not None:
        regions = _around_palms(np.stack([before[place][:, :2] for place in known]))
        _look(network, image, regions, bodies, known, found)
    lost = [place for place in wanted if found[place][0, 2] < PRESENT]
    if lost:
        regions = _recropped(recrop, image, _around_wrists(_knuckles(bodies, lost)))
        _look(network, image, regions, bodies, lost, found)
    return found


def _look(
    network: Network,
    image: Tensor,
    regions: np.ndarray,
    bodies: np.ndarray,
    places: list[tuple[int, int]],
    found: np.ndarray,
) -> None:
    """Put the hands of the regions [M, 4] where `found` has them; one that is not at its body's wrist is none."""
    shares, presence, *_ = network(crops(image, regions, network.size))
    points = to_image(shares.reshape(len(regions), POINTS, 3)[..., :2].cpu().numpy() / network.size, regions)
    distance = np.linalg.norm(points[:, WRIST] - _knuckles(bodies, places)[:, 0], axis=1)
    score = presence[:, 0].cpu().numpy() * (distance < FAR * regions[:, 2])
    for place, hand, sure in zip(places, points, score, strict=True):
        found[place] = np.column_stack([hand, np.full(POINTS, sure)])


def _knuckles(bodies: np.ndarray, places: list[tuple[int, int]]) -> np.ndarray:
    """Wrist, little finger and forefinger [M, 3, 2] of a body's side."""
    return np.stack([bodies[body, SIDES[side], :2] for body, side in places])


def _around_wrists(knuckles: np.ndarray) -> np.ndarray:
    wrist, little, fore = knuckles.transpose(1, 0, 2)
    middle = (2 * fore + little) / 3
    regions = toward(wrist, middle, 2 * AROUND_WRIST * np.linalg.norm(middle - wrist, axis=1))
    regions[:, :2] = middle
    return regions


def _around_palms(hand: np.ndarray) -> np.ndarray:
    """The regions [M, 4] of hands [M, 21, 2], upright."""
    knuckles = ((hand[:, FORE] + hand[:, RING]) / 2 + hand[:, MIDDLE]) / 2
    dx, dy = (knuckles - hand[:, WRIST]).T
    angle = np.arctan2(dx, -dy)
    cos, sin = np.cos(angle)[:, None], np.sin(angle)[:, None]
    x, y = hand[:, PALM, 0], hand[:, PALM, 1]
    right, down = cos * x + sin * y, cos * y - sin * x
    (across, wide), (along, high) = _extent(right), _extent(down)
    turned_back = np.column_stack([cos[:, 0] * across - sin[:, 0] * along, sin[:, 0] * across + cos[:, 0] * along])
    return shift(np.column_stack([turned_back, AROUND_PALM * np.maximum(wide, high), angle]), UP)


def _extent(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    low, high = values.min(1), values.max(1)
    return (low + high) / 2, high - low


def _recropped(network: Network, image: Tensor, regions: np.ndarray) -> np.ndarray:
    """The regions that the network, which sees these, says are better: a middle, and a point on the lower edge."""
    (said,) = network(crops(image, regions, network.size))
    middle, lower = to_image(said.reshape(len(regions), 2, 2).cpu().numpy() / network.size, regions).transpose(1, 0, 2)
    size = 2 * np.linalg.norm(lower - middle, axis=1)
    return shift(toward(middle, 2 * middle - lower, size), UP)
