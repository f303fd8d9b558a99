"""A clip to a file: one frame after the other through the encoder, under its final name only when it is whole."""

from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from .clip import Clip, Frame
from .formats import CONTAINERS, EncoderSettings
from .sound import Sound
from .whole import write_whole

BT601 = 6  # the matrix by which FFmpeg and ComfyUI convert unless told otherwise, so a player should be told
BT709_PRIMARIES = 1
LIMITED_RANGE = 1
EXIF_IMAGE_DESCRIPTION = 0x010E
EXIF_BYTES = 60_000  # of the 64 KiB that a segment of a JPEG can hold


def write_video(
    path: Path, clip: Clip, settings: EncoderSettings, metadata: Mapping[str, str], on_frame: Callable[[], None]
) -> int:
    """Write the clip and return the number of its frames; `on_frame` is called after each and may raise.

    Raises ValueError for a clip without a frame, or with less of one than a video can hold.
    """
    if not all(written_size(clip, settings)):
        raise ValueError(f"the video is {clip.width}x{clip.height}. {settings.format} takes 2x2 and more.")
    count = 0
    container = CONTAINERS[settings.format]
    with (
        write_whole(path) as partial,
        av.open(str(partial), "w", format=container.muxer, options=container.options) as output,
    ):
        output.metadata.update(metadata)
        stream = _video_stream(output, clip, settings)
        audio = clip.sound()
        sound = Sound(output, container.audio, audio, clip.fps) if audio else None
        for pixels in clip.frames():
            picture = _picture(pixels[: stream.height, : stream.width])
            picture.pts, picture.time_base = count, Fraction(1) / clip.fps
            output.mux(stream.encode(picture))
            if sound:
                output.mux(list(sound.until(count)))
            count += 1
            on_frame()
        if not count:
            raise ValueError("the video has no frames. Connect one that has.")
        output.mux(stream.encode(None))
        if sound:
            output.mux(list(sound.rest()))
    return count


def written_size(clip: Clip, settings: EncoderSettings) -> tuple[int, int]:
    """Width and height in the file: 4:2:0 video has even sides, so the last row or column of odd ones is left out."""
    odd = 2 if settings.format in CONTAINERS else 1
    return clip.width // odd * odd, clip.height // odd * odd


def write_still(path: Path, frame: Frame, settings: EncoderSettings, metadata: Mapping[str, str]) -> None:
    """Write one frame as PNG, with the metadata as text chunks, or as JPEG, with what fits in its EXIF description."""
    image = Image.fromarray(frame)
    if settings.format == "png":
        texts = PngInfo()
        for name, value in metadata.items():
            texts.add_text(name, value)
        effort = {"fast": 1, "balanced": 4, "small": 9}[settings.write_mode]
        with write_whole(path) as partial:
            image.save(partial, "PNG", pnginfo=texts, compress_level=effort)
        return
    exif = image.getexif()
    if fitting := _fitting(metadata):
        exif[EXIF_IMAGE_DESCRIPTION] = fitting
    with write_whole(path) as partial:
        image.save(partial, "JPEG", quality=settings.quality, exif=exif, optimize=settings.write_mode == "small")


def _fitting(metadata: Mapping[str, str]) -> str:
    """`name:value` lines, the short ones first, as many as one EXIF segment holds."""
    text = ""
    for line in sorted((f"{name}:{value}\n" for name, value in metadata.items()), key=len):
        if len(text) + len(line) > EXIF_BYTES:
            break
        text += line
    return text


def _video_stream(output: Any, clip: Clip, settings: EncoderSettings) -> Any:
    stream = output.add_stream(CONTAINERS[settings.format].video, rate=clip.fps, options=settings.encoder_options)
    stream.width, stream.height = written_size(clip, settings)
    stream.pix_fmt = "yuv420p"
    codec = stream.codec_context
    codec.time_base = Fraction(1) / clip.fps
    codec.colorspace, codec.color_primaries, codec.color_trc = BT601, BT709_PRIMARIES, BT709_PRIMARIES
    codec.color_range = LIMITED_RANGE
    return stream


def _picture(pixels: Frame) -> av.VideoFrame:
    return av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format="yuv420p", dst_colorspace=BT601)
