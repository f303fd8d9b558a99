"""Experts in packed formats: what the pair makes of them is what the host makes of them alone."""

from collections.abc import Iterator
from pathlib import Path

import comfy.sd
import comfy.utils
import pytest
import torch
from comfy.model_patcher import ModelPatcher
from safetensors.torch import save_file
from wan_duet.cache.run import StepCache, with_cache
from wan_duet.cache.settings import CacheSettings
from wan_duet.cache.techniques.base import Technique
from wan_duet.cache.techniques.dual_block import DualBlock
from wan_duet.cache.techniques.teacache import TeaCache
from wan_duet.dev import dynamic_vram
from wan_duet.dev.tiny import transformer
from wan_duet.experts.checkpoint.contents import read_checkpoint
from wan_duet.experts.checkpoint.quantised import unpacked
from wan_duet.experts.handle import FileHandle
from wan_duet.experts.lora.expert_lora import ExpertLora
from wan_duet.experts.lora.schedule import constant
from wan_duet.experts.pair import KEEP_BOTH, ONE_AT_A_TIME, Expert, Experts
from wan_duet.experts.variant import HIGH, LOW
from wan_duet.tests.experts.quantised import FORMATS, Weights, is_linear, made_here
from wan_duet.tests.samplers.runs import Job, duet, plain, random, relative_difference

JOB = Job(given=(1.0, 0.95, 0.5, 0.2, 0.0))
# DynamicVRAM packs weights of up to 16 KiB anew, whoever loads them; and it rounds a merged weight after its first use,
# which in a run of two experts falls on different steps than in a run of one
DIM = 256 if dynamic_vram.wanted() else 128
MERGED = [Job(given=(1.0, 0.97, 0.9)), Job(given=(0.6, 0.2, 0.0))] if dynamic_vram.wanted() else [JOB]
residencies = pytest.mark.parametrize("residency", [KEEP_BOTH, ONE_AT_A_TIME])


@pytest.fixture(autouse=True)
def as_the_executor_runs_nodes() -> Iterator[None]:
    with torch.inference_mode():
        yield


@pytest.fixture(scope="module")
def weights() -> Weights:
    return transformer(0, dim=DIM, layers=2)


@pytest.fixture(scope="module", params=FORMATS)
def file(request: pytest.FixtureRequest, weights: Weights, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A file in each format that the host reads."""
    stored = made_here(request.param, weights)
    path = str(tmp_path_factory.mktemp("packed") / "expert.safetensors")
    save_file(stored.tensors, path, stored.metadata)
    try:
        read_checkpoint(path)
    except ValueError as refused:
        pytest.skip(str(refused))
    return path


@pytest.fixture(scope="module")
def lora(weights: Weights, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A LoRA on every packed weight."""
    made: Weights = {}
    for seed, (name, weight) in enumerate(weights.items()):
        if is_linear(name, weight):
            stem = f"diffusion_model.{name.removesuffix('.weight')}"
            made[f"{stem}.lora_A.weight"] = random(4, weight.shape[1], seed=seed) / weight.shape[1]
            made[f"{stem}.lora_B.weight"] = random(weight.shape[0], 4, seed=-seed) / 4
    path = str(tmp_path_factory.mktemp("lora") / "lora.safetensors")
    save_file(made, path)
    return path


@pytest.fixture(scope="module")
def exact(file: str, weights: Weights) -> str:
    """The very same numbers in fp32, as the host unpacks them."""
    packed = comfy.sd.load_diffusion_model(file)
    path = str(Path(file).with_name("unpacked.safetensors"))
    save_file({name: unpacked(packed.model.diffusion_model, name).contiguous() for name in weights}, path)
    return path


def stock(path: str, lora: str | None = None) -> ModelPatcher:
    """The host's MODEL, with a LoRA from its own loader."""
    model = comfy.sd.load_diffusion_model(path)
    return comfy.sd.load_lora_for_models(model, None, comfy.utils.load_torch_file(lora), 1.0, 0)[0] if lora else model


def pair(path: str, residency: str, lora: str | None = None, hooked: float | None = None) -> Experts:
    """The file as both experts, each with a LoRA: merged at 1, or `hooked` at a strength as if that could change."""
    strengths = None if hooked is None else lambda *_: (hooked,)
    experts = [
        Expert(
            FileHandle(path, path, read_checkpoint(path)),
            loras=(ExpertLora(lora, role, constant(1.0)),) if lora else (),
            strengths=strengths,
        )
        for role in (HIGH, LOW)
    ]
    return Experts(*experts, residency)


@residencies
def test_a_pair_is_the_stock_loaders_model(file: str, residency: str) -> None:
    assert torch.equal(duet(pair(file, residency), JOB), plain(stock(file), JOB))


@residencies
@pytest.mark.parametrize("job", MERGED, ids=lambda job: f"from {job.sigmas[0]}")
def test_a_merged_lora_is_the_hosts_own(file: str, lora: str, job: Job, residency: str) -> None:
    found = duet(pair(file, residency, lora), job)
    assert torch.equal(found, plain(stock(file, lora), job))
    assert not torch.equal(found, plain(stock(file), job))


@residencies
@pytest.mark.parametrize("strength", [0.0, 1.0])
def test_a_scheduled_lora_acts_on_the_unpacked_weights(
    file: str, exact: str, lora: str, strength: float, residency: str
) -> None:
    """Nothing is rounded: the result is that of a file of fp32 weights, on which a merge rounds nothing either.

    Hosts of 2025 multiply by the scale of an fp8 weight only after the LoRA was added to it: an fp32 rounding more.
    """
    found = duet(pair(file, residency, lora, strength), JOB)
    wanted = plain(stock(exact, lora if strength else None), JOB)
    if hasattr(stock(file).model.diffusion_model.time_embedding[0], "scale_weight"):
        assert relative_difference(found, wanted) < 2e-6
    else:
        assert torch.equal(found, wanted)


@pytest.mark.parametrize("technique", [TeaCache(), DualBlock(1)], ids=lambda technique: technique.name)
def test_a_cache_that_reuses_nothing_changes_nothing(file: str, technique: Technique) -> None:
    experts = with_cache(pair(file, KEEP_BOTH), StepCache(technique, CacheSettings(0.0, force=True)))
    assert torch.equal(duet(experts, JOB), plain(stock(file), JOB))
