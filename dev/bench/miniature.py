"""Quality of the stored miniature: python3 dev/bench/miniature.py [--quick]

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
from wan_duet.dev.miniature.clips import CAPTIONS, LENGTH, LORA_COLOR, Caption, draw  # noqa: E402
from wan_duet.dev.miniature.studio import Frames, Studio  # noqa: E402
from wan_duet.dev.server import serve  # noqa: E402
from wan_duet.tests.miniature.judge import Verdict, judge  # noqa: E402

WEIGHTS = DEV / "miniature" / "weights"
HOME = ROOT / ".dev"
SHEETS = HOME / "miniature" / "sheets"
SEED = 10**6  # of the first held-out clip and noise; the seeds of training are small


class Evaluation:
    """Scores of each part of the miniature, on `rounds` clips of every `stride`-th caption."""

    def __init__(self, films: Studio, rounds: int, stride: int) -> None:
        self.films = films
        self.seeds = range(SEED, SEED + rounds)
        self.captions = CAPTIONS[::stride]

    def text_to_video(self) -> dict[str, float]:
        """Share of films with the colour, the direction and the shape of its caption."""
        asked = [(caption, seed) for seed in self.seeds for caption in self.captions]
        clips = [self.films.frames(prompts.text_to_video(str(caption), seed)) for caption, seed in asked]
        studio.save_sheet(clips[: len(self.captions) : 5], SHEETS / "text_to_video.png")
        return agreement(clips, [caption for caption, _ in asked], ("color", "direction", "shape"))

    def image_to_video(self) -> dict[str, float]:
        """Likeness of frames to the images given for them, and the share of films that move as captioned.

        The middle one is reported only: I2V was trained with a first frame, and a last one.
        """
        drawn = draw(self.captions, torch.Generator().manual_seed(SEED)).frames.permute(0, 2, 3, 4, 1).double().numpy()
        last = LENGTH - 1
        found: dict[str, float] = {}
        for name, measured, given, stride in (
            ("first", 0, (0,), 1),
            ("last", last, (0, last), 2),
            ("middle", last // 2, (0, last // 2, last), 3),
        ):
            asked = list(enumerate(zip(self.captions, drawn, strict=True)))[::stride]
            clips = [self.films.guided(str(caption), SEED + i, clip, given) for i, (caption, clip) in asked]
            studio.save_sheet(clips[::5], SHEETS / f"{name}_frame.png")
            psnr = [studio.psnr(clip[measured], drawn[i][measured]) for clip, (i, _) in zip(clips, asked, strict=True)]
            found[f"{name}_frame_psnr"] = round(float(np.mean(psnr)), 2)
            if name == "first":
                found["image_direction"] = agreement(clips, self.captions, ("direction",))["direction"]
        return found

    def lora(self) -> dict[str, float]:
        """Share of shapes that the LoRA makes yellow: at weight 1, at weight 0 and on one expert only."""
        cases = {
            "lora": (1.0, "both", 1),
            "lora_at_0": (0.0, "both", 3),
            "lora_high": (1.0, "high", 3),
            "lora_low": (1.0, "low", 3),
        }
        captions = [caption for caption in self.captions if caption.color != LORA_COLOR]
        found: dict[str, float] = {}
        for name, (weight, transformer, stride) in cases.items():
            asked = [prompts.with_lora(str(caption), SEED, weight, transformer) for caption in captions[::stride]]
            clips = [self.films.frames(prompt) for prompt in asked]
            found[name] = share(verdict.color == LORA_COLOR for verdict in judged(clips))
            studio.save_sheet(clips[::5], SHEETS / f"{name}.png")
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
    """Say whether all these weights are there."""
    return all((WEIGHTS / f"{name}.safetensors").exists() for name in names)


def main() -> int:
    """Print the figures of each part, and as the last line all of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="8 captions once in place of 48 twice")
    quick: bool = parser.parse_args().quick
    names = (
        "vae_psnr",
        "color",
        "direction",
        "shape",
        "first_frame_psnr",
        "last_frame_psnr",
        "middle_frame_psnr",
        "lora",
    )
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
