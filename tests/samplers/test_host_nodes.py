"""Under the host's SamplerCustomAdvanced the guider gives both outputs and one run's progress."""

from collections.abc import Iterator

import comfy.utils
import pytest
import torch
from comfy.model_patcher import ModelPatcher
from wan_duet.tests.samplers.runs import SIZE, Job, duet_guider, pair, plain_guider, random, run_in_node

JOBS = {
    "from noise": Job("dpmpp_2m"),
    "from a video": Job("euler_ancestral", strength=0.9, latent=random(*SIZE, seed=3)),
    "with noise left": Job("euler", given=(1.0, 0.95, 0.8, 0.6)),
    "below the boundary": Job("euler", strength=0.4, latent=random(*SIZE, seed=3)),
}


@pytest.fixture
def progress(unthrottled: None) -> Iterator[list[tuple[int, int]]]:
    """What the progress bar of the host shows: (done, of)."""
    shown: list[tuple[int, int]] = []
    usual = comfy.utils.PROGRESS_BAR_HOOK
    comfy.utils.set_progress_bar_global_hook(lambda done, total, *_, **__: shown.append((done, total)))
    yield shown
    comfy.utils.set_progress_bar_global_hook(usual)


@pytest.mark.parametrize("job", JOBS)
def test_both_outputs_are_those_of_one_model(job: str, high: ModelPatcher, twin: ModelPatcher) -> None:
    found = run_in_node(duet_guider(pair(high, twin), JOBS[job]), JOBS[job])
    expected = run_in_node(plain_guider(high, JOBS[job]), JOBS[job])
    assert torch.equal(found[0], expected[0])
    assert torch.equal(found[1], expected[1])


def test_progress_counts_once_over_both_experts(
    high: ModelPatcher, other: ModelPatcher, progress: list[tuple[int, int]]
) -> None:
    run_in_node(duet_guider(pair(high, other), Job("euler")), Job("euler"))
    assert progress == [(step, 20) for step in range(1, 21)]


def test_the_callback_sees_every_step_of_both_experts(high: ModelPatcher, other: ModelPatcher) -> None:
    steps: list[tuple[int, int]] = []
    job = Job("heun")
    duet_guider(pair(high, other), job).sample(
        **job.arguments, callback=lambda step, denoised, x, total: steps.append((step, total))
    )
    assert steps == [(step, 20) for step in range(20)]
