"""An image and a clip of our own for the workflows that start from one: example_inputs.py FOLDER."""

from __future__ import annotations

import math
import sys
from array import array
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from PIL import Image, ImageDraw

WIDTH, HEIGHT, FRAMES, FPS = 320, 192, 33, 24
RATE, TONE = 8000, 220


def scene(frame: int) -> Image.Image:
    """A disc that crosses a sky at dawn."""
    image = Image.new("RGB", (WIDTH, HEIGHT))
    draw = ImageDraw.Draw(image)
    for row in range(HEIGHT):
        share = row / HEIGHT
        draw.line([(0, row), (WIDTH, row)], fill=(round(90 + 150 * share), round(110 + 40 * share), 160))
    x = 30 + (WIDTH - 60) * frame // (FRAMES - 1)
    draw.ellipse([x - 22, 60, x + 22, 104], fill=(250, 230, 150))
    draw.rectangle([0, 150, WIDTH, HEIGHT], fill=(60, 70, 60))
    return image


def tone(stream: Any) -> Iterator[Any]:
    """The packets of a quiet tone as long as the clip."""
    count = RATE * FRAMES // FPS
    samples = array("h", (round(3000 * math.sin(math.tau * TONE * sample / RATE)) for sample in range(count)))
    sound = av.AudioFrame(format="s16", layout="mono", samples=count)
    sound.planes[0].update(samples.tobytes())
    sound.sample_rate, sound.pts, sound.time_base = RATE, 0, Fraction(1, RATE)
    yield from stream.encode(sound)
    yield from stream.encode(None)


def write(folder: Path) -> None:
    """Write example.png and example.mp4 to `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    scene(8).save(folder / "example.png")
    with av.open(str(folder / "example.mp4"), "w") as output:
        stream = output.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        sound = output.add_stream("aac", rate=RATE, layout="mono")
        for frame in range(FRAMES):
            output.mux(stream.encode(av.VideoFrame.from_image(scene(frame))))
        output.mux(stream.encode(None))
        output.mux(list(tone(sound)))


if __name__ == "__main__":
    write(Path(sys.argv[1]))
