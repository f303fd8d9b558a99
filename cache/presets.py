"""What `regular` and `fast` stand for: thresholds of techniques that watch the video, targets of those that plan."""

from collections.abc import Mapping
from typing import NamedTuple

NONE, REGULAR, FAST, CUSTOM = "none", "regular", "fast", "custom"
ACCELERATIONS = (NONE, REGULAR, FAST, CUSTOM)


class Preset(NamedTuple):
    """A reuse threshold, or a target in place of one."""

    threshold: float = 0.0
    target: float = 0.0

    def __str__(self) -> str:
        computed = f"{1 / self.target:.0%} of the evaluations are computed" if self.target else ""
        return computed or f"a threshold of {self.threshold:g}"


Presets = Mapping[str, Preset]

BLOCKS: Presets = {REGULAR: Preset(threshold=0.08), FAST: Preset(threshold=0.16)}
PLANNED: Presets = {REGULAR: Preset(target=1.5), FAST: Preset(target=2.0)}
SPECTRUM: Presets = {REGULAR: Preset(threshold=0.25), FAST: Preset(threshold=0.38)}
