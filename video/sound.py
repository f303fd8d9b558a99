"""The sound of a clip, given to the encoder frame by frame and exactly as long as the picture."""

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
import numpy as np

from .clip import Audio

LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}
USUAL_RATE = 48_000
RATES = {"aac": (16_000, 22_050, 24_000, 32_000, 44_100, USUAL_RATE, 96_000), "libopus": (USUAL_RATE,)}


class Sound:
    """An audio stream of a file that is being written. What has more than two channels is mixed down to stereo."""

    def __init__(self, container: Any, codec: str, audio: Audio, fps: Fraction):
        samples = audio["waveform"][0].float().cpu().numpy()
        if samples.shape[0] not in LAYOUTS:
            samples = samples.mean(axis=0, keepdims=True)
        self._samples = samples
        self._layout = LAYOUTS[samples.shape[0]]
        self._rate = int(audio["sample_rate"])
        self._fps = fps
        self._sent = 0
        rate = self._rate if self._rate in RATES[codec] else USUAL_RATE
        layout = "mono" if self._layout == "mono" else "stereo"
        self._stream = container.add_stream(codec, rate=rate, layout=layout)
        self._stream.bit_rate = 192_000

    def until(self, frame: int) -> Iterator[Any]:
        """The packets up to the end of picture frame `frame`; silence where the sound has ended."""
        end = -(-self._rate * (frame + 1) // self._fps)
        chunk = self._samples[:, self._sent : end]
        missing = int(end) - self._sent - chunk.shape[1]
        if missing:
            chunk = np.pad(chunk, ((0, 0), (0, missing)))
        packed = chunk.T.reshape(1, -1)  # PyAV can't fill the planes of eight channels
        part = av.AudioFrame.from_ndarray(packed, format="flt", layout=self._layout)
        part.sample_rate, part.pts, part.time_base = self._rate, self._sent, Fraction(1, self._rate)
        self._sent = int(end)
        yield from self._stream.encode(part)

    def rest(self) -> Iterator[Any]:
        """Packets that the encoder still holds."""
        yield from self._stream.encode(None)
