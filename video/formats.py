"""File formats, and the encoder options of each quality and write mode."""

from typing import NamedTuple


class Container(NamedTuple):
    """A kind of video file: FFmpeg's names for it and its codecs, the end of the scale of `crf`, and its options."""

    muxer: str
    video: str
    audio: str
    worst: int
    options: dict[str, str]


# The index goes to the front and keeps every key: a browser starts at once, and ComfyUI finds the workflow there
_INDEX_FIRST = {"movflags": "+faststart+use_metadata_tags"}
CONTAINERS = {
    "mp4": Container("mp4", "libx264", "aac", 51, _INDEX_FIRST),
    "webm": Container("webm", "libvpx-vp9", "libopus", 63, {}),
    "mov": Container("mov", "libx264", "aac", 51, _INDEX_FIRST),
}
STILLS = ("png", "jpeg")
FORMATS = (*CONTAINERS, *STILLS)

QUALITIES = {"low": 58, "medium": 68, "high": 77, "maximum": 90}
LEAST, MOST = 20, 99  # of the scale that Runware's outputQuality has

WRITE_MODES = {"fast": "veryfast", "balanced": "medium", "small": "veryslow"}
_VP9_SPEED = {"fast": "5", "balanced": "2", "small": "1"}


class EncoderSettings(NamedTuple):
    """Settings of a written file."""

    format: str = "mp4"
    """A name of FORMATS. Default mp4."""
    quality: int = QUALITIES["high"]
    """Fidelity from LEAST to MOST, on the scale of Runware's `outputQuality`. Default 77."""
    write_mode: str = "balanced"
    """A name of WRITE_MODES: time spent on a smaller file. Default balanced."""
    threads: int = 0
    """Threads of H.264, whose bytes depend on them; 0 for as many as there are processors. Default 0."""

    @property
    def extension(self) -> str:
        """Of the file's name, without the dot."""
        return "jpg" if self.format == "jpeg" else self.format

    @property
    def crf(self) -> int:
        """The encoder's constant rate factor: 18 of 51 (H.264) or 22 of 63 (VP9) at 77, near 0 at 99."""
        return round(CONTAINERS[self.format].worst * (1 - self.quality / 100) ** 0.7)

    @property
    def encoder_options(self) -> dict[str, str]:
        """Options of the video encoder."""
        if CONTAINERS[self.format].video == "libvpx-vp9":
            speed = {"deadline": "good", "cpu-used": _VP9_SPEED[self.write_mode], "row-mt": "1"}
            return {"crf": str(self.crf), "b": "0", **speed}
        return {"crf": str(self.crf), "preset": WRITE_MODES[self.write_mode], "threads": str(self.threads)}

    def __str__(self) -> str:
        if self.format == "png":
            return "PNG"
        if self.format == "jpeg":
            return f"JPEG, quality {self.quality}"
        name = "VP9" if self.format == "webm" else f"H.264, {WRITE_MODES[self.write_mode]}"
        return f"{self.format.upper()}, {name}, crf {self.crf}"
