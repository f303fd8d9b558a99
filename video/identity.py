"""Identity of a video, whatever encodes or labels it: its pictures, their times, its sound."""

import hashlib
import io
from collections.abc import Callable
from fractions import Fraction
from typing import Any, NamedTuple, TypeVar

import av

from .clip import Audio, Clip
from .orientation import UPRIGHT, display_matrix

T = TypeVar("T")

SAMPLE = 32767  # steps of a sound's sample: what is finer is not heard and not sent


def identity_of_clip(clip: Clip) -> str:
    """The hash of a clip's pixels, frame rate and sound."""
    seen = hashlib.sha256(f"{clip.width}x{clip.height} {clip.fps}".encode())
    for frame in clip.frames():
        seen.update(frame.tobytes())
    sound = clip.sound()
    if sound is not None:
        seen.update(_sound(sound))
    return seen.hexdigest()


class FileIdentity(NamedTuple):
    """The hash of a file, and the one it had `before` turning and a late sound counted; "" if it is the same."""

    now: str
    before: str = ""


def identity_of_file(source: str | io.BytesIO) -> FileIdentity:
    """Hash what is stored of a file's first pictures and sound, how it is turned, and when its sound begins.

    Only one frame is decoded, and no label counts.
    """
    (stored, late), turned = _read(source, _stored), _read(source, _matrix)
    if turned == UPRIGHT and not late:
        return FileIdentity(stored)
    return FileIdentity(hashlib.sha256(f"{stored} {turned} {late}".encode()).hexdigest(), stored)


def _read(source: str | io.BytesIO, look: Callable[[Any], T]) -> T:
    if isinstance(source, io.BytesIO):
        source.seek(0)
    with av.open(source) as read:
        return look(read)


def _stored(read: Any) -> tuple[str, int]:
    """The hash of the packets with their times, and the milliseconds by which the sound begins after the picture."""
    wanted = [*read.streams.video[:1], *read.streams.audio[:1]]
    seen = {stream.index: hashlib.sha256(stream.codec_context.name.encode()) for stream in wanted}
    began: dict[int, Fraction] = {}
    for packet in read.demux(wanted):
        if packet.size:
            tick = packet.dts if packet.pts is None else packet.pts
            time = Fraction(0 if tick is None else tick) * packet.time_base
            index = packet.stream.index
            seen[index].update(f"{round((time - began.setdefault(index, time)) * 1000)} ".encode())
            seen[index].update(bytes(packet))
    first, *sound = (began.get(stream.index, Fraction(0)) for stream in wanted)
    late = round((sound[0] - first) * 1000) if sound else 0
    return hashlib.sha256(" ".join(one.hexdigest() for one in seen.values()).encode()).hexdigest(), late


def _matrix(read: Any) -> tuple[int, int, int, int]:
    frame = next(read.decode(video=0), None)
    return UPRIGHT if frame is None else display_matrix(frame)


def _sound(sound: Audio) -> bytes:
    waveform: Any = sound["waveform"]
    samples = waveform.detach().cpu().float().clamp(-1, 1).mul(SAMPLE).round().short()
    return f"{sound['sample_rate']} {tuple(samples.shape)}".encode() + samples.numpy().tobytes()
