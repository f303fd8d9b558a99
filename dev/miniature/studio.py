"""Clips made by workflows on a real server, as pixels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..check_film import read_frames
from ..client import Client, Prompt, outputs
from ..server import Server
from . import prompts

Frames = NDArray[np.float64]


class Studio:
    """Runs prompts on a server that was started on the miniature, and takes its files away again."""

    def __init__(self, server: Server) -> None:
        self.base, self.client = server.base, Client(server.url)

    def frames(self, prompt: Prompt) -> Frames:
        """Return the film, or the saved images, that a prompt makes: [T, H, W, 3] in 0..1."""
        files = [self.base / file for file in outputs(self.client.run(prompt)) if file.parts[0] == "output"]
        films = [file for file in files if file.suffix == ".mp4"]
        pictures = read_frames(films[0]) if films else [Image.open(file).convert("RGB") for file in sorted(files)]
        found = np.stack([np.asarray(picture) for picture in pictures]) / 255
        for file in files:
            file.unlink()
        return found

    def guided(self, caption: str, seed: int, clip: Frames, given: Sequence[int]) -> Frames:
        """Return the film made with these frames of `clip` as frame images, before any compression."""
        images = {str(frame): self.put_image(f"frame_{frame}.png", clip[frame]) for frame in given}
        return self.frames(prompts.as_images(prompts.with_frames(caption, seed, images)))

    def put_image(self, name: str, picture: Frames) -> str:
        """Save a picture [H, W, 3] in 0..1 where LoadImage finds it, and return its name there."""
        (self.base / "input").mkdir(exist_ok=True)
        as_image(picture).save(self.base / "input" / name)
        return name


def as_image(picture: Frames) -> Image.Image:
    """Return a picture [H, W, 3] in 0..1 as an image of 8 bits."""
    return Image.fromarray((picture.clip(0, 1) * 255).round().astype(np.uint8))


def sheet(clips: Sequence[Frames], shown: int = 5, scale: int = 2) -> Image.Image:
    """Return a contact sheet: a row of a few frames for each clip."""
    rows = []
    for frames in clips:
        chosen = np.linspace(0, len(frames) - 1, shown).round().astype(int)
        rows.append(np.concatenate(list(frames[chosen]), axis=1))
    picture = as_image(np.concatenate(rows))
    return picture.resize((picture.width * scale, picture.height * scale), Image.Resampling.NEAREST)


def psnr(found: Frames, expected: Frames) -> float:
    """Return the peak signal-to-noise ratio of two pictures in 0..1, in dB."""
    return float(-10 * np.log10(np.mean((found - expected) ** 2)))


def save_sheet(clips: Sequence[Frames], file: Path) -> None:
    """Write a contact sheet and say where."""
    file.parent.mkdir(parents=True, exist_ok=True)
    sheet(clips).save(file)
    print(f"  {file}", flush=True)
