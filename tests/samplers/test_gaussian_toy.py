"""Every solver on data whose denoiser is known exactly: N(1, 1/2), which the run should end in."""

from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor
from wan_duet.host.sampling import SAMPLER_NAMES
from wan_duet.samplers.provider_schedulers import DISTILLED_ONLY, EXACT, NEAREST, provider_schedulers
from wan_duet.samplers.schedules import schedule_sigmas
from wan_duet.samplers.shift import flow_sampling
from wan_duet.samplers.solvers.names import FLOW_SOLVERS, SOLVERS, WRONG_ON_FLOW, solver

MEAN, DEVIATION = 1.0, 0.5
STEPS, SHIFT, PARTICLES = 400, 8.0, 10_000
UNFINISHED = ["dpm_fast", "dpm_adaptive"]
FOR_DISTILLED = {"lcm"}
GPU_TWINS = {name for name in SAMPLER_NAMES if name.endswith("_gpu")}  # the same formulas, their noise made on the GPU


class Toy:
    """What a sampler sees of a model: the exact denoiser, and where it looks the flow up."""

    def __init__(self) -> None:
        self.inner_model = self
        self.model_patcher = self
        self.model_sampling = flow_sampling(SHIFT)

    def get_model_object(self, name: str) -> Any:
        """As a ModelPatcher has it."""
        return getattr(self, name)

    def __call__(self, x: Tensor, sigma: Tensor, model_options: dict[str, Any] | None = None, **_: Any) -> Tensor:
        signal, noise = 1 - sigma[0], sigma[0]
        gain = signal * DEVIATION**2 / ((signal * DEVIATION) ** 2 + noise**2)
        denoised = MEAN + gain * (x - signal * MEAN)
        args = {"denoised": denoised, "cond_denoised": denoised, "uncond_denoised": denoised, "sigma": sigma}
        for function in (model_options or {}).get("sampler_post_cfg_function", []):
            denoised = function({**args, "model": self, "input": x, "model_options": model_options})
        return denoised


@cache
def ended_in(
    name: str, options: tuple[tuple[str, Any], ...] = (), scheduler: str = "simple", steps: int = STEPS
) -> tuple[float, float]:
    """Mean and standard deviation of the particles after the run."""
    sigmas = torch.tensor(schedule_sigmas(scheduler, "euler", steps, SHIFT))
    noise = torch.randn(1, 1, PARTICLES, generator=torch.Generator().manual_seed(0)) * sigmas[0]
    sampler: Any = solver(name, dict(options))
    model, extra = Toy(), {"model_options": {}, "seed": 0}
    found = sampler.sampler_function(model, noise, sigmas, extra, None, True, **sampler.extra_options)
    return found.mean().item(), found.std().item()


def _names(*verdicts: str) -> list[str]:
    return [row.name for row in provider_schedulers().values() if row.verdict in verdicts]


def right(found: tuple[float, float]) -> bool:
    return found == (pytest.approx(MEAN, abs=0.02), pytest.approx(DEVIATION, abs=0.04))


@pytest.mark.parametrize("name", [*FLOW_SOLVERS, *sorted({*SOLVERS} - {*WRONG_ON_FLOW} - FOR_DISTILLED)])
def test_a_solver_that_is_offered_ends_in_the_data(name: str) -> None:
    if name in GPU_TWINS and not torch.cuda.is_available():
        pytest.skip("makes its noise on a GPU")
    assert right(ended_in(name))


@pytest.mark.parametrize("name", [name for name in WRONG_ON_FLOW if name not in GPU_TWINS])
def test_a_solver_that_is_refused_does_not(name: str) -> None:
    mean, deviation = ended_in(name, steps=20 if name in UNFINISHED else STEPS)
    assert not right((mean, deviation))
    assert abs(mean - MEAN) > 0.05 or abs(deviation - DEVIATION) > 0.05


@pytest.mark.parametrize("name", ["euler", "dpmpp_2m", "flow_unipc"])
def test_at_20_steps_it_is_the_end_that_is_missing(name: str) -> None:
    """With so few steps all are too flat, but the mean of those that finish is right."""
    assert ended_in(name, steps=20)[0] == pytest.approx(MEAN, abs=0.02)
    assert all(ended_in(unfinished, steps=20)[0] < 0.9 for unfinished in UNFINISHED)


@pytest.mark.parametrize("name", WRONG_ON_FLOW.values())
def test_what_is_named_in_its_place_does(name: str) -> None:
    assert right(ended_in(name))


@pytest.mark.parametrize("name", _names(EXACT, NEAREST))
def test_a_documented_name_ends_in_the_data(name: str) -> None:
    row = provider_schedulers()[name]
    assert right(ended_in(row.solver, tuple(row.options.items()), row.scheduler))


@pytest.mark.parametrize("name", _names(DISTILLED_ONLY))
def test_a_name_for_distilled_models_loses_variety_on_others(name: str) -> None:
    assert ended_in(provider_schedulers()[name].solver)[1] < 0.8 * DEVIATION
