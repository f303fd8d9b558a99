"""POSE_KEYPOINT, in which ComfyUI's nodes hand people on: OpenPose's JSON, a dictionary for each frame."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from .draw import OF_COCO, joints
from .pose import BODY, FACE, FEET, FOUND, HANDS, MISSING, POINTS, SEEN, Pose

PARTS = {
    "foot_keypoints_2d": FEET,
    "hand_left_keypoints_2d": HANDS[0],
    "hand_right_keypoints_2d": HANDS[1],
    "face_keypoints_2d": FACE,
}
CONNECT = "Connect a POSE_KEYPOINT with OpenPose's 18 joints, as DWPose and SDPose make it."
LARGEST = 16384  # pixels of a canvas's side, so that what is drawn on it fits into memory
RELATIVE = 2.0  # coordinates that are all smaller are shares of the canvas
FAR = 10.0  # canvases from the picture, where no point can be
Frame = dict[str, Any]


def to_keypoints(pose: Pose) -> list[Frame]:
    """The pose as POSE_KEYPOINT, in pixels."""
    return [
        {
            "canvas_width": pose.width,
            "canvas_height": pose.height,
            "people": [_person(points) for points in pose.people(frame)],
        }
        for frame in range(len(pose))
    ]


def _person(points: np.ndarray) -> dict[str, list[float]]:
    parts = {name: points[part] for name, part in PARTS.items()}
    eyes = points[[2, 1]]  # OpenPose's face ends with the pupils
    parts["face_keypoints_2d"] = np.concatenate([parts["face_keypoints_2d"], eyes])
    return {name: part.ravel().tolist() for name, part in {"pose_keypoints_2d": joints(points)[:18], **parts}.items()}


def from_keypoints(frames: Sequence[Frame] | Frame, fps: float) -> Pose:
    """The pose that a POSE_KEYPOINT holds, in pixels or in shares; person n is the nth one of every frame.

    Raises ValueError if there is no frame or one that has no canvas, or for another form.
    """
    frames = [frames] if isinstance(frames, dict) else frames
    if not isinstance(frames, Sequence) or not all(isinstance(frame, dict) for frame in frames):
        raise ValueError(f"keypoints is {repr(frames)[:120]}, where dictionaries were expected. {CONNECT}")
    if not frames:
        raise ValueError("keypoints has no frames. Connect the POSE_KEYPOINT of a node that has detected something.")
    width, height = _canvas(frames[0])
    people = [_people(frame) for frame in frames]
    points = np.zeros((len(frames), max(1, *map(len, people)), POINTS, 3), np.float32)
    for t, frame in enumerate(frames):
        scale = np.divide((width, height), _canvas(frame))
        for number, person in enumerate(people[t]):
            points[t, number] = _points(person, *_canvas(frame))
            points[t, number, :, :2] *= scale
    states = np.where((points[..., 2] >= SEEN).any(-1), FOUND, MISSING).astype(np.uint8)
    return Pose(points, states, np.zeros((*states.shape, 4), np.float32), width, height, fps)


def _canvas(frame: Frame) -> tuple[int, int]:
    width, height = (frame.get(f"canvas_{side}") for side in ("width", "height"))
    try:
        size = int(width or 0), int(height or 0)
    except (TypeError, ValueError, OverflowError):
        size = 0, 0
    if not 1 <= min(size) <= max(size) <= LARGEST:
        raise ValueError(
            f"keypoints has a frame of {width}x{height}. Connect a POSE_KEYPOINT with a canvas of 1 to {LARGEST} "
            "pixels a side."
        )
    return size


def _people(frame: Frame) -> Sequence[dict[str, Any]]:
    people = frame.get("people") or []
    if not isinstance(people, Sequence) or not all(isinstance(person, dict) for person in people):
        raise ValueError(f"keypoints has people {repr(people)[:120]}, where dictionaries were expected. {CONNECT}")
    return people


def _points(person: dict[str, Any], width: int, height: int) -> np.ndarray:
    points = np.zeros((POINTS, 3))
    body = _triples(person.get("pose_keypoints_2d"))
    if len(body) not in (0, 18):
        raise ValueError(f"keypoints has somebody of {len(body)} joints. {CONNECT}")
    if len(body):
        points[BODY] = body[list(OF_COCO)]
    for name, part in PARTS.items():
        given = _triples(person.get(name))
        count = part.stop - part.start
        if len(given) >= count:
            points[part] = given[:count]
    if np.abs(points[:, :2]).max() <= RELATIVE:
        points[:, :2] *= (width, height)
    points[~(np.abs(points[:, :2]) <= FAR * max(width, height)).all(1)] = 0
    return points


def _triples(numbers: Any) -> np.ndarray:
    """Points [N, 3]; one without a number for its place or its score is all zero."""
    try:
        flat = np.array([] if numbers is None else numbers, np.float64).reshape(-1)
    except (TypeError, ValueError):
        raise ValueError(f"keypoints has points {repr(numbers)[:120]}, which are no numbers. {CONNECT}") from None
    if len(flat) % 3:
        raise ValueError(f"keypoints has {len(flat)} numbers, which are no points of x, y and score. {CONNECT}")
    points = flat.reshape(-1, 3)
    return np.where(np.isfinite(points).all(1, keepdims=True), points, 0)
