"""Inspect a downloaded file: its first bytes, and whether every frame is there."""

import zipfile
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.error import FFmpegError
from PIL import Image

from ..errors import RemoteError

STILLS = ("png", "jpg", "webp")
ARCHIVE = "archive"  # a ZIP; taken only where one was asked for
MOST_PIXELS = 64_000_000  # of a picture, and of each frame of a film
MOST_OF_A_FILM = 20_000_000_000  # pixels of all frames: five minutes at 1080p and 30 fps
PICTURES_IN_BOXES = (b"avi", b"hei", b"mif", b"msf")  # AVIF and HEIF look like MP4
LARGE = "Nothing of it was decoded. The job is kept: take the file from the provider's own page."


@dataclass(frozen=True)
class Content:
    """PyAV's word on a file; a picture has one frame and no fps, an archive files for frames and no size."""

    kind: str
    width: int
    height: int
    frames: int
    fps: float | None


def extension(path: Path) -> str:
    """The file's kind by its first bytes, as a file name ends; RemoteError if it is neither video nor image."""
    with path.open("rb") as file:
        head = file.read(16)
    if head[4:8] == b"ftyp" and head[8:11] not in PICTURES_IN_BOXES:
        return "mov" if head[8:12] == b"qt  " else "mp4"
    if head[:4] == b"\x1a\x45\xdf\xa3":
        return "webm"
    if head[:8] == b"\x89PNG\r\n\x1a\n":
        return "png"
    if head[:3] == b"\xff\xd8\xff":
        return "jpg"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    if head[:4] == b"PK\x03\x04":
        return "zip"
    raise RemoteError("protocol", "The downloaded result is neither a video nor an image", charged="yes")


def inspect(path: Path, wanted: str | None = None) -> Content:
    """Open the file, decode its first frame and count the others; RemoteError if it is damaged or too large.

    `wanted` is the kind that was asked for, image, video or archive: a file of another kind is refused.
    """
    name = extension(path)
    kind = ARCHIVE if name == "zip" else "image" if name in STILLS else "video"
    if kind != (wanted or kind) or (kind == ARCHIVE and wanted is None):
        asked = f"where {_article(wanted or 'video')} was asked for"
        raise RemoteError(
            "protocol", f"The downloaded result is {name.upper()}, {_article(kind)}, {asked}", charged="yes"
        )
    if kind == ARCHIVE:
        return Content(kind, 0, 0, _count_entries(path), None)
    first, frames = None, 0
    limit = {"max_pixels": str(MOST_PIXELS)}  # to the decoders: to find out what is in a file may take decoding
    try:
        if kind == "image":
            _check_size(kind, *_size_of(path))
        with av.open(str(path), options=limit) as container:
            stream = container.streams.video[0]
            stream.codec_context.options = limit
            rate, announced = stream.average_rate, stream.frames
            _check_size(kind, stream.width, stream.height, announced)
            for packet in container.demux(stream):
                first = first or next(iter(packet.decode()), None)
                frames += packet.size > 0 and not packet.is_corrupt
                _check_size(kind, stream.width, stream.height, frames)
    except (FFmpegError, IndexError, ValueError) as error:
        raise RemoteError("protocol", f"The downloaded {kind} can't be decoded ({error})", charged="yes") from error
    if first is None:
        raise RemoteError("protocol", f"The downloaded {kind} has no frame", charged="yes")
    if frames < announced:
        raise RemoteError("protocol", f"The downloaded video has {frames} of {announced} frames", charged="yes")
    fps = float(rate) if kind == "video" and isinstance(rate, Fraction) else None
    return Content(kind, first.width, first.height, frames, fps)


def _count_entries(path: Path) -> int:
    """The number of files that an archive names; none of them is unpacked."""
    try:
        with zipfile.ZipFile(path) as archive:
            return len(archive.infolist())
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise RemoteError("protocol", f"The downloaded ZIP is damaged ({error})", charged="yes") from error


def _size_of(path: Path) -> tuple[int, int]:
    """Width and height of a picture from its head; ValueError if it has none."""
    try:
        with Image.open(path, formats=("PNG", "JPEG", "WEBP")) as picture:
            return picture.size
    except Image.DecompressionBombError as error:  # far above our own limit
        raise _too_large("image", str(error)) from None
    except (OSError, SyntaxError) as error:
        raise ValueError(str(error)) from error


def _check_size(kind: str, width: int, height: int, frames: int = 1) -> None:
    if width * height > MOST_PIXELS:
        raise _too_large(kind, f"{width}x{height} pixels, above {MOST_PIXELS // 1_000_000} megapixels")
    if width * height * frames > MOST_OF_A_FILM:
        most = MOST_OF_A_FILM // 1_000_000
        raise _too_large(kind, f"{frames} frames of {width}x{height} pixels, above {most} megapixels in all")


def _too_large(kind: str, what: str) -> RemoteError:
    return RemoteError("unsafe", f"The downloaded {kind} has {what}", charged="yes", advice=LARGE)


def _article(kind: str) -> str:
    return f"a {kind}" if kind == "video" else f"an {kind}"
