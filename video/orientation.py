"""Orientation of a file's frames: phones store them as the sensor lies and say how to turn them."""

import struct
from typing import Any, NamedTuple

import av
import numpy as np

from .clip import Frame

ONE = 1 << 16  # the matrix holds 16.16 fixed point numbers
UPRIGHT = (ONE, 0, 0, ONE)


class Orientation(NamedTuple):
    """Rows and columns exchanged, then the picture turned upside down, then mirrored."""

    exchanged: bool = False
    flipped: bool = False
    mirrored: bool = False

    def __call__(self, pixels: Frame) -> Frame:
        """The pixels [H, W, 3] as they are to be seen."""
        if not any(self):
            return pixels
        seen = pixels.swapaxes(0, 1) if self.exchanged else pixels
        rows, columns = (-1 if self.flipped else 1), (-1 if self.mirrored else 1)
        return np.ascontiguousarray(seen[::rows, ::columns])

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Width and height of a stored frame as it is to be seen."""
        return (height, width) if self.exchanged else (width, height)

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes for the reader of a report."""
        return ("Turned as the file asks.",) if any(self) else ()


def display_matrix(frame: av.VideoFrame) -> tuple[int, int, int, int]:
    """The turn and scale that a frame asks for: a, b, c and d of ISO 14496-12, 8.3.2, in 16.16 fixed point."""
    found: Any = frame.side_data
    matrix = next((bytes(data) for data in found if data.type.name == "DISPLAYMATRIX"), None)
    if matrix is None:
        return UPRIGHT
    a, b, _, c, d = struct.unpack("=5i", matrix[:20])
    return a, b, c, d


def orientation_of(frame: av.VideoFrame) -> Orientation:
    """The orientation that a frame's display matrix asks for; none for other than right angles."""
    a, b, c, d = (round(number / ONE) for number in display_matrix(frame))
    if abs(b) == abs(c) == 1 and not a and not d:  # x goes to b of y, and y to c of x
        return Orientation(True, b < 0, c < 0)
    if abs(a) == abs(d) == 1 and not b and not c:
        return Orientation(False, d < 0, a < 0)
    return Orientation()
