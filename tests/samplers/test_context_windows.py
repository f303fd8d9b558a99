"""In the host's context windows, with each of their options, two models with equal weights make the run of one."""

from typing import Any

import comfy.sd
import pytest
import torch
from comfy.model_patcher import ModelPatcher
from comfyui_version import __version__
from wan_duet.dev.tiny import transformer
from wan_duet.tests.samplers.runs import (
    SIZE,
    SOLVERS,
    Job,
    assert_same_run,
    duet,
    in_windows,
    pair,
    plain,
    prompt,
    random,
    relative_difference,
    two_passes,
)
from wan_duet.tests.samplers.runs import window_settings as settings

OPTIONS: dict[str, dict[str, Any]] = {
    "closed_loop": {"closed_loop": True, "context_schedule": "looped_uniform"},
    "freenoise": {"freenoise": True},
    "retain_first_frame": {"retain_first_frame": True},
}
LACKING = {name: f"ComfyUI {__version__} has no {name} windows" for name in OPTIONS.keys() - settings().keys()}
WINDOWS = [
    pytest.param(OPTIONS[name], marks=pytest.mark.skipif(name in LACKING, reason=LACKING.get(name, "")), id=name)
    for name in OPTIONS
]


@pytest.fixture(scope="module")
def image_models() -> list[ModelPatcher]:
    """Two image-to-video models of equal weights: the first frame is in the conditioning."""
    return [comfy.sd.load_diffusion_model_state_dict(transformer(0, in_dim=36)) for _ in range(2)]


@pytest.fixture
def models(
    option: dict[str, Any], high: ModelPatcher, twin: ModelPatcher, image_models: list[ModelPatcher]
) -> list[ModelPatcher]:
    """Two models of equal weights; only a first frame that is retained needs one to be there."""
    return image_models if "retain_first_frame" in option else [high, twin]


def job(option: dict[str, Any], sampler: str = "euler") -> Job:
    """A run of four latent frames, from a first one if it is retained: the third window begins two after it."""
    size = (*SIZE[:2], 4, *SIZE[3:])
    mask = torch.ones(1, 1, *size[2:])
    mask[:, :, 0] = 0
    image = {"concat_latent_image": random(*size, seed=4), "concat_mask": mask}
    image = image if "retain_first_frame" in option else {}
    return Job(sampler, positive=prompt(1, **image), negative=prompt(2, **image), latent=torch.zeros(size))


@pytest.mark.parametrize("sampler", SOLVERS)
@pytest.mark.parametrize("option", WINDOWS)
def test_two_models_in_windows_make_the_run_of_one(
    option: dict[str, Any], sampler: str, models: list[ModelPatcher]
) -> None:
    assert_same_run(*(in_windows(model, **option) for model in models), job(option, sampler))


@pytest.mark.parametrize("option", WINDOWS)
def test_windows_of_the_low_expert_alone_are_those_of_a_second_pass(
    option: dict[str, Any], models: list[ModelPatcher]
) -> None:
    first, second = models
    windowed = in_windows(second, **option)
    found, passes = duet(pair(first, windowed), job(option)), two_passes(first, windowed, job(option))
    assert relative_difference(found, passes) < 1e-6
    assert relative_difference(found, plain(first, job(option))) > 1e-3


@pytest.mark.parametrize("option", WINDOWS)
def test_each_of_these_options_changes_the_run(option: dict[str, Any], models: list[ModelPatcher]) -> None:
    off = {name: False if value is True else value for name, value in option.items()}
    on, without = (plain(in_windows(models[0], **settings), job(option)) for settings in (option, off))
    assert not torch.equal(on, without)


@pytest.mark.parametrize("schedule", ["standard_uniform", "looped_uniform"])
@pytest.mark.parametrize("sampler", ["dpm_2", "dpmpp_2s_ancestral"])
def test_windows_go_on_where_they_were_when_the_expert_changes_within_a_step(
    sampler: str, schedule: str, high: ModelPatcher, twin: ModelPatcher
) -> None:
    first, second = (in_windows(model, context_schedule=schedule) for model in (high, twin))
    try:
        plain(first, job({}, sampler))
    except Exception as error:
        if "sample_sigmas" not in str(error):  # raised by hosts whose windows know the sigmas of whole steps only
            raise
        pytest.skip(f"ComfyUI {__version__}: {error}")
    assert_same_run(first, second, job({}, sampler))
