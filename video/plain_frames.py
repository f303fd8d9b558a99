"""Frames with nothing to see: black, or of one colour."""

from collections.abc import Iterator
from dataclasses import replace

from .clip import Clip, Frame, share


class PlainFrames:
    """Counts the frames of one colour that pass on their way to a file."""

    def __init__(self) -> None:
        self.passed, self.black, self.coloured = 0, 0, 0

    def watching(self, clip: Clip) -> Clip:
        """Give the clip back with each of its frames looked at as it is asked for."""
        return replace(clip, frames=lambda: self._looked_at(clip.frames()))

    def notes(self) -> list[str]:
        """Say what was seen; nothing if every frame showed something."""
        found = ((self.black, "black"), (self.coloured, "of one colour"))
        return [f"note: {share(count, self.passed)} {what}" for count, what in found if count]

    def _looked_at(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        for frame in frames:
            self.passed += 1
            if (frame == frame[:1, :1]).all():
                self.coloured += bool(frame.any())
                self.black += not frame.any()
            yield frame
