"""WAN_DETECTOR: what finds people, their points and their masks, whoever made the networks."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ..video.clip import Look, never
from .detector.mediapipe.body import Bodies
from .detector.mediapipe.box_landmarks import EmbeddedPoints
from .detector.mediapipe.embedded import EmbeddedDetector
from .detector.onnx.files import onnx_path, open_persons, open_points
from .detector.onnx.session import need_onnxruntime
from .pose import POINTS, Pose
from .top_down import Points, detect_in_boxes
from .tracker import PersonSearch, detect_people

EMBEDDED = "embedded"


@dataclass(frozen=True)
class Detector:
    """The embedded detector, and the ONNX files that find persons or points in its place, open only while they do."""

    embedded: EmbeddedDetector
    pose_model: str = EMBEDDED
    person_model: str = EMBEDDED

    def pose(
        self, frames: Iterable[np.ndarray], search: PersonSearch, fps: float, boxes: Sequence[np.ndarray] | None = None
    ) -> Pose:
        """The people of a video, its frames [H, W, 3] in bytes; `boxes` [N, 4] of each say where to look for them.

        Raises ValueError if there is no frame, or if a file is not what it was chosen as.
        """
        device = self.embedded.device
        embedded = self.pose_model == EMBEDDED
        network = EmbeddedPoints(self.embedded) if embedded else open_points(self.pose_model, device)
        if boxes is not None:
            return detect_in_boxes(network, frames, lambda number, image: boxes[number], search, fps)
        if self.person_model != EMBEDDED:
            persons = open_persons(self.person_model, device)
            return detect_in_boxes(network, frames, lambda number, image: persons.persons(image), search, fps)
        if embedded:
            return detect_people(self.embedded, frames, search, fps)
        return _followed(self.embedded, network, frames, search, fps)


def load_detector(
    device: torch.device,
    pose_model: str = EMBEDDED,
    person_model: str = EMBEDDED,
    look: Look = never,
) -> Detector:
    """The detector on a device; `look` is called between the layers of its networks, and may raise.

    Raises FileNotFoundError for a file that is not there, RuntimeError if none can run.
    """
    for name in (pose_model, person_model):
        if name != EMBEDDED:
            onnx_path(name)
            need_onnxruntime(name)
    return Detector(EmbeddedDetector(device, look), pose_model, person_model)


def _followed(
    detector: EmbeddedDetector, network: Points, frames: Iterable[np.ndarray], search: PersonSearch, fps: float
) -> Pose:
    """The people whom the embedded detector follows, with the points of another network."""
    points: list[np.ndarray] = []

    def look(image: Tensor, who: list[int], seen: Bodies | None) -> None:
        points.append(np.zeros((search.people, POINTS, 3), np.float32))
        if seen is not None:
            points[-1][who] = network.points(image, seen.boxes(), hands=search.hands, face=search.face)

    pose = detect_people(detector, frames, replace(search, hands=False, face=False), fps, look)
    return replace(pose, points=np.stack(points))
