"""Masks of people: a probability for each pixel of a frame."""

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from .detector.mediapipe.body import MARGIN, Bodies
from .detector.mediapipe.embedded import EmbeddedDetector
from .detector.mediapipe.region import put_back
from .pose import BODY, HIPS, MISSING, SEEN, SHOULDERS, Pose


def mask_of(found: Bodies, height: int, width: int) -> Tensor:
    """Probability in 0..1 of each pixel [H, W] to belong to one of the bodies."""
    canvas = torch.zeros(height, width, device=found.masks.device)
    for mask, region in zip(found.masks, found.regions, strict=True):
        put_back(mask, region, canvas)
    return canvas


def masks_of_pose(detector: EmbeddedDetector, frames: Iterable[np.ndarray], pose: Pose) -> Tensor:
    """Probability of each pixel [T, H, W] to be one of the pose's people, from as many frames [H, W, 3] in bytes."""
    masks = torch.empty(len(pose), pose.height, pose.width)  # filled frame by frame: zeroing it all takes long
    for number, (mask, frame) in enumerate(zip(masks, frames, strict=True)):
        if len(regions := _regions(pose, number)):
            seen = detector.look(torch.from_numpy(frame), regions)
            mask.copy_(mask_of(seen, pose.height, pose.width))
        else:
            mask.zero_()
    return masks


def check_masks(mask: Tensor, frames: int, width: int, height: int) -> Tensor:
    """The masks [T, H, W] of a video's frames that another node made, as [H, W] or [T, 1, H, W] too; one is for all.

    Raises ValueError if there are others than one or `frames`, or of another size.
    """
    masks = mask.reshape(-1, *mask.shape[-2:])
    if len(masks) not in (1, frames) or tuple(masks.shape[1:]) != (height, width):
        raise ValueError(
            f"mask is {len(masks)} of {masks.shape[2]}x{masks.shape[1]}, video {frames} frames of {width}x{height}. "
            "Connect the mask of this video, or one for all of it."
        )
    return masks.expand(frames, -1, -1)


def _regions(pose: Pose, frame: int) -> np.ndarray:
    """Regions [N, 4] to look for the people of a frame in: the detector's own, or else those around their joints."""
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
