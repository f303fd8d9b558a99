"""Presentation times of a file's frames, and those that a clip at one constant rate shows."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from .clip import exact_fps

FASTEST = 240


@dataclass(frozen=True, eq=False)
class Timeline:
    """`times` of a file's frames, rising, in units of `tick` seconds, and how often a clip at `fps` shows each.

    In a `counted` one they are numbers of frames, because the file doesn't say when each is seen.
    """

    times: np.ndarray
    tick: Fraction
    fps: Fraction
    repeats: np.ndarray
    varies: bool
    counted: bool = False

    @property
    def start(self) -> Fraction:
        """Seconds at which the first frame is seen."""
        return int(self.times[0]) * self.tick

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes on the rate for the reader of a report."""
        rate = f"{float(self.fps):g} fps"
        if self.counted:
            return (f"The file doesn't say when each frame is seen: read at {rate}.",)
        if self.varies:
            return (f"The frame rate of the file varies: read at {rate}, with the frame nearest to each moment.",)
        return ()

    def shown(self, time: int | None) -> int:
        """Number of times that the frame of this time is shown; once if the file doesn't know its time."""
        if time is None or not self.varies:
            return 1
        place = min(int(np.searchsorted(self.times, time)), len(self.times) - 1)
        return int(self.repeats[place])


def timeline(times: Sequence[int], tick: Fraction, last: int, fps: Fraction) -> Timeline:
    """The frames of a file at these times, the last one for `last` ticks; `fps` is what the file says of its rate.

    At a constant rate every frame is shown once. Otherwise the clip takes the whole rate that most of its frames have.
    """
    seen = np.sort(np.asarray(times, dtype=np.int64))
    count = len(seen)
    even = np.linspace(seen[0], seen[-1], count)
    if count < 3 or np.array_equal(_nearest(seen, even), np.arange(count)):
        return Timeline(seen, tick, exact_fps(fps), np.ones(count, np.int64), varies=False)
    usual = _usual(np.diff(seen))
    rate = Fraction(min(max(round(1 / (usual * tick)), 1), FASTEST))
    frames = max(round((int(seen[-1] - seen[0]) + max(last, usual)) * tick * rate), 1)
    moments = seen[0] + np.arange(frames) / float(rate * tick)
    return Timeline(seen, tick, rate, np.bincount(_nearest(seen, moments), minlength=count), varies=True)


def constant_timeline(frames: int, fps: Fraction) -> Timeline:
    """So many frames at a constant rate, of a file that gives them no times, or all the same one."""
    rate = exact_fps(fps)
    return Timeline(np.arange(frames), 1 / rate, rate, np.ones(frames, np.int64), varies=False, counted=True)


def _nearest(times: np.ndarray, moments: np.ndarray) -> np.ndarray:
    """For every moment the index of the time that is nearest to it."""
    return np.searchsorted((times[1:] + times[:-1]) / 2, moments, side="right")


def _usual(gaps: np.ndarray) -> Fraction:
    """The mean of those gaps that are near the middle one: clocks in milliseconds take 33 and 34 in turn."""
    middle = np.sort(gaps)[len(gaps) // 2]
    near = gaps[np.abs(gaps - middle) <= middle / 4]
    return Fraction(max(float(near.mean()), 1.0)).limit_denominator(1001)
