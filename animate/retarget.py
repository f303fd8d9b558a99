"""The motion of one person for a body of other proportions (after retarget_pose of Wan's official preprocessing)."""

from dataclasses import replace

import numpy as np

from .draw import JOINTS, LIMBS, OF_COCO, joints
from .pose import BODY, FACE, FEET, FOUND, HANDS, MISSING, Pose

SURE = 0.4
ARMS_AND_LEGS = [2, 3, 4, 5, 7, 8, 10, 11]
MOST = 3.0  # times what the others of these change: more is one that points at the camera
NECK, NOSE, HIPS, ANKLES, WRISTS, SHOULDERS = 1, 0, (8, 11), (10, 13), (7, 4), (0, 1)
LONGER_OF = ((0, 1), (2, 4), (3, 5), (6, 9), (7, 10), (8, 11), (17, 18))  # limbs of which both sides get one ratio
MEAN_OF = ((13, 15), (14, 16))
FOOT_OF = (18, 18, 13, 19, 19, 10)  # toes, and the ankle that a heel goes with


def retarget(pose: Pose, reference: Pose) -> Pose:
    """The first person's motion with the limbs of the reference's, on the reference's canvas.

    Every limb keeps its angle. What either of both doesn't show is not drawn. Raises ValueError where nobody is, or
    where the reference has no limb in common with the pose.
    """
    body, start = _first(pose, "pose"), _first(reference, "reference")
    source, target = _joined(pose.points[body, 0]), _joined(reference.points[start, 0])
    known = (source[:, 2] >= SURE) & (target[:, 2] >= SURE)
    ratios = _ratios(source, target, known)
    scale = _scale(source, target, known, ratios)
    first = _walked(source, ratios, scale)
    anchor = [joint for joint in HIPS if known[joint]] or [NECK]
    offset = target[anchor, :2].mean(0) - first[anchor].mean(0)
    if all(known[joint] for joint in ANKLES):
        offset[1] = target[list(ANKLES), 1].max() - first[list(ANKLES), 1].max()
    points = np.zeros_like(pose.points[:, :1])
    for t in np.flatnonzero(pose.states[:, 0] != MISSING):
        points[t, 0] = _moved(pose.points[t, 0], ratios, scale, offset, known)
    return replace(
        pose,
        points=points,
        states=pose.states[:, :1],
        regions=np.zeros_like(pose.regions[:, :1]),
        width=reference.width,
        height=reference.height,
    )


def _first(pose: Pose, name: str) -> int:
    there = np.flatnonzero(pose.states[:, 0] == FOUND)
    if not len(there):
        raise ValueError(f"{name} shows its first person in no frame. Connect a pose in which somebody was found.")
    return int(there[0])


def _joined(points: np.ndarray) -> np.ndarray:
    """The joints [20, 3] of somebody; one that has no place takes that of the joint before it, from the neck outwards.

    Detectors of points write zeros for what they don't see.
    """
    body = joints(points)
    placed = np.atleast_1d((points[np.array(JOINTS), 2] > 0).all(1))
    body[~placed, 2] = 0
    if not placed[NECK] and placed.any():
        body[NECK, :2] = body[placed, :2].mean(0)
    for start, end in LIMBS:
        if not placed[end]:
            body[end, :2] = body[start, :2]
    return body


def _lengths(body: np.ndarray) -> np.ndarray:
    return np.array([np.linalg.norm(body[a, :2] - body[b, :2]) for a, b in LIMBS])


def _ratios(source: np.ndarray, target: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Ratios of the target's limb lengths, both sides alike; that of the shoulders where a limb can't be seen."""
    before, after = _lengths(source), _lengths(target)
    seen = np.array([known[a] and known[b] for a, b in LIMBS]) & (before > 1e-3)
    if not seen.any():
        raise ValueError("reference shows no limb that pose shows. Connect one that shows the same parts of the body.")
    ratios = np.where(seen, after / np.maximum(before, 1e-3), np.nan)
    if seen[ARMS_AND_LEGS].any():
        middle = np.nanmedian(ratios[ARMS_AND_LEGS])
        ratios[ARMS_AND_LEGS] = ratios[ARMS_AND_LEGS].clip(middle / MOST, middle * MOST)
    usual = np.nanmean(ratios[list(SHOULDERS)]) if seen[list(SHOULDERS)].any() else np.nanmean(ratios)
    ratios = np.where(seen, ratios, usual)
    for pair in LONGER_OF:
        ratios[list(pair)] = ratios[list(pair)].max()
    for pair in MEAN_OF:
        ratios[list(pair)] = ratios[list(pair)].mean()
    return ratios


def _scale(source: np.ndarray, target: np.ndarray, known: np.ndarray, ratios: np.ndarray) -> float:
    """Ratio of the target's size, by its height down to the ankles or the hips, or else by its shoulders."""
    for low in (ANKLES, HIPS):
        if known[[NOSE, *low]].all():
            before, after = (abs(body[NOSE, 1] - body[list(low), 1].mean()) for body in (source, target))
            if before > 1e-3:
                return after / before
    return float(ratios[list(SHOULDERS)].max())


def _walked(body: np.ndarray, ratios: np.ndarray, scale: float) -> np.ndarray:
    """The joints [20, 2], from the neck outwards, with limbs of other lengths."""
    places = np.zeros((len(body), 2))
    places[NECK] = body[NECK, :2] * scale
    for (start, end), ratio in zip(LIMBS, ratios, strict=True):
        places[end] = places[start] + (body[end, :2] - body[start, :2]) * ratio
    return places


def _moved(points: np.ndarray, ratios: np.ndarray, scale: float, offset: np.ndarray, known: np.ndarray) -> np.ndarray:
    """All points [133, 3]: the joints where the limbs end, and hands, face and heels along with theirs."""
    body = _joined(points)
    places = _walked(body, ratios, scale) + offset
    size = float(ratios[list(SHOULDERS)].max())

    def along(part: slice, joint: int) -> np.ndarray:
        return (points[part, :2] - body[joint, :2]) * size + places[joint]

    moved = points.copy()
    moved[BODY, :2] = places[list(OF_COCO)]
    moved[BODY, 2] *= known[list(OF_COCO)]
    moved[FACE, :2] = along(FACE, NOSE)
    for hand, wrist in zip(HANDS, WRISTS, strict=True):
        moved[hand, :2] = along(hand, wrist)
        moved[hand, 2] *= known[wrist]
    for foot, joint in zip(range(FEET.start, FEET.stop), FOOT_OF, strict=True):
        moved[foot, :2] = (points[foot, :2] - body[joint, :2]) * size + places[joint]
        moved[foot, 2] *= known[joint]
    return moved
