"""Faces, looked for where they were a frame ago, or else where a body's head is.

The geometry is that of mediapipe/modules/holistic_landmark (face_landmarks_from_pose) and modules/face_landmark.
"""

import numpy as np
from torch import Tensor

from .detections import FACE, detections
from .network import Network
from .region import crops, to_image

HEAD = slice(0, 11)  # nose, eyes, ears and mouth of a body
RIGHT_EYE, LEFT_EYE = 5, 2
RIGHT_CORNER, LEFT_CORNER = 33, 263  # of the eyes, in the mesh
AROUND_HEAD, AROUND_FACE, AROUND_MESH = 3.0, 2.0, 1.5
POINTS = 468
LEAST = 0.5
WORTH_A_LOOK = 0.05  # presence in a region by the detector's box, from which on one by the mesh itself may show more
FAR = 1.0  # of the face's size, that its middle may lie from the body's head


def faces(
    detector: Network, network: Network, image: Tensor, bodies: np.ndarray, before: np.ndarray | None = None
) -> np.ndarray:
    """The face mesh [N, 468, 3] of bodies [N, 33, 3] as x, y, presence; zero where there is no face.

    `before` are the meshes of the same bodies a frame ago.
    """
    found = np.zeros((len(bodies), POINTS, 3))
    known = [] if before is None else np.flatnonzero(before[:, 0, 2] >= LEAST).tolist()
    if known and before is not None:
        _look(network, image, _around_meshes(before[known]), bodies, known, found)
    lost = np.flatnonzero(found[:, 0, 2] < LEAST).tolist()
    if lost:
        regions, owners = _detected(detector, image, bodies, lost)
        if owners:
            _look(network, image, regions, bodies, owners, found)
        for enough in (np.inf, LEAST):  # once more for all that may be faces, and again for those that may still be one
            owners = [owner for owner in owners if WORTH_A_LOOK <= found[owner, 0, 2] < enough]
            if owners:
                _look(network, image, _around_meshes(found[owners]), bodies, owners, found)
    return found


def _around_meshes(meshes: np.ndarray) -> np.ndarray:
    points = meshes[..., :2]
    return _around(points, points[:, RIGHT_CORNER], points[:, LEFT_CORNER], AROUND_MESH)


def _detected(detector: Network, image: Tensor, bodies: np.ndarray, owners: list[int]) -> tuple[np.ndarray, list[int]]:
    """The regions of the faces that are at the heads of some bodies, and whose they are."""
    points = bodies[owners, :, :2]
    heads = _around(points[:, HEAD], points[:, RIGHT_EYE], points[:, LEFT_EYE], AROUND_HEAD)
    guesses, logits = detector(crops(image, heads, detector.size) * 2 - 1)
    regions, whose = [np.zeros((0, 4))], []
    for place, (guess, logit) in enumerate(zip(guesses.cpu().numpy(), logits.cpu().numpy(), strict=True)):
        if best := detections(FACE, guess, logit, LEAST)[:1]:
            face = to_image(best[0].points[None], heads[place : place + 1])
            regions.append(_around(face, face[:, 0], face[:, 1], AROUND_FACE))
            whose.append(owners[place])
    return np.concatenate(regions), whose


def _look(
    network: Network, image: Tensor, regions: np.ndarray, bodies: np.ndarray, owners: list[int], found: np.ndarray
) -> None:
    """Put the faces of the regions [M, 4] where `found` has them; one that is not at its body's head is none."""
    mesh, logit = network(crops(image, regions, network.size))
    shares = mesh.reshape(len(owners), POINTS, 3)[..., :2].cpu().numpy() / network.size
    points = to_image(shares, regions)
    distance = np.linalg.norm(points.mean(1) - bodies[owners][:, HEAD, :2].mean(1), axis=1)
    score = logit.reshape(-1).sigmoid().cpu().numpy() * (distance < FAR * regions[:, 2] / AROUND_MESH)
    found[owners] = np.concatenate([points, np.broadcast_to(score[:, None, None], (len(owners), POINTS, 1))], -1)


def _around(points: np.ndarray, right_eye: np.ndarray, left_eye: np.ndarray, scale: float) -> np.ndarray:
    """Regions [N, 4] around points [N, K, 2], turned so that both eyes are level."""
    low, high = points.min(1), points.max(1)
    dx, dy = (left_eye - right_eye).T
    return np.column_stack([(low + high) / 2, scale * (high - low).max(1), np.arctan2(dy, dx)])
