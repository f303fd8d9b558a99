"""What a video is known by, whatever encodes or labels it: its pictures, their times, its sound."""

import hashlib
import io
from fractions import Fraction
from typing import Any

import av

from .clip import Audio, Clip

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


def identity_of_file(source: str | io.BytesIO) -> str:
    """The hash of what is stored of a file's first pictures and sound: nothing is decoded, and no label counts."""
    if isinstance(source, io.BytesIO):
        source.seek(0)
    with av.open(source) as read:
        return _stored(read)


def _stored(read: Any) -> str:
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
    return hashlib.sha256(" ".join(one.hexdigest() for one in seen.values()).encode()).hexdigest()


def _sound(sound: Audio) -> bytes:
    waveform: Any = sound["waveform"]
    samples = waveform.detach().cpu().float().clamp(-1, 1).mul(SAMPLE).round().short()
    return f"{sound['sample_rate']} {tuple(samples.shape)}".encode() + samples.numpy().tobytes()
