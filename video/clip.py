"""A video as its frames one at a time, wherever they come from, so that a long one never is in memory twice."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

SLOWEST = Fraction(1, 1001)
NOT_NUMBERS = "a LoRA that is too strong, fp16 accumulation, an attention backend that does not suit the model"
Part = TypeVar("Part")
Frame = np.ndarray
"""[H, W, 3], uint8."""
Look = Callable[[], None]
"""Called between frames; it may raise to end a loop over them."""
Audio = Mapping[str, Any]
"""The host's AUDIO: `waveform` [B, C, S] in -1..1 and `sample_rate`."""


def never() -> None:
    """Go on whatever happens."""


def silence() -> Audio | None:
    """The sound of a silent clip."""
    return None


@dataclass(frozen=True)
class Clip:
    """`frames()`, `backwards()` and `sound()` start over at every call: what is not asked for is not decoded.

    `notes` say what a file asked for, or had to be changed, to be read as `count` frames at `fps`.
    """

    frames: Callable[[], Iterator[Frame]]
    backwards: Callable[[], Iterator[Frame]]
    width: int
    height: int
    fps: Fraction
    count: int
    sound: Callable[[], Audio | None] = silence
    notes: tuple[str, ...] = ()


def clip_of_images(images: Tensor, fps: float | Fraction, audio: Audio | None = None, look: Look = never) -> Clip:
    """A clip of images [B, H, W, C] in 0..1, converted when they are asked for; NaN is looked for at once."""
    height, width = images.shape[1:3]
    count = len(images)
    return Clip(
        lambda: map(pixels, images),
        lambda: (pixels(images[index]) for index in reversed(range(count))),
        width,
        height,
        exact_fps(fps),
        count,
        lambda: audio,
        _not_numbers(images, look),
    )


def reversed_clip(clip: Clip) -> Clip:
    """The clip from its end to its start, and its sound with it."""
    sound = clip.sound
    seconds = clip.count / clip.fps
    return replace(clip, frames=clip.backwards, backwards=clip.frames, sound=lambda: _reversed_sound(sound(), seconds))


def pixels(image: Tensor) -> Frame:
    """One image [H, W, C] in 0..1 as bytes, to the nearest value."""
    rgb = image[..., :3].expand(-1, -1, 3)
    return (rgb * 255).round_().clamp_(0, 255).to(torch.uint8).cpu().numpy()


def share(count: int, total: int) -> str:
    """Say how many of some frames something is true of, up to the verb."""
    if count < total:
        return f"{count} of {total} frames {'are' if count > 1 else 'is'}"
    return "the frame is" if total == 1 else f"all {total} frames are"


def exact_fps(fps: float | Fraction) -> Fraction:
    """Frames a second as a fraction that every container can hold: 23.976 and its like stay what they are."""
    return max(Fraction(fps).limit_denominator(SLOWEST.denominator), SLOWEST)


def shift_sound(audio: Audio, samples: int, length: int | None = None) -> Audio:
    """The sound begun so many samples later, after silence, or earlier, and cut or filled up to `length` samples."""
    kept: Tensor = audio["waveform"][..., max(-samples, 0) :]
    begun = torch.nn.functional.pad(kept, (max(samples, 0), 0))
    if length is not None:
        begun = torch.nn.functional.pad(begun[..., :length], (0, max(length - begun.shape[-1], 0)))
    return {**audio, "waveform": begun}


def _reversed_sound(audio: Audio | None, seconds: Fraction) -> Audio | None:
    """The sound from the end of the picture to its start, which are not always its own."""
    if audio is None:
        return None
    whole = shift_sound(audio, 0, ceil(audio["sample_rate"] * seconds))
    return {**whole, "waveform": whole["waveform"].flip(-1)}


def look_between(parts: Iterable[Part], look: Look) -> Iterator[Part]:
    """The parts, and before each a look."""
    for part in parts:
        look()
        yield part


def _not_numbers(images: Tensor, look: Look) -> tuple[str, ...]:
    """Warn of images that hold NaN or infinity, which end as black."""
    found = [number for number, image in enumerate(look_between(images, look)) if not torch.isfinite(image).all()]
    if not found:
        return ()
    which = f"{share(len(found), len(images))} not made of numbers (NaN or infinity), from frame {found[0]} on"
    return (f"warning: {which}. Usual causes: {NOT_NUMBERS}.",)
