"""A small film and picture that any player opens."""

import io
import tempfile
import zipfile
from functools import cache
from pathlib import Path

import av
import numpy as np


@cache
def film(frames: int = 17, width: int = 64, height: int = 48, fps: int = 16) -> bytes:
    """An H.264 MP4 of a moving gradient, its index at the front."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "film.mp4"  # a real file: to move the index, the muxer opens it again
        _encode(path, frames, width, height, fps)
        return path.read_bytes()


def _encode(path: Path, frames: int, width: int, height: int, fps: int) -> None:
    with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("libx264", rate=fps)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for index in range(frames):
            ramp = (np.arange(width)[None, :] + np.arange(height)[:, None] + 7 * index) % 256
            picture = np.repeat(ramp[:, :, None], 3, axis=2).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())


@cache
def picture(width: int = 64, height: int = 48) -> bytes:
    """A PNG of a gradient."""
    target = io.BytesIO()
    ramp = np.arange(width)[None, :, None] + np.arange(height)[:, None, None] + np.zeros((1, 1, 3), int)
    with av.open(target, "w", format="image2pipe") as container:
        stream = container.add_stream("png", rate=1)
        stream.width, stream.height, stream.pix_fmt = width, height, "rgb24"
        container.mux(stream.encode(av.VideoFrame.from_ndarray((ramp % 256).astype(np.uint8), format="rgb24")))
        container.mux(stream.encode())
    return target.getvalue()


@cache
def frames_zip(count: int = 3) -> bytes:
    """A ZIP of pictures."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for index in range(count):
            archive.writestr(f"frame_{index:04}.png", picture())
    return target.getvalue()
