"""A user's image, audio or video file as bytes that can be uploaded, known by their hash."""

from __future__ import annotations

import hashlib
import io
import wave
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from PIL import Image

if TYPE_CHECKING:
    import torch

MediaKind = Literal["image", "audio", "video"]


@dataclass(frozen=True, repr=False)
class Media:
    """A file to be uploaded: stands in a request as `placeholder` until the provider has it.

    `identity` is what it shows and sounds like, by which a job is found again whatever has encoded the file;
    `identity_before` what that was until turned films and late sounds counted, if it is another.
    """

    kind: MediaKind
    mime: str
    data: bytes
    identity: str = ""
    identity_before: str = ""

    @cached_property
    def sha256(self) -> str:
        """The hash that the file is known by."""
        return hashlib.sha256(self.data).hexdigest()

    @property
    def placeholder(self) -> str:
        """The text that stands in a request in place of the file."""
        return f"media:{self.sha256}"

    @property
    def name(self) -> str:
        """A file name that tells nothing of the user's."""
        return f"{self.sha256[:16]}.{EXTENSIONS[self.mime]}"

    def __repr__(self) -> str:
        return f"Media({self.kind}, {self.mime}, {len(self.data)} bytes, {self.sha256[:12]})"


EXTENSIONS = {
    "image/png": "png",
    "image/jpeg": "jpg",
    "image/webp": "webp",
    "audio/wav": "wav",
    "video/mp4": "mp4",
    "video/webm": "webm",
    "video/quicktime": "mov",
}


def image_media(image: torch.Tensor) -> Media:
    """A picture `[H, W, C]` with values 0…1 as PNG."""
    if image.ndim != 3 or image.shape[-1] not in (1, 3, 4):
        raise ValueError(f"image has shape {tuple(image.shape)}; it must be [height, width, 1, 3 or 4]: pick one image")
    pixels = image.detach().cpu().clamp(0, 1).mul(255).round().byte().numpy()
    target = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(target, "PNG")
    shown = hashlib.sha256(f"{pixels.shape}".encode() + pixels.tobytes()).hexdigest()
    return Media("image", "image/png", target.getvalue(), shown)


def compressed(image: Media, format: str, quality: int) -> Media:
    """The same picture as JPEG (without its transparency) or WEBP of a quality from 1 to 100."""
    target = io.BytesIO()
    with Image.open(io.BytesIO(image.data)) as picture:
        (picture.convert("RGB") if format == "JPEG" else picture).save(target, format, quality=quality)
    shown = hashlib.sha256(f"{image.identity} {format} {quality}".encode()).hexdigest()
    return Media("image", f"image/{format.lower()}", target.getvalue(), shown)


def audio_media(waveform: torch.Tensor, rate: int) -> Media:
    """Sound `[channels, samples]` with values -1…1 as WAV of 16 bits: of those who list kinds, none leaves it out."""
    if waveform.ndim != 2 or waveform.shape[0] not in (1, 2):
        raise ValueError(f"audio has shape {tuple(waveform.shape)}; it must be [1 or 2 channels, samples]")
    samples = waveform.detach().cpu().clamp(-1, 1).T.mul(32767).round().numpy()
    target = io.BytesIO()
    with wave.open(target, "wb") as sound:
        sound.setnchannels(waveform.shape[0])
        sound.setsampwidth(2)
        sound.setframerate(rate)
        sound.writeframes(samples.astype("<i2").tobytes())
    heard = hashlib.sha256(f"{rate} {samples.shape}".encode() + samples.astype("<i2").tobytes()).hexdigest()
    return Media("audio", "audio/wav", target.getvalue(), heard)


def video_media(path: Path, identity: str = "", identity_before: str = "") -> Media:
    """A video file as it is: MP4, MOV or WebM."""
    data = path.read_bytes()
    if data[4:8] == b"ftyp":
        mime = "video/quicktime" if data[8:12] == b"qt  " else "video/mp4"
        return Media("video", mime, data, identity, identity_before)
    if data[:4] == b"\x1a\x45\xdf\xa3":
        return Media("video", "video/webm", data, identity, identity_before)
    raise ValueError(f"video is {path.name}, which is neither MP4, MOV nor WebM: save it as MP4 first")
