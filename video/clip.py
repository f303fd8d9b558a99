"""A video as its frames one at a time, wherever they come from, so that a long one never is in memory twice."""

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import av
import numpy as np
import torch
from torch import Tensor

Frame = np.ndarray
"""[H, W, 3], uint8."""
Audio = dict[str, Any]
"""The host's AUDIO: `waveform` [B, C, S] in -1..1 and `sample_rate`."""


@dataclass(frozen=True)
class Clip:
    """`frames()` starts over at every call, `count` is 0 where a file doesn't say it, `audio` None for a silent one."""

    frames: Callable[[], Iterator[Frame]]
    width: int
    height: int
    fps: Fraction
    count: int = 0
    audio: Audio | None = None


def clip_of_images(images: Tensor, fps: float | Fraction, audio: Audio | None = None) -> Clip:
    """A clip of images [B, H, W, C] in 0..1, converted when they are asked for."""
    height, width = images.shape[1:3]
    return Clip(lambda: map(pixels, images), width, height, exact_fps(fps), len(images), audio)


def clip_of_file(source: str | io.BytesIO) -> Clip:
    """A clip of a video file, decoded when its frames are asked for. Raises ValueError if it holds no video."""
    with _opened(source) as container:
        if not container.streams.video:
            raise ValueError(f"{source} holds no video stream. Connect a video.")
        stream = container.streams.video[0]
        width, height, fps = stream.width, stream.height, stream.average_rate or Fraction(1)
        count, audio = stream.frames, _decoded_audio(container)
    return Clip(lambda: _decoded(source), width, height, exact_fps(fps), count, audio)


def reversed_clip(clip: Clip) -> Clip:
    """The clip from its end to its start, silent; a file's frames are held in memory for that, 3 bytes a pixel."""
    return replace(clip, frames=lambda: reversed(list(clip.frames())), audio=None)


def pixels(image: Tensor) -> Frame:
    """One image [H, W, C] in 0..1 as bytes, to the nearest value."""
    rgb = image[..., :3].expand(-1, -1, 3)
    return (rgb * 255).round_().clamp_(0, 255).to(torch.uint8).cpu().numpy()


def exact_fps(fps: float | Fraction) -> Fraction:
    """Frames a second as a fraction that every container can hold: 23.976 and its like stay what they are."""
    return Fraction(fps).limit_denominator(1001)


def _opened(source: str | io.BytesIO) -> Any:
    if isinstance(source, io.BytesIO):
        source.seek(0)
    return av.open(source)


def _decoded(source: str | io.BytesIO) -> Iterator[Frame]:
    with _opened(source) as container:
        for frame in container.decode(video=0):
            yield frame.to_ndarray(format="rgb24")


def _decoded_audio(container: Any) -> Audio | None:
    if not container.streams.audio:
        return None
    stream = container.streams.audio[0]
    planar = av.AudioResampler(format="fltp", layout=stream.layout, rate=stream.rate)
    parts = [part.to_ndarray() for frame in container.decode(stream) for part in planar.resample(frame)]
    if not parts:
        return None
    return {"waveform": torch.from_numpy(np.concatenate(parts, axis=1))[None], "sample_rate": stream.rate}
