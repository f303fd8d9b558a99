"""What a downloaded file really is: its first bytes, and whether every frame is there."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.error import FFmpegError

from .errors import RemoteError


@dataclass(frozen=True)
class Content:
    """What PyAV says about a file; a picture has one frame and no fps."""

    kind: str
    width: int
    height: int
    frames: int
    fps: float | None


def extension(path: Path) -> str:
    """The file's kind by its first bytes, as a file name ends; RemoteError if it is neither video nor image."""
    with path.open("rb") as file:
        head = file.read(16)
    if head[4:8] == b"ftyp":
        return "mov" if head[8:12] == b"qt  " else "mp4"
    if head[:4] == b"\x1a\x45\xdf\xa3":
        return "webm"
    if head[:8] == b"\x89PNG\r\n\x1a\n":
        return "png"
    if head[:3] == b"\xff\xd8\xff":
        return "jpg"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    raise RemoteError("protocol", "The downloaded result is neither a video nor an image", charged="yes")


def inspect(path: Path) -> Content:
    """Open the file, decode its first frame and count the others; RemoteError if it is damaged."""
    kind = "image" if extension(path) in ("png", "jpg", "webp") else "video"
    first, frames = None, 0
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            rate, announced = stream.average_rate, stream.frames
            for packet in container.demux(stream):
                first = first or next(iter(packet.decode()), None)
                frames += packet.size > 0 and not packet.is_corrupt
    except (FFmpegError, IndexError) as error:
        raise RemoteError("protocol", f"The downloaded {kind} can't be decoded ({error})", charged="yes") from error
    if first is None:
        raise RemoteError("protocol", f"The downloaded {kind} has no frame", charged="yes")
    if frames < announced:
        raise RemoteError("protocol", f"The downloaded video has {frames} of {announced} frames", charged="yes")
    fps = float(rate) if kind == "video" and isinstance(rate, Fraction) else None
    return Content(kind, first.width, first.height, frames, fps)
