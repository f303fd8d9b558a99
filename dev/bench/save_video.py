"""Saving beside ComfyUI's own saving: python3 dev/bench/save_video.py [--quick]

How much memory 1000 frames of 720p take while they are written, and the time against the host's at equal settings
(H.264, crf 23, preset medium), in interleaved pairs. Linux only: it reads /proc.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

from host import enter, interval_of_median, load_pack

enter()
load_pack()

import torch  # noqa: E402
from comfy_api.input_impl import VideoFromComponents  # noqa: E402
from comfy_api.util import VideoComponents  # noqa: E402
from torch import Tensor  # noqa: E402
from wan_duet.video.clip import clip_of_images  # noqa: E402
from wan_duet.video.encode import write_video  # noqa: E402
from wan_duet.video.formats import EncoderSettings  # noqa: E402

WIDTH, HEIGHT, FPS = 1280, 720, 16.0
SCROLL = 2  # rows from one frame to the next
AS_THE_HOST = EncoderSettings("mp4", 68, "balanced")  # crf 23, medium
WARM_UP = 1
MB = 2**20


def scrolling(count: int) -> Tensor:
    """Images [B, H, W, 3] that are windows of one tall picture: 1000 of them would fill 11 GB if each was stored."""
    generator = torch.Generator().manual_seed(0)
    rows = HEIGHT + SCROLL * count
    coarse = torch.rand((1, 3, rows // 16, WIDTH // 16), generator=generator)
    tall = torch.nn.functional.interpolate(coarse, (rows, WIDTH), mode="bilinear")[0].movedim(0, -1).contiguous()
    tall += 0.01 * torch.rand((rows, WIDTH, 1), generator=generator)
    row, column, channel = tall.stride()
    return tall.as_strided((count, HEIGHT, WIDTH, 3), (SCROLL * row, row, column, channel))


def ours(images: Tensor, path: Path) -> None:
    """As Save Wan 2.2 Video writes images."""
    write_video(path, clip_of_images(images, FPS), AS_THE_HOST, {}, lambda: None)


def hosts(images: Tensor, path: Path) -> None:
    """As the host's CreateVideo and SaveVideo write them."""
    VideoFromComponents(VideoComponents(images=images, frame_rate=Fraction(FPS))).save_to(str(path))


def memory_growth(images: Tensor, path: Path) -> float:
    """MB of resident memory at the peak of our saving, over what there was before it."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from now on
    before = _resident("VmRSS")
    ours(images, path)
    return (_resident("VmHWM") - before) / MB


def _resident(name: str) -> int:
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) * 1024


def timed(save: Callable[[Tensor, Path], None], images: Tensor, path: Path) -> float:
    """Seconds of processor time of this process, all threads: other programs don't lengthen it."""
    begin = time.process_time()
    save(images, path)
    return time.process_time() - begin


def main() -> int:
    """Measure, print every pair, and as the last line what they come to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="200 frames for the memory, 5 pairs of 12 for the time")
    quick: bool = parser.parse_args().quick
    frames, pairs, each = (200, 5, 12) if quick else (1000, 15, 100)
    images = scrolling(frames)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "clip.mp4")
        growth = memory_growth(images, path)
        print(f"{frames} frames of {WIDTH}x{HEIGHT}: {growth:.0f} MB over the idle process", flush=True)
        print("\npair       host       ours   ratio", flush=True)
        ratios = []
        for pair in range(1 - WARM_UP, pairs + 1):
            order = [hosts, ours] if pair % 2 else [ours, hosts]
            seconds = {save: timed(save, images[:each], path) for save in order}
            ratio = seconds[ours] / seconds[hosts]
            label = pair if pair > 0 else "warm"
            print(f"{label:>4}   {seconds[hosts]:6.2f} s   {seconds[ours]:6.2f} s   {ratio:.3f}", flush=True)
            if pair > 0:
                ratios.append(ratio)
    low, high = interval_of_median(ratios)
    figures = {"rss_growth_mb": round(growth), "time_over_host": round(statistics.median(ratios), 3)}
    print(json.dumps({**figures, "interval": [round(low, 3), round(high, 3)], "frames": frames, "pairs": len(ratios)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
