"""A video file as a clip: turned upright, at one constant rate, its sound where it belongs."""

import io
from collections.abc import Iterable, Iterator
from contextlib import suppress
from fractions import Fraction
from functools import partial
from itertools import islice, repeat
from typing import Any

import av
import numpy as np
import torch

from .clip import Audio, Clip, Frame, Look, look_between, never, shift_sound
from .orientation import Orientation, orientation_of
from .timeline import Timeline, constant_timeline, timeline

HELD = 256 << 20  # bytes of decoded frames that a file played backwards may keep
Source = str | io.BytesIO


def clip_of_file(source: Source, look: Look = never) -> Clip:
    """A clip of a video file; only its index and its first frame are read. Raises ValueError if it holds no video.

    `look` is called between frames, packets and stretches of sound, whoever reads them, and may raise.
    """
    found = _timeline(source, look)
    first = next(_decoded(source, look), None)
    if first is None:
        raise ValueError(f"{_name(source)} holds no frame that can be read. Connect another video.")
    upright = orientation_of(first)
    return Clip(
        partial(_frames, source, found, upright, look),
        partial(_backwards, source, found, upright, max(HELD // (first.width * first.height * 3 // 2), 1), look),
        *upright.size(first.width, first.height),
        found.fps,
        int(found.repeats.sum()),
        partial(_sound, source, found.start, look),
        (*upright.notes, *found.notes),
    )


def _name(source: Source) -> str:
    return "the video" if isinstance(source, io.BytesIO) else source


def _opened(source: Source) -> Any:
    if isinstance(source, io.BytesIO):
        source.seek(0)
    return av.open(source)


def _timeline(source: Source, look: Look) -> Timeline:
    """Times of the frames, from the packets, which need not be decoded for that."""
    with _opened(source) as container:
        if not container.streams.video:
            raise ValueError(f"{_name(source)} holds no video stream. Connect a video.")
        stream = container.streams.video[0]
        demuxed = look_between(container.demux(stream), look)
        packets = (packet for packet in demuxed if packet.size and not packet.is_discard)
        seen = [(packet.pts, packet.duration or 0) for packet in packets]
        if not seen:
            raise ValueError(f"{_name(source)} holds no frame. Connect another video.")
        times = [time for time, _ in seen if time is not None]
        if len(times) < len(seen) or 2 * len(set(times)) < len(seen):
            longest = max(duration for _, duration in seen) * stream.time_base
            usual = stream.guessed_rate or (1 / longest if longest else stream.average_rate)  # an average needs times
            return constant_timeline(len(seen), Fraction(usual or 1))
        fps = Fraction(stream.average_rate or stream.guessed_rate or 1)
        return timeline(times, stream.time_base, max(seen)[1], fps)


def _decoded(source: Source, look: Look) -> Iterator[av.VideoFrame]:
    with _opened(source) as container:
        yield from look_between(container.decode(video=0), look)


def _frames(source: Source, times: Timeline, upright: Orientation, look: Look) -> Iterator[Frame]:
    for frame in _decoded(source, look):
        yield from _shown(frame, times, upright)


def _shown(frame: av.VideoFrame, times: Timeline, upright: Orientation) -> Iterator[Frame]:
    """The frame as often as it is shown, converted once."""
    if count := times.shown(frame.pts):
        yield from repeat(upright(frame.to_ndarray(format="rgb24")), count)


def _backwards(source: Source, times: Timeline, upright: Orientation, held: int, look: Look = never) -> Iterator[Frame]:
    """Stretches of at most `held` frames, the last one first, each decoded from the key frame before it."""
    for end in range(len(times.times), 0, -held):
        frames = _stretch(source, times.times[max(end - held, 0) : end], times.counted, look)
        while frames:  # each gone as it is shown, before the next stretch is decoded
            yield from _shown(frames.pop(), times, upright)


def _stretch(source: Source, times: np.ndarray, counted: bool, look: Look) -> list[av.VideoFrame]:
    """The frames of these times; from the start of the file if it can't be entered before them."""
    frames: list[av.VideoFrame] = []
    for enter in (False,) if counted else (True, False):
        with _opened(source) as container:
            stream = container.streams.video[0]
            with suppress(OSError):
                if enter:
                    container.seek(int(times[0]), stream=stream)
            decoded = look_between(container.decode(stream), look)
            timed = ((n if counted or frame.pts is None else frame.pts, frame) for n, frame in enumerate(decoded))
            frames = list(islice(_between(timed, int(times[0]), int(times[-1])), len(times)))
        if len(frames) == len(times):
            break
    return frames


def _between(frames: Iterable[tuple[int, av.VideoFrame]], first: int, last: int) -> Iterator[av.VideoFrame]:
    """Those of the frames that are seen from one time to another; the times may not rise in AVI."""
    return (frame for time, frame in frames if first <= time <= last)


def _sound(source: Source, start: Fraction, look: Look) -> Audio | None:
    """The sound from the moment `start` on, in seconds: silence where it begins later, cut where it began before."""
    with _opened(source) as container:
        if not container.streams.audio:
            return None
        stream = container.streams.audio[0]
        # Packed: of planar sound with eight channels and more PyAV reads past the planes
        packed = av.AudioResampler(format="flt", layout=stream.layout, rate=stream.rate)
        begun, parts = None, []
        for frame in look_between(container.decode(stream), look):
            begun = frame.pts * frame.time_base if begun is None and frame.pts is not None else begun
            parts += [part.to_ndarray().reshape(-1, stream.channels) for part in packed.resample(frame)]
        if not parts:
            return None
        audio = {"waveform": torch.from_numpy(np.concatenate(parts).T.copy())[None], "sample_rate": stream.rate}
        return shift_sound(audio, round(((start if begun is None else begun) - start) * stream.rate))
