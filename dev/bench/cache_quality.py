"""Quality that step caches cost, on films of the miniature: python3 dev/bench/cache_quality.py [--quick]

Each film is compared with the uncached one of the same seed and steps. The threshold of every technique is chosen on
some seeds, so that all do the same share of the block forwards, and the films are those of others. The miniature has 8
blocks, not 40: of these a reused evaluation of First Block Cache still runs an eighth, of Dual Block Cache F2 a fourth.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from host import DEV, enter, load_pack

enter()
load_pack()
sys.path.append(str(DEV / "bench"))

import numpy as np  # noqa: E402
import torch  # noqa: E402
from cache_films import Film, Films, Marks, Prepare  # noqa: E402
from cache_techniques import EASYCACHE, FEWER_STEPS, Way, measuring, ways  # noqa: E402
from scipy.stats import ttest_1samp  # noqa: E402
from wan_duet.dev.miniature.studio import Frames  # noqa: E402

SEED = 2 * 10**6  # no training or other evaluation has had these
CHOOSING, COMPARING = range(SEED, SEED + 12), range(SEED + 12, SEED + 36)
LOWEST, HIGHEST = 0.01, 1.6  # thresholds
HALVINGS = 8
NEAR, EQUAL = 0.005, 0.02  # off the wanted block forwards: a threshold is good enough; ours may have more than a rival
CONFIDENCE = 0.9


class Row(NamedTuple):
    """A technique at a threshold: shares of the block forwards and evaluations, and each film's marks."""

    way: Way
    threshold: float
    blocks: float
    evaluations: float
    marks: Sequence[Marks]

    @property
    def psnr(self) -> np.ndarray:
        """Of each film, in dB."""
        return np.array([film.psnr for film in self.marks])


class Comparison:
    """All techniques at one number of steps."""

    def __init__(self, films: Films, steps: int, choosing: Sequence[int], comparing: Sequence[int]) -> None:
        self.films, self.steps, self.choosing, self.comparing = films, steps, choosing, comparing
        self.whole = 2 * steps * films.layers
        self._uncached: dict[int, Frames] = {}
        self._shares: dict[tuple[str, float], float] = {}

    def make(self, way: Way, threshold: float, seed: int) -> Film:
        """One film. Raises RuntimeError if a cache of ours reports other block forwards than really ran."""
        if way.at is None:
            return self.films.make(seed, round(self.steps * threshold))
        prepare: Prepare = partial(way.at, threshold)
        film = self.films.make(seed, self.steps, prepare)
        if way.ours and f" {film.blocks} of {self.whole} block forwards" not in film.said:
            raise RuntimeError(f"{film.blocks} block forwards ran, but {way.name} says:\n{film.said}")
        return film

    def threshold(self, way: Way, share: float) -> float:
        """The threshold at which a technique does nearest to `share` of the block forwards."""
        if way.at is None:
            return share
        low, high = LOWEST, HIGHEST
        for _ in range(HALVINGS):
            middle = math.sqrt(low * high)
            found = self._share(way, middle)
            if abs(found / share - 1) <= NEAR:
                break
            low, high = (middle, high) if found > share else (low, middle)
        tried = {threshold: found for (name, threshold), found in self._shares.items() if name == way.name}
        return min(tried, key=lambda threshold: abs(tried[threshold] - share))

    def row(self, way: Way, threshold: float) -> Row:
        """Films of the other seeds, each beside the uncached one."""
        films = [self.make(way, threshold, seed) for seed in self.comparing]
        marks = [
            self.films.marks(self.films.frames(film), self.uncached(seed), seed)
            for film, seed in zip(films, self.comparing, strict=True)
        ]
        blocks = float(np.mean([film.blocks for film in films])) / self.whole
        return Row(way, threshold, blocks, float(np.mean([film.evaluations for film in films])) / self.steps, marks)

    def uncached(self, seed: int) -> Frames:
        """The film that the others of its seed should be."""
        if seed not in self._uncached:
            self._uncached[seed] = self.films.frames(self.films.make(seed, self.steps))
        return self._uncached[seed]

    def _share(self, way: Way, threshold: float) -> float:
        if (way.name, threshold) not in self._shares:
            seeds = self.choosing if way.observes else self.choosing[:1]
            blocks = [self.make(way, threshold, seed).blocks for seed in seeds]
            self._shares[way.name, threshold] = float(np.mean(blocks)) / self.whole
        return self._shares[way.name, threshold]


def interval(values: np.ndarray) -> str:
    """The mean and where it lies with 90 % confidence."""
    low, high = ttest_1samp(values, 0).confidence_interval(CONFIDENCE)
    return f"{values.mean():5.1f} ({low:5.1f} to {high:5.1f})"


def show(row: Row, easycache: Row) -> None:
    """A line of the table: the last column is paired by seed."""
    means = np.mean(row.marks, axis=0)
    over = "" if row is easycache else interval(row.psnr - easycache.psnr)
    found = f"{row.threshold:9.4f} {row.blocks:7.3f} {row.evaluations:6.3f}   {interval(row.psnr)}"
    print(f"{row.way.name:22s}{found} {means[1]:7.4f} {means[2]:6.3f}   {over}", flush=True)


def compare(comparison: Comparison, share: float, chosen: Sequence[Way]) -> dict[str, str | float]:
    """Print a table at one share of the block forwards, and return what the best of ours is ahead by."""
    print(f"\n{comparison.steps} steps, {share:.2f} of the block forwards, {len(comparison.comparing)} seeds")
    print("                      threshold  blocks  evals   PSNR, dB (90 %)          SSIM  judge   over EasyCache, dB")
    rows = {way.name: comparison.row(way, comparison.threshold(way, share)) for way in chosen}
    for row in rows.values():
        show(row, rows[EASYCACHE])
    agreed = [comparison.films.agreement(comparison.uncached(seed), seed) for seed in comparison.comparing]
    print(f"uncached{' ' * 72}{np.mean(agreed):.3f}")
    most = (1 + EQUAL) * min(rows[rival].blocks for rival in (EASYCACHE, FEWER_STEPS))
    ours = [row for row in rows.values() if row.way.ours]
    best = max([row for row in ours if row.blocks <= most] or ours, key=lambda row: row.psnr.mean())
    fewer = best.psnr - rows[FEWER_STEPS].psnr
    print(f"{best.way.name} is over fewer steps by {interval(fewer)} dB", flush=True)
    return {
        "best_technique": best.way.name,
        "gain_over_easycache_db": round(float((best.psnr - rows[EASYCACHE].psnr).mean()), 2),
        "gain_over_fewer_steps_db": round(float(fewer.mean()), 2),
        "block_forward_ratio": round(best.blocks, 4),
        "easycache_block_forward_ratio": round(rows[EASYCACHE].blocks, 4),
    }


def main() -> int:
    """Print the tables, and as the last line the smallest lead at half the block forwards."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="2 + 3 seeds, one table and three techniques")
    quick: bool = parser.parse_args().quick
    torch.set_num_threads(1)
    films = Films(DEV / "miniature" / "weights")
    chosen = ways()
    leads = []
    with tempfile.TemporaryDirectory() as folder:
        if quick:
            chosen = [way for way in chosen if way.name in ("First Block Cache", EASYCACHE, FEWER_STEPS)]
        else:
            films.make(CHOOSING[0], 40, measuring(folder))
        for steps in (20,) if quick else (20, 40):
            comparison = Comparison(films, steps, CHOOSING[: 2 if quick else 12], COMPARING[: 3 if quick else 24])
            for share in (0.5,) if quick else (0.5, 0.65):
                lead = compare(comparison, share, chosen)
                leads += [lead] if share == 0.5 else []
    print(json.dumps(min(leads, key=lambda lead: lead["gain_over_fewer_steps_db"])))
    return 0


if __name__ == "__main__":
    sys.exit(main())
