"""SeaCache's filter beside statistics, and its rule beside the paper's."""

import numpy as np
import pytest
import torch
from comfy.model_patcher import ModelPatcher
from torch import Tensor
from wan_duet.cache.settings import CacheSettings
from wan_duet.cache.state import StageState
from wan_duet.cache.step_rules import StepRange
from wan_duet.cache.techniques.seacache import SeaCache, gain
from wan_duet.tests.cache.models import STEPS, cached, generator, sample, sigmas

SHAPE = (4, 6, 6)


@pytest.mark.parametrize("sigma", [0.2, 0.5, 0.9])
def test_the_filter_is_the_best_linear_guess_of_a_video_from_its_noisy_latents(sigma: float) -> None:
    """By least squares over drawn videos of the power that the paper assumes, 1 / f^3; of the average it is endless."""
    frequency = np.sqrt(sum(axis**2 for axis in np.meshgrid(*map(np.fft.fftfreq, SHAPE), indexing="ij")))
    random = np.random.default_rng(0)
    video, noise = random.standard_normal((2, 20000, *SHAPE))
    video *= np.where(frequency > 0, frequency, np.inf) ** -1.5
    noisy = (1 - sigma) * video + sigma * noise
    best = (noisy * video).mean(axis=0) / (noisy**2).mean(axis=0)
    best[0, 0, 0] = 1 / (1 - sigma)
    found = gain(torch.zeros(1, 16, *SHAPE), sigma).double().numpy()
    assert found == pytest.approx(best / best.mean(), rel=0.1)


def test_of_pure_noise_it_sees_the_average_and_of_a_finished_video_all() -> None:
    x = generator(3)(1, 16, *SHAPE)
    assert torch.allclose(SeaCache().look(x, 0.0), x, atol=1e-5)
    flat = SeaCache().look(x, 1.0)
    assert (flat - flat.mean(dim=(-3, -2, -1), keepdim=True)).norm() < 1e-3 * flat.norm()


def reuses(latents: list[Tensor], threshold: float, most: int) -> str:
    """The paper's rule on filtered latents: the distance to the step before adds up until a step is computed."""
    total, streak, marks, before = 0.0, 0, "", None
    for number, now in enumerate(latents):
        if before is not None:
            total += float((now - before).abs().sum() / before.abs().sum())
        before = now
        last = number == len(latents) - 1
        reuse = number > 0 and not last and total < threshold and streak < most
        total, streak = (total, streak + 1) if reuse else (0.0, 0)
        marks += "." if reuse else "#"
    return marks


@pytest.mark.parametrize("threshold", [0.2, 0.5, 1.0, 3.0])
@pytest.mark.parametrize("most", [1, 3])
def test_it_decides_as_the_paper_does(threshold: float, most: int) -> None:
    steps, draw = 20, generator(4)
    at = torch.linspace(1, 0, steps + 1)
    latents = [(1 - s) * draw(1, 4, *SHAPE).cumsum(-1).cumsum(-2) + s * draw(1, 4, *SHAPE) for s in at[:-1]]
    settings, technique = CacheSettings(threshold, max_consecutive=most), SeaCache()
    state = StageState(settings, technique, StepRange(tuple(at.tolist()), tuple(range(steps)), "." * steps), at, "")
    marks = ""
    for sigma, x in zip(at.tolist(), latents, strict=False):
        evaluation = state.begin(sigma, (), x)
        evaluation.reused = bool(evaluation.reuse)
        state.end(evaluation)
        marks += "." if evaluation.reused else "#"
    seen = [technique.look(x, float(sigma)) for sigma, x in zip(at, latents, strict=False)]
    assert marks == reuses(seen, threshold, most)


def test_it_looks_at_the_video(base: ModelPatcher, caplog: pytest.LogCaptureFixture) -> None:
    """Unlike a plan: latents that stay as they are are reused, others are not."""
    caplog.set_level("INFO", "wan_duet")
    model = cached(base, SeaCache(), threshold=0.4)
    up_and_down = torch.tensor([0.5, 0.499, 0.498, 0.497, 0.496, 0.3, 0.1, 0.05, 0.0])
    assert len(up_and_down) == STEPS + 1
    sample(model, given=up_and_down)
    sample(model, given=sigmas())
    strips = [line.split()[-1] for line in caplog.text.splitlines() if "evaluations computed" in line]
    assert strips[0].startswith("#...") and strips[0] != strips[1]
