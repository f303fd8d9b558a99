"""How good the stored miniature is: python3 dev/bench/miniature.py [--quick]

Clips come from the shipped workflow on a real server and are judged by their pixels. A figure is null where the
weights that it is about are not stored.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from host import DEV, INSIDE, ROOT, enter, load_pack

enter()
load_pack()

import numpy as np  # noqa: E402
import torch  # noqa: E402
from wan_duet.dev.miniature import lessons, prompts, studio, vae  # noqa: E402
from wan_duet.dev.miniature.clips import CAPTIONS, LORA_COLOR, Caption, draw  # noqa: E402
from wan_duet.dev.miniature.studio import Frames, Studio  # noqa: E402
from wan_duet.dev.server import serve  # noqa: E402
from wan_duet.tests.miniature.judge import Verdict, judge  # noqa: E402

WEIGHTS = DEV / "miniature" / "weights"
HOME = ROOT / ".dev"
SHEETS = HOME / "miniature" / "sheets"
SEED = 10**6  # of the first held-out clip and noise; the seeds of training are small


class Evaluation:
    """What each part of the miniature is worth, on `rounds` clips of every `stride`-th caption."""

    def __init__(self, films: Studio, rounds: int, stride: int) -> None:
        self.films = films
        self.seeds = range(SEED, SEED + rounds)
        self.captions = CAPTIONS[::stride]

    def text_to_video(self) -> dict[str, float]:
        """How often a film has the colour, the direction and the shape of its caption."""
        asked = [(caption, seed) for seed in self.seeds for caption in self.captions]
        clips = [self.films.frames(prompts.text_to_video(str(caption), seed)) for caption, seed in asked]
        studio.save_sheet(clips[: len(self.captions) : 4], SHEETS / "text_to_video.png")
        return agreement(clips, [caption for caption, _ in asked], ("color", "direction", "shape"))

    def image_to_video(self) -> dict[str, float]:
        """How near the first and last frame are to the images given for them, and how often it moves as captioned."""
        clips: list[Frames] = []
        first_psnr: list[float] = []
        last_psnr: list[float] = []
        drawn = draw(self.captions, torch.Generator().manual_seed(SEED)).frames.permute(0, 2, 3, 4, 1).double().numpy()
        for index, (caption, target) in enumerate(zip(self.captions, drawn, strict=True)):
            first = self.films.put_image("first.png", target[0])
            last = self.films.put_image("last.png", target[-1]) if index % 2 else None
            prompt = prompts.image_to_video(str(caption), SEED + index, first, last)
            clips.append(self.films.frames(prompts.as_images(prompt)))
            first_psnr.append(studio.psnr(clips[-1][0], target[0]))
            if last:
                last_psnr.append(studio.psnr(clips[-1][-1], target[-1]))
        studio.save_sheet(clips[::4], SHEETS / "image_to_video.png")
        moved = agreement(clips, self.captions, ("direction",))["direction"]
        means = (round(float(np.mean(values)), 2) for values in (first_psnr, last_psnr))
        return {**dict(zip(("first_frame_psnr", "last_frame_psnr"), means, strict=True)), "image_direction": moved}

    def lora(self) -> dict[str, float]:
        """How often the LoRA makes a shape yellow: at weight 1, at weight 0 and on one expert only."""
        cases = {
            "lora": (1.0, "both"),
            "lora_at_0": (0.0, "both"),
            "lora_high": (1.0, "high"),
            "lora_low": (1.0, "low"),
        }
        found: dict[str, float] = {}
        for name, (weight, transformer) in cases.items():
            asked = [
                prompts.text_to_video(str(caption), SEED)
                for caption in self.captions[::2]
                if caption.color != LORA_COLOR
            ]
            clips = [self.films.frames(prompts.with_lora(prompt, weight, transformer)) for prompt in asked]
            found[name] = share(verdict.color == LORA_COLOR for verdict in judged(clips))
            studio.save_sheet(clips[::4], SHEETS / f"{name}.png")
        return found


def judged(clips: Sequence[Frames]) -> list[Verdict]:
    """The judge's verdict on each clip."""
    return [judge(clip) for clip in clips]


def agreement(clips: Sequence[Frames], captions: Sequence[Caption], features: Iterable[str]) -> dict[str, float]:
    """The share of clips on which the judge agrees with the caption, for each feature."""
    pairs = list(zip(judged(clips), captions, strict=True))
    return {
        name: share(getattr(verdict, name) == getattr(caption, name) for verdict, caption in pairs) for name in features
    }


def share(found: Iterable[bool]) -> float:
    """The share of what is true."""
    return round(float(np.mean(list(found))), 4)


def stored(*names: str) -> bool:
    """Whether all these weights are there."""
    return all((WEIGHTS / f"{name}.safetensors").exists() for name in names)


def main() -> int:
    """Print the figures of each part, and as the last line all of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="8 captions once in place of 48 twice")
    quick: bool = parser.parse_args().quick
    names = ("vae_psnr", "color", "direction", "shape", "first_frame_psnr", "last_frame_psnr", "lora")
    figures: dict[str, float | None] = dict.fromkeys(names)
    if stored("vae"):
        net = lessons.load_vae(WEIGHTS / "vae.safetensors")
        figures["vae_psnr"] = round(vae.psnr(net, 8 if quick else 96), 2)
        print(f"VAE {figures['vae_psnr']} dB", flush=True)
    log = HOME / "miniature" / "bench.log"
    log.parent.mkdir(exist_ok=True)
    with serve(Path(os.environ[INSIDE]), HOME / "miniature_base", log=log) as server:
        evaluation = Evaluation(Studio(server), rounds=1 if quick else 2, stride=6 if quick else 1)
        parts = {"t2v": evaluation.text_to_video, "i2v": evaluation.image_to_video, "yellow": evaluation.lora}
        for part, evaluate in parts.items():
            if not stored(f"{part}_high", f"{part}_low"):
                print(f"{part}: no weights are stored", flush=True)
                continue
            found = evaluate()
            print(part, found, flush=True)
            figures.update(found)
    print(json.dumps(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
