"""Cost of one continuous run beside two passes: python3 dev/bench/guider.py [--quick]

The same work on the same small experts, once as two KSamplerAdvanced passes and once through the guider, in turns.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable
from functools import partial

from host import enter, interval_of_median, load_pack

enter()
load_pack()

import comfy.sample  # noqa: E402
import comfy.sd  # noqa: E402
import torch  # noqa: E402
from comfy.model_patcher import ModelPatcher  # noqa: E402
from comfy_extras.nodes_model_advanced import ModelSamplingSD3  # noqa: E402
from torch import Tensor  # noqa: E402
from wan_duet.dev.tiny import transformer  # noqa: E402
from wan_duet.experts.handle import ModelHandle  # noqa: E402
from wan_duet.experts.pair import Expert, Experts  # noqa: E402
from wan_duet.host.sampling import sampler_object  # noqa: E402
from wan_duet.samplers.guider import DuetGuider  # noqa: E402
from wan_duet.samplers.plan import Plan, two_phases  # noqa: E402
from wan_duet.samplers.schedules import schedule_sigmas  # noqa: E402

SHIFT, BOUNDARY, CFG, SEED = 8.0, 0.875, 3.5, 7
DIM, LAYERS, LATENT = 256, 4, (1, 16, 5, 16, 16)  # wide enough that forwards take nearly all the time, as in earnest
ROLES = ("high", "low")
WARM_UP = 2


class Work:
    """`steps` steps of euler on two experts of random weights; the latents that each expert evaluates are counted."""

    def __init__(self, steps: int) -> None:
        generator = torch.Generator().manual_seed(SEED)
        random = partial(torch.randn, generator=generator)
        self.prompts = [[[random(1, 64, 4096), {}]] for _ in ("positive", "negative")]
        self.noise, self.latent = random(LATENT), torch.zeros(LATENT)
        self.plan = Plan(schedule_sigmas("simple", "euler", steps, SHIFT), SHIFT, two_phases(BOUNDARY, CFG, CFG))
        self.switch, self.steps = self.plan.roles().count("high"), steps
        self.evaluated: Counter[str] = Counter()
        self.models = [self._expert(seed, role) for seed, role in enumerate(ROLES)]

    def _expert(self, seed: int, role: str) -> ModelPatcher:
        model = comfy.sd.load_diffusion_model_state_dict(transformer(seed, dim=DIM, layers=LAYERS))
        if model is None:
            raise RuntimeError("the host does not know its own Wan")

        def count(_: torch.nn.Module, inputs: tuple[Tensor, ...]) -> None:
            self.evaluated[role] += len(inputs[0])

        model.model.diffusion_model.register_forward_pre_hook(count)
        return ModelSamplingSD3().patch(model, SHIFT)[0]

    @property
    def planned(self) -> dict[str, int]:
        """Evaluations to expect: the prompt and the negative prompt, each step."""
        return {"high": 2 * self.switch, "low": 2 * (self.steps - self.switch)}

    def two_passes(self) -> Tensor:
        """As the usual graph: the second KSamplerAdvanced adds no noise and starts where the first stopped."""
        high, low = self.models
        run = partial(comfy.sample.sample, steps=self.steps, cfg=CFG, sampler_name="euler", scheduler="simple")
        prompts = dict(zip(("positive", "negative"), self.prompts, strict=True))
        rest = {**prompts, "disable_pbar": True, "seed": SEED}
        half_way = run(high, self.noise, latent_image=self.latent, start_step=0, last_step=self.switch, **rest)
        nothing = torch.zeros_like(self.noise)
        return run(low, nothing, latent_image=half_way, start_step=self.switch, disable_noise=True, **rest)

    def guider(self) -> Tensor:
        """As our graph, from the two MODELs on."""
        experts = Experts(*(Expert(ModelHandle(model, role)) for model, role in zip(self.models, ROLES, strict=True)))
        guider = DuetGuider(experts, self.plan, say=lambda _: None)
        guider.set_conds(*self.prompts)
        sigmas = torch.tensor(self.plan.sigmas)
        return guider.sample(self.noise, self.latent, sampler_object("euler"), sigmas, disable_pbar=True, seed=SEED)


def timed(work: Work, way: Callable[[], Tensor]) -> tuple[float, Tensor, dict[str, int]]:
    """Seconds, result and evaluated latents of one run; processor time, which other programs do not lengthen."""
    work.evaluated.clear()
    begin = time.process_time()
    result = way()
    return time.process_time() - begin, result, dict(work.evaluated)


def main() -> int:
    """Time the pairs and print them, and as the last line what they come to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="15 pairs of 8 steps in place of 31 of 20")
    quick: bool = parser.parse_args().quick
    torch.set_num_threads(1)
    work = Work(steps=8 if quick else 20)
    ratios: list[float] = []
    forwards_equal, difference = True, 0.0

    print("pair   two passes     guider   ratio", flush=True)
    for pair in range(1 - WARM_UP, (15 if quick else 31) + 1):
        order = [work.two_passes, work.guider]
        if pair % 2:  # whatever drifts, drifts for both
            order.reverse()
        runs = {way: timed(work, way) for way in order}
        (two, expected, by_two), (one, found, by_one) = runs[work.two_passes], runs[work.guider]
        forwards_equal &= by_one == by_two == work.planned
        difference = max(difference, ((found - expected).norm() / expected.norm()).item())
        print(f"{pair if pair > 0 else 'warm':>4}   {two:8.3f} s {one:8.3f} s   {one / two:.3f}", flush=True)
        if pair > 0:
            ratios.append(one / two)

    split = f"{work.switch} high + {work.steps - work.switch} low steps"
    print(f"\n{split}; the results differ by {difference:.1e} at most")
    low, high = interval_of_median(ratios)
    figures = {"guider_over_two_pass": round(statistics.median(ratios), 4), "interval": [round(low, 4), round(high, 4)]}
    print(json.dumps({**figures, "forwards_equal": forwards_equal, "pairs": len(ratios)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
