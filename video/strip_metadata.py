"""A video file without its labels: pictures and sound as they are, no title, no graph, no place and date."""

import io
from pathlib import Path
from typing import Any

import av
from av.error import FFmpegError

SAME_EVERY_TIME = {"fflags": "+bitexact"}  # Matroska numbers its files by chance


def strip_metadata(source: str | io.BytesIO, path: Path) -> bool:
    """Copy the first video and sound streams of an MP4, MOV or WebM; False if it is another container or can't be."""
    if isinstance(source, io.BytesIO):
        source.seek(0)
    try:
        with av.open(source) as read:
            names = read.format.name.split(",")
            kind = "webm" if "webm" in names else "mp4" if "mp4" in names else None
            if kind is None or not read.streams.video:
                return False
            with av.open(str(path), "w", format=kind, options=SAME_EVERY_TIME) as written:
                _copy(read, written)
    except (FFmpegError, ValueError):  # a codec that the container does not take
        path.unlink(missing_ok=True)
        return False
    return True


def _copy(read: Any, written: Any) -> None:
    wanted = [read.streams.video[0], *read.streams.audio[:1]]
    copies = {stream.index: written.add_stream_from_template(stream) for stream in wanted}
    for packet in read.demux(wanted):
        if packet.dts is not None:
            packet.stream = copies[packet.stream.index]
            written.mux(packet)
