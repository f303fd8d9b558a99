"""Whatever was done to the MODELs before, two with equal weights are sampled bit for bit as the host samples one."""

from collections.abc import Callable
from pathlib import Path

import comfy.sd
import pytest
import torch
from comfy.model_patcher import ModelPatcher
from comfy_extras.nodes_easycache import EasyCacheNode, LazyCacheNode
from wan_duet.dev.tiny import transformer
from wan_duet.experts.checkpoint.contents import read_checkpoint
from wan_duet.experts.handle import FileHandle
from wan_duet.experts.pair import Expert, Experts
from wan_duet.tests.samplers.runs import (
    SIZE,
    SOLVERS,
    Cond,
    Job,
    assert_same_run,
    duet,
    forwards,
    hooked,
    in_windows,
    pair,
    plain,
    prompt,
    random,
    with_lora,
)


def with_idle_easy_cache(model: ModelPatcher) -> ModelPatcher:
    """At a threshold that never skips."""
    return EasyCacheNode.execute(model, reuse_threshold=0.0, start_percent=0.0, end_percent=1.0, verbose=False).args[0]


def with_idle_lazy_cache(model: ModelPatcher) -> ModelPatcher:
    """At a threshold that never skips."""
    return LazyCacheNode.execute(model, reuse_threshold=0.0, start_percent=0.0, end_percent=1.0, verbose=False).args[0]


@pytest.mark.parametrize("sampler", SOLVERS)
@pytest.mark.parametrize("change", [with_lora, in_windows, with_idle_easy_cache, with_idle_lazy_cache])
def test_models_changed_by_a_node_make_the_run_of_one(
    change: Callable[[ModelPatcher], ModelPatcher], sampler: str, high: ModelPatcher, twin: ModelPatcher
) -> None:
    assert_same_run(change(high), change(twin), Job(sampler))


@pytest.mark.parametrize("change", [with_lora, in_windows])
def test_each_of_these_changes_changes_the_run(
    change: Callable[[ModelPatcher], ModelPatcher], high: ModelPatcher
) -> None:
    assert not torch.equal(plain(change(high), Job()), plain(high, Job()))


@pytest.mark.parametrize("sampler", SOLVERS)
@pytest.mark.parametrize("second", [lambda model: model, ModelPatcher.clone], ids=["itself", "its clone"])
@pytest.mark.parametrize("positive", [prompt(1), hooked()], ids=["plain prompt", "hooks"])
def test_one_model_in_both_places_makes_its_own_run(
    positive: Cond, second: Callable[[ModelPatcher], ModelPatcher], sampler: str, high: ModelPatcher
) -> None:
    job = Job(sampler, positive=positive)
    with forwards(high) as alone:
        expected = plain(high, job)
    with forwards(high) as together:
        assert torch.equal(duet(pair(high, second(high)), job), expected)
    assert together == alone


@pytest.mark.parametrize("sampler", SOLVERS)
def test_two_files_make_the_run_of_one_model(sampler: str, files: Path, high: ModelPatcher) -> None:
    paths = [str(files / name) for name in ("high.safetensors", "twin.safetensors")]
    experts = Experts(*(Expert(FileHandle(path, path, read_checkpoint(path))) for path in paths))
    job = Job(sampler)
    assert torch.equal(duet(experts, job), plain(high, job))


@pytest.fixture(scope="module")
def image_models() -> list[ModelPatcher]:
    """Two image-to-video models of equal weights: 16 channels, and 20 that say what the image is."""
    return [comfy.sd.load_diffusion_model_state_dict(transformer(0, in_dim=36)) for _ in range(2)]


@pytest.mark.parametrize("sampler", SOLVERS)
def test_two_image_models_make_the_run_of_one(sampler: str, image_models: list[ModelPatcher]) -> None:
    mask = torch.ones(1, 1, *SIZE[2:])
    mask[:, :, 0] = 0
    image = {"concat_latent_image": random(*SIZE, seed=4), "concat_mask": mask}
    assert_same_run(*image_models, Job(sampler, positive=prompt(1, **image), negative=prompt(2, **image)))
