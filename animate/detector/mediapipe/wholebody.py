"""The embedded detector's body, hands and face as the 133 points of COCO-WholeBody."""

import numpy as np

from ...pose import BODY, FACE, FEET, HANDS, POINTS

OF_BODY = [0, 2, 5, 7, 8, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28]
OF_FEET = [31, 31, 29, 32, 32, 30]  # one point for both toes, and the heel
OF_FACE = [
    *(127, 234, 93, 132, 58, 136, 150, 176, 152, 400, 379, 365, 288, 361, 323, 454, 356),  # jaw
    *(70, 63, 105, 66, 107, 336, 296, 334, 293, 300),  # brows
    *(168, 197, 5, 4, 75, 97, 2, 326, 305),  # nose
    *(33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380),  # eyes
    *(61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181),  # lips, outside
    *(78, 82, 13, 312, 308, 317, 14, 87),  # and inside
]


def wholebody(bodies: np.ndarray, hands: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Points [N, 133, 3] of bodies [N, 33, 3], their hands [N, 2, 21, 3] and face meshes [N, 468, 3]."""
    points = np.zeros((len(bodies), POINTS, 3))
    points[:, BODY], points[:, FEET] = bodies[:, OF_BODY], bodies[:, OF_FEET]
    points[:, FACE] = faces[:, OF_FACE]
    points[:, HANDS[0]], points[:, HANDS[1]] = hands[:, 0], hands[:, 1]
    return points
