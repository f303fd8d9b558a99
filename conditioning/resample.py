"""Another frame rate for a clip, by leaving frames out or repeating them: nothing is blended."""

import math

ALMOST = 1e-6


def resample(count: int, source_fps: float, fps: float) -> list[int]:
    """For every frame at `fps` the index of the nearest of `count` frames at `source_fps`; the duration stays.

    Raises ValueError for a rate that is not positive.
    """
    if source_fps <= 0 or fps <= 0:
        raise ValueError(f"fps is {fps:g} for a video at {source_fps:g} fps. Both must be above 0.")
    step = source_fps / fps
    frames = math.floor((count - 1) / step + ALMOST) + 1 if count else 0
    return [min(math.floor(frame * step + 0.5), count - 1) for frame in range(frames)]
