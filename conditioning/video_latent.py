"""Frames of another video as the start of a run: at the frame rate, length and size that Wan can take."""

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor

from .given_frames import fit
from .lengths import whole_length
from .resample import resample


def choose_frames(count: int, source_fps: float, fps: float, length: int) -> list[int]:
    """The frames to take from a video of `count`: resampled to `fps` (0: as they are), cut to 4n+1 and to `length`.

    Raises ValueError for a video without frames.
    """
    if count < 1:
        raise ValueError("the video has no frames. Connect one that has.")
    indices = resample(count, source_fps, fps) if fps else list(range(count))
    return indices[: whole_length(min(len(indices), length) if length else len(indices))]


def report_lines(chosen: Sequence[int], count: int, source_fps: float, fps: float, length: int) -> list[str]:
    """Report lines on the frames that were chosen."""
    lines = [f"{len(chosen)} of {count} frames at {fps or source_fps:g} fps"]
    if fps and fps != source_fps:
        lines.append(f"Resampled from {source_fps:g} to {fps:g} fps.")
    if length and len(chosen) < length:
        short = len(chosen) < whole_length(length)
        lines.append(f"{length} frames were asked for: {'the video is shorter' if short else 'lengths are 4n+1'}.")
    return lines


def gather(frames: Iterable[np.ndarray], chosen: Sequence[int], width: int, height: int) -> Tensor:
    """The chosen frames (rising, some perhaps twice) of uint8 [H, W, 3] as images [B, height, width, 3] in 0..1.

    A file that holds fewer frames than it says gives the 4n+1 that are there; ValueError if there is none.
    """
    images = torch.empty(len(chosen), height, width, 3)
    place = 0
    for index, frame in enumerate(frames):
        if place == len(chosen):
            break
        if chosen[place] == index:
            image = fit(torch.from_numpy(frame)[None] / 255, width, height)
            while place < len(chosen) and chosen[place] == index:
                images[place] = image[0]
                place += 1
    if not place:
        raise ValueError("the video has no frame that can be read. Connect another one.")
    return images[: whole_length(place)]
