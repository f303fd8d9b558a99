"""People found beside MediaPipe's own finding: python3 dev/bench/animate_prep.py [--quick]

The demo video of sports2d, 1768x994, in interleaved runs of the same frames: body and mask against MediaPipe's Pose
with segmentation, and body, hands, face and mask against its Holistic, which runs in an environment of its own.
Decoding is not counted. The figures are frames a second, and how many frames had a pose.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import cycle, islice
from pathlib import Path

from host import DEV, LIVE, enter, interval_of_median, load_pack

enter("mediapipe", "people")
load_pack()
sys.path.append(str(DEV))  # after the host, whose modules come first

import av  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402
from environment import PYTHON  # noqa: E402
from wan_duet.animate.detector.mediapipe.body import Bodies  # noqa: E402
from wan_duet.animate.detector.mediapipe.embedded import EmbeddedDetector  # noqa: E402
from wan_duet.animate.person_mask import mask_of  # noqa: E402
from wan_duet.animate.pose import FOUND, Pose  # noqa: E402
from wan_duet.animate.tracker import PersonSearch, detect_people  # noqa: E402

THEIRS = {"pose": False, "holistic": True}  # and whether hands and face are found too


def frames(video: Path) -> Iterator[np.ndarray]:
    """The frames [H, W, 3] of a video, again and again."""
    for _ in cycle([None]):
        for frame in av.open(str(video)).decode(video=0):
            yield frame.to_ndarray(format="rgb24")


def ours(detector: EmbeddedDetector, source: Iterable[np.ndarray], details: bool) -> Pose:
    """The pose of a video's frames, with a mask for each of them."""

    def mask(image: torch.Tensor, who: list[int], seen: Bodies | None) -> None:
        if seen is not None:
            mask_of(seen, *image.shape[:2])

    return detect_people(detector, source, PersonSearch(hands=details, face=details), 30.0, mask)


def theirs(process: subprocess.Popen[str], name: str, count: int) -> float:
    """The seconds that MediaPipe takes for its next frames."""
    if not (process.stdin and process.stdout):
        raise RuntimeError("MediaPipe's process has no pipes")
    print(name, count, file=process.stdin, flush=True)
    return float(process.stdout.readline())


def interleaved(
    source: Iterator[np.ndarray], pairs: int, each: int, their: Callable[[], float], times: list[tuple[float, float]]
) -> Iterator[np.ndarray]:
    """The frames for our side, and between them MediaPipe's turns; `times` gets theirs and ours for each pair.

    Each side follows through the whole video, as it would for a user. The first pair warms up and is left out.
    """
    for pair in range(pairs + 1):
        images = list(islice(source, each))
        they = their() if pair % 2 else 0.0
        begin = time.perf_counter()
        yield from images
        seconds = time.perf_counter() - begin
        they = they or their()
        if pair:
            times.append((they, seconds))
            print(f"{pair:>8}   {each / they:9.1f}   {each / seconds:9.1f}   {they / seconds:15.2f}", flush=True)


def main() -> int:
    """Measure, print every pair, and as the last line what they come to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="5 pairs of 10 frames in place of 20 pairs of 23")
    pairs, each = (5, 10) if parser.parse_args().quick else (20, 23)
    live = Path(os.environ[LIVE])
    (video,) = (live / "people").rglob("demo.mp4")
    command = [live / "mediapipe" / PYTHON, DEV / "live" / "mediapipe_speed.py", video]
    detector = EmbeddedDetector(torch.device("cpu"))
    figures: dict[str, object] = {}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        for name, details in THEIRS.items():
            print(f"\n{name:>8}   MediaPipe   ours, frames a second   ratio", flush=True)
            times: list[tuple[float, float]] = []
            source = interleaved(frames(video), pairs, each, partial(theirs, process, name, each), times)
            states = ours(detector, source, details).states
            ratios = [they / seconds for they, seconds in times]
            low, high = interval_of_median(ratios)
            figures[f"ratio_{name}"] = [round(n, 2) for n in (statistics.median(ratios), low, high)]
            figures[f"fps_{name}"] = round(each / statistics.median(they for they, _ in times), 1)
            figures["fps_full" if details else "fps"] = round(
                each / statistics.median(seconds for _, seconds in times), 1
            )
            figures |= {"poses_found": int((states == FOUND).sum()), "poses_total": len(states)}
        if process.stdin:
            process.stdin.close()
    print(json.dumps(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
