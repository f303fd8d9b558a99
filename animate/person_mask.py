"""Which pixels of a frame are a person's."""

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from .detector.body import MARGIN, Bodies
from .detector.embedded import EmbeddedDetector
from .detector.region import put_back
from .pose import BODY, HIPS, MISSING, SEEN, SHOULDERS, Pose


def mask_of(found: Bodies, height: int, width: int) -> Tensor:
    """How surely each pixel [H, W] is one of the bodies', in 0..1."""
    canvas = torch.zeros(height, width, device=found.masks.device)
    for mask, region in zip(found.masks, found.regions, strict=True):
        put_back(mask, region, canvas)
    return canvas


def masks_of_pose(detector: EmbeddedDetector, frames: Iterable[np.ndarray], pose: Pose) -> Tensor:
    """How surely each pixel [T, H, W] is one of the pose's people; frames [H, W, 3] in bytes.

    Raises ValueError if there are not as many frames as the pose has.
    """
    masks = torch.zeros(len(pose), pose.height, pose.width)
    count = 0
    for frame in frames:
        if count < len(pose) and len(regions := _regions(pose, count)):
            seen = detector.look(torch.from_numpy(frame), regions)
            masks[count] = mask_of(seen, pose.height, pose.width)
        count += 1
    if count != len(pose):
        raise ValueError(f"pose has {len(pose)} frames, video {count}. Connect the video that it was detected in.")
    return masks


def _regions(pose: Pose, frame: int) -> np.ndarray:
    """Where to look [N, 4] for the people of a frame: where the detector did, or else around their joints."""
    there = np.flatnonzero(pose.states[frame] != MISSING)
    regions = pose.regions[frame, there].astype(np.float64)
    for region, points in zip(regions, pose.points[frame, there], strict=True):
        if region[2] == 0:
            region[:] = _around(points)
    return regions


def _around(points: np.ndarray) -> np.ndarray:
    """The upright region [4] around somebody's points [133, 3], centred on the hips or what is lowest."""
    seen = points[BODY][points[BODY, 2] >= SEEN, :2]
    known = [joint for pair in (HIPS, SHOULDERS) for joint in pair if points[joint, 2] >= SEEN]
    middle = points[known[:2], :2].mean(0) if known else seen.mean(0)
    reach = np.linalg.norm(seen - middle, axis=1).max()
    return np.array([*middle, 2 * MARGIN * max(reach, 1.0), 0.0])
