"""Clips from what comes over VIDEO and IMAGE sockets."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from fractions import Fraction
from typing import Any, TypeVar

import comfy.model_management
import comfy.utils
import numpy as np
import torch
from comfy_api.input_impl import VideoFromFile

from ..video.clip import Audio, Clip, clip_of_images
from ..video.read import clip_of_file

FPS_OF_IMAGES = 16.0  # what Wan 2.2 A14B is made for
SAME_SECONDS = 1e-3
Frame = TypeVar("Frame")


def stop_if_interrupted() -> None:
    """End a loop over frames once somebody has interrupted the run."""
    comfy.model_management.throw_exception_if_processing_interrupted()


def watch(frames: Iterable[Frame], count: int) -> Iterator[Frame]:
    """The frames, with a progress bar, until somebody interrupts the run."""
    progress = comfy.utils.ProgressBar(count)
    for frame in frames:
        stop_if_interrupted()
        yield frame
        progress.update(1)


def clip_of(video: Any, fps_of_images: float) -> Clip:
    """The clip of a VIDEO, streamed if it is a file, or of images, which have no frame rate of their own."""
    if (source := whole_file(video)) is not None:
        return clip_of_file(source, stop_if_interrupted)
    return clip_of_images(*images_of(video, fps_of_images), stop_if_interrupted)


def sound_of(audio: Any) -> Callable[[], Audio | None]:
    """The sound of an AUDIO, or of a VIDEO, of which nothing else is decoded then."""
    return (lambda: audio) if isinstance(audio, Mapping) else clip_of(audio, FPS_OF_IMAGES).sound


def images_of(video: Any, fps_of_images: float) -> tuple[torch.Tensor, float | Fraction, Audio | None]:
    """The images [B, H, W, C], frame rate and sound of a VIDEO, or of images."""
    if isinstance(video, torch.Tensor):
        return video, fps_of_images, None
    if (source := whole_file(video)) is not None:
        clip = clip_of_file(source, stop_if_interrupted)
        return torch.from_numpy(np.stack(list(clip.frames()))) / 255, clip.fps, clip.sound()
    parts = video.get_components()
    return parts.images, parts.frame_rate, parts.audio


def whole_file(video: Any) -> Any:
    """File that a video is streamed from; None if it is no file or, on newer hosts, only a part of one."""
    if not isinstance(video, VideoFromFile):
        return None
    source = video.get_stream_source()
    return source if abs(video.get_duration() - VideoFromFile(source).get_duration()) < SAME_SECONDS else None
