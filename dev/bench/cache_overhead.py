"""Cost of a step cache where it reuses nothing, and of an evaluation where it does: cache_overhead.py [--quick]

One expert of 24 blocks, guided, by the host's own sampler. Processor time of whole runs in interleaved pairs, without
a cache and with one that never reuses; then of single evaluations, reused (one first block) and computed.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from typing import Any

from host import enter, interval_of_median, load_pack

enter()
load_pack()

import comfy.sample  # noqa: E402
import comfy.sd  # noqa: E402
import torch  # noqa: E402
from comfy.model_patcher import ModelPatcher  # noqa: E402
from comfy.patcher_extension import WrappersMP  # noqa: E402
from wan_duet.cache.run import CacheOn, StepCache  # noqa: E402
from wan_duet.cache.settings import CacheSettings  # noqa: E402
from wan_duet.cache.techniques.dual_block import DualBlock  # noqa: E402
from wan_duet.dev.tiny import transformer  # noqa: E402
from wan_duet.host.sampling import CFGGuider, sampler_object  # noqa: E402
from wan_duet.samplers.schedules import schedule_sigmas  # noqa: E402

LAYERS, STEPS, SHIFT, SEED = 24, 12, 8.0, 7
SHORT = 6  # steps of a run of which there are many
LATENT = (1, 16, 3, 24, 24)  # [B, C, T, H, W]: 432 tokens


def main() -> int:
    """Time both, and print the ratios as the last line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a narrower model, three pairs")
    options = parser.parse_args()
    torch.set_grad_enabled(False)
    torch.set_num_threads(1)
    model: Any = comfy.sd.load_diffusion_model_state_dict(
        transformer(0, dim=128 if options.quick else 256, layers=LAYERS)
    )
    pairs = 3 if options.quick else 15
    misses, hits = miss_ratios(model, pairs), hit_ratios(model, pairs)
    report({"miss": misses, "hit": hits})
    return 0


def miss_ratios(model: ModelPatcher, pairs: int) -> list[float]:
    """Runs that reuse nothing over runs without a cache; the first pair is a warm-up."""
    never = cached(model, CacheSettings(0.0, force=True))
    ratios = []
    for number in range(pairs + 1):
        both = [(never, 1), (model, 0)] if number % 2 else [(model, 0), (never, 1)]
        seconds = [0.0, 0.0]
        for patcher, place in both:
            begin = time.process_time()
            run(patcher, SHORT)
            seconds[place] = time.process_time() - begin
        if number:
            ratios.append(seconds[1] / seconds[0])
    return ratios


def hit_ratios(model: ModelPatcher, pairs: int) -> list[float]:
    """Each reused evaluation over the computed one before it."""
    patcher = cached(model, CacheSettings(1e9, max_consecutive=1, warmup=2))
    seconds: list[float] = []

    def timed(executor: Any, *args: Any) -> Any:
        begin = time.process_time()
        result = executor(*args)
        seconds.append(time.process_time() - begin)
        return result

    patcher.wrappers[WrappersMP.PREDICT_NOISE] = {"timed": [timed], **patcher.wrappers[WrappersMP.PREDICT_NOISE]}
    while len(seconds) < STEPS * (1 + pairs // 5):
        run(patcher, STEPS)
    runs = [seconds[start : start + STEPS] for start in range(0, len(seconds), STEPS)]
    return [one[step] / one[step - 1] for one in runs for step in range(2, STEPS - 1, 2)]


def cached(model: ModelPatcher, settings: CacheSettings) -> ModelPatcher:
    """A clone with First Block Cache on it."""
    clone = model.clone()
    CacheOn(StepCache(DualBlock(1), settings), "high")(clone)
    return clone


def run(model: ModelPatcher, steps: int) -> torch.Tensor:
    """One run with guidance."""
    generator = torch.Generator().manual_seed(SEED)
    positive, negative = ([[torch.randn(1, 24, 4096, generator=generator), {}]] for _ in range(2))
    guider = CFGGuider(model)
    guider.set_conds(positive, negative)
    guider.set_cfg(3.5)
    latent = torch.zeros(LATENT)
    noise: Any = comfy.sample.prepare_noise(latent, SEED)
    sigmas = torch.tensor(schedule_sigmas("simple", "euler", steps, SHIFT))
    return guider.sample(noise, latent, sampler_object("euler"), sigmas, disable_pbar=True, seed=SEED)


def report(ratios: dict[str, list[float]]) -> None:
    """A table, and the figures as the last line."""
    figures: dict[str, Any] = {}
    print("            median   90 % interval")
    for name, found in ratios.items():
        median, interval = statistics.median(found), interval_of_median(found)
        print(f"{name:10s}{median:8.3f}   {interval[0]:.3f} to {interval[1]:.3f}")
        figures[f"{name}_ratio"] = round(median, 4)
        figures[f"{name}_interval"] = [round(bound, 4) for bound in interval]
    print(json.dumps({**figures, "layers": LAYERS, "pairs": len(ratios["miss"])}))


if __name__ == "__main__":
    sys.exit(main())
