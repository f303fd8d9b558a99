"""Images tied to frames of a video: which frame each is for, and what that makes of a request."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from .lengths import GROUP, latent_frame_of, whole_length

FIRST, LAST, AUTO = "first", "last", "auto"


@dataclass(frozen=True)
class FrameImage:
    """Images [B, H, W, C] for consecutive frames, from the one that `frame` names: an index, `first`, `last` or `auto`.

    A strength is how firmly an expert is told that the frame is given: 1 as trained, 0 not at all.
    """

    images: Tensor
    frame: str = AUTO
    strength_high: float = 1.0
    strength_low: float = 1.0


class Placed(NamedTuple):
    """A frame image and the frame that its first image is for."""

    start: int
    image: FrameImage

    @property
    def frames(self) -> range:
        """The frames that are given."""
        return range(self.start, self.start + len(self.image.images))


def place(frames: Sequence[FrameImage], length: int) -> list[Placed]:
    """Give every image its frame in a video of `length` frames: those without a position are first, then last.

    Raises ValueError for a frame that is not there, is given twice or cannot be guessed, with the allowed ones.
    """
    allowed = f"Allowed are first, last, 0 to {length - 1} and -{length} to -1, each frame once"
    free = [name for name in (FIRST, LAST) if name not in {_plain(image.frame) for image in frames}]
    placed: list[Placed] = []
    for number, image in enumerate(frames, start=1):
        text = _plain(image.frame)
        if text == AUTO:
            if not free:
                raise ValueError(f"image {number} has no frame, and first and last are taken. {allowed}.")
            text = free.pop(0)
        start = _start(text, len(image.images), length)
        if start is None or not 0 <= start <= length - len(image.images):
            count = f"{len(image.images)} images from " if len(image.images) > 1 else ""
            raise ValueError(f"image {number} is for {count}frame '{image.frame}' of {length}. {allowed}.")
        new = Placed(start, image)
        for other, before in enumerate(placed, start=1):
            if shared := set(new.frames) & set(before.frames):
                raise ValueError(f"images {other} and {number} are both for frame {min(shared)}. {allowed}.")
        placed.append(new)
    return placed


def placement_lines(placed: Sequence[Placed], width: int, height: int) -> list[str]:
    """For every image: its frames, the latent frames they are part of, and whether it is cropped."""
    lines = []
    for number, (start, image) in enumerate(placed, start=1):
        end = start + len(image.images) - 1
        latents = _span("latent frame", latent_frame_of(start), latent_frame_of(end))
        line = f"image {number}: {_span('frame', start, end)}, in {latents}"
        if start and start == end:
            line += f" (the {_ORDINALS[(start - 1) % GROUP]} of its {GROUP})"
        given = (image.images.shape[2], image.images.shape[1])
        if given != (width, height):
            line += f"; {given[0]}x{given[1]} scaled and cropped to {width}x{height}"
        if image.strength_high != 1 or image.strength_low != 1:
            line += f"; strength {image.strength_high:g} high, {image.strength_low:g} low"
        lines.append(line)
    return lines


def leading_images(placed: Sequence[Placed], model: str) -> tuple[Tensor, list[str]]:
    """The images that a video starts with, for a `model` that takes them as latents, and notes on those left out.

    Raises ValueError for images elsewhere and for strengths: such a model knows given frames as finished only.
    """
    start, image = placed[0]
    if len(placed) > 1 or start:
        where = ", ".join(str(found.start) for found in placed)
        raise ValueError(f"images are given for the frames {where}, but {model} takes one Frame Image, at the first.")
    if image.strength_high != 1 or image.strength_low != 1:
        raise ValueError(f"strength_high and strength_low must be 1 for {model}, which has no mask to weaken.")
    used = whole_length(len(image.images))
    notes = [] if used == len(image.images) else [f"{used} of {len(image.images)} images used: lengths are 4n+1."]
    return image.images[:used, ..., :3], notes


_ORDINALS = ("1st", "2nd", "3rd", "4th")


def _plain(frame: str) -> str:
    text = frame.strip().lower()
    return {"": AUTO, "0": FIRST, "-1": LAST}.get(text, text)


def _start(text: str, count: int, length: int) -> int | None:
    """The first frame of `count` images; `last` ends with the video. None if `text` is no frame."""
    if text in (FIRST, LAST):
        return 0 if text == FIRST else length - count
    try:
        index = int(text)
    except ValueError:
        return None
    return index + length if index < 0 else index


def _span(what: str, start: int, end: int) -> str:
    return f"{what} {start}" if start == end else f"{what}s {start} to {end}"
