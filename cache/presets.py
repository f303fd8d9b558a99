"""What `regular` and `fast` stand for: thresholds of techniques that watch the video, targets of those that plan."""

from typing import NamedTuple

NONE, REGULAR, FAST, CUSTOM = "none", "regular", "fast", "custom"
ACCELERATIONS = (NONE, REGULAR, FAST, CUSTOM)


class Preset(NamedTuple):
    """A reuse threshold, or a target in place of one."""

    threshold: float = 0.0
    target: float = 0.0


OBSERVED = {REGULAR: Preset(threshold=0.08), FAST: Preset(threshold=0.16)}
PLANNED = {REGULAR: Preset(target=1.5), FAST: Preset(target=2.0)}
