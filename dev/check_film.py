"""Open an MP4 and check it: check_film.py FILM WIDTH HEIGHT FRAMES; a contact sheet is written beside it."""

from __future__ import annotations

import sys
from pathlib import Path

import av
from PIL import Image

SHOWN = 5
LEAST_WIDTH = 800  # of a contact sheet, so that small frames can be looked at


def read_frames(film: Path) -> list[Image.Image]:
    """Return all frames of the film's video stream."""
    with av.open(film) as container:
        return [frame.to_image() for frame in container.decode(video=0)]


def contact_sheet(frames: list[Image.Image]) -> Image.Image:
    """Return a few frames side by side, from the first to the last at even distances."""
    count = min(SHOWN, len(frames))
    chosen = [frames[round(i * (len(frames) - 1) / max(count - 1, 1))] for i in range(count)]
    width, height = frames[0].size
    sheet = Image.new("RGB", (width * count, height))
    for column, frame in enumerate(chosen):
        sheet.paste(frame, (column * width, 0))
    enlarged = max(1, LEAST_WIDTH // sheet.width)
    return sheet.resize((sheet.width * enlarged, sheet.height * enlarged), Image.Resampling.NEAREST)


def main() -> int:
    """Print what the film is and where, and return 1 if it is not what was asked for."""
    film = Path(sys.argv[1])
    width, height, count = map(int, sys.argv[2:])
    frames = read_frames(film)
    found = (*(frames[0].size if frames else (0, 0)), len(frames))
    print(f"{film}\n  {found[0]}x{found[1]}, {found[2]} frames")
    if frames:
        sheet = film.with_suffix(".png")
        contact_sheet(frames).save(sheet)
        print(f"{sheet}\n  {min(SHOWN, len(frames))} of its frames")
    if found != (width, height, count):
        print(f"WRONG: asked for {width}x{height}, {count} frames")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
