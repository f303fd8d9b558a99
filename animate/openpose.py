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
RELATIVE = 2.0  # coordinates that are all smaller are shares of the canvas
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
    if not frames:
        raise ValueError("keypoints has no frames. Connect the POSE_KEYPOINT of a node that has detected something.")
    if not all(isinstance(frame, dict) for frame in frames):
        raise ValueError(f"keypoints is {repr(frames)[:120]}…, where dictionaries were expected. {CONNECT}")
    width, height = _canvas(frames[0])
    most = max(len(frame.get("people") or ()) for frame in frames)
    points = np.zeros((len(frames), most, POINTS, 3), np.float32)
    for t, frame in enumerate(frames):
        scale = np.divide((width, height), _canvas(frame))
        for number, person in enumerate(frame.get("people") or ()):
            points[t, number] = _points(person, *_canvas(frame))
            points[t, number, :, :2] *= scale
    states = np.where((points[..., 2] >= SEEN).any(-1), FOUND, MISSING).astype(np.uint8)
    return Pose(points, states, np.zeros((*states.shape, 4), np.float32), width, height, fps)


def _canvas(frame: Frame) -> tuple[int, int]:
    width, height = (int(frame.get(f"canvas_{side}") or 0) for side in ("width", "height"))
    if width < 1 or height < 1:
        raise ValueError(f"keypoints has a frame of {width}x{height}. Connect a POSE_KEYPOINT with a canvas size.")
    return width, height


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
    return points


def _triples(numbers: Sequence[float] | None) -> np.ndarray:
    numbers = [] if numbers is None else numbers
    if len(numbers) % 3:
        raise ValueError(f"keypoints has {len(numbers)} numbers, which are no points of x, y and score. {CONNECT}")
    return np.reshape(numbers, (-1, 3))
