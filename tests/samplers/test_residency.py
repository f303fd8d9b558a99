"""One expert at a time: the same video, and never two experts in memory."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import comfy.model_management
import comfy.sd
import pytest
import torch
from comfy.model_base import BaseModel
from safetensors.torch import save_file
from wan_duet.dev import dynamic_vram
from wan_duet.dev.tiny import transformer
from wan_duet.experts.checkpoint.contents import read_checkpoint
from wan_duet.experts.handle import FileHandle
from wan_duet.experts.pair import KEEP_BOTH, ONE_AT_A_TIME, Expert, Experts
from wan_duet.tests.samplers.runs import Job, duet, duet_guider, run_in_node


def from_files(folder: Path, residency: str, low: str = "other") -> Experts:
    """A pair of files that nobody has opened yet."""
    paths = [str(folder / f"{name}.safetensors") for name in ("high", low)]
    high, low_expert = (Expert(FileHandle(Path(path).name, path, read_checkpoint(path))) for path in paths)
    return Experts(high, low_expert, residency)


def models_with_weights() -> list[BaseModel]:
    """Every host model that lives and holds weights. Nothing is collected first: that is the product's job."""
    alive = [thing for thing in gc.get_objects() if type(thing).__name__ == "WAN21"]
    return [model for model in alive if next(model.parameters()).device.type != "meta"]


@pytest.fixture(autouse=True)
def collected() -> None:
    """What other tests have left does not go away in the middle of one that counts."""
    gc.collect()


@contextmanager
def counted_at_every_step() -> Iterator[tuple[Any, list[int]]]:
    """A sampler callback that counts the models in memory, above those of other tests, and the counts."""
    before = len(models_with_weights())
    counts: list[int] = []
    yield lambda *step: counts.append(len(models_with_weights()) - before), counts


@pytest.mark.parametrize("sampler", ["euler", "dpmpp_2m_sde", "heunpp2"])
def test_the_video_does_not_depend_on_the_residency(files: Path, sampler: str) -> None:
    job = Job(sampler, steps=6)
    both = duet(from_files(files, KEEP_BOTH), job)
    assert torch.equal(duet(from_files(files, ONE_AT_A_TIME), job), both)


def test_one_at_a_time_never_holds_two_experts_in_the_first_run_or_the_second(files: Path) -> None:
    guider = duet_guider(from_files(files, ONE_AT_A_TIME), Job(steps=6))
    for _ in range(2):
        with counted_at_every_step() as (callback, counts):
            guider.sample(**Job(steps=6).arguments, callback=callback)
        assert counts == [1] * 6


def test_keep_both_holds_two_from_the_switch_on(files: Path) -> None:
    guider = duet_guider(from_files(files, KEEP_BOTH), Job(steps=6))
    with counted_at_every_step() as (callback, counts):
        guider.sample(**Job(steps=6).arguments, callback=callback)
    assert counts == [1] * 4 + [2] * 2


@pytest.mark.parametrize("step", [1, 5], ids=["high", "low"])
def test_an_interrupted_run_leaves_no_expert_behind(files: Path, step: int) -> None:
    guider = duet_guider(from_files(files, ONE_AT_A_TIME), Job(steps=6))
    before = len(models_with_weights())

    def interrupt(done: int, *_: Any) -> None:
        if done == step:
            raise comfy.model_management.InterruptProcessingException

    with suppress(comfy.model_management.InterruptProcessingException):
        guider.sample(**Job(steps=6).arguments, callback=interrupt)
    assert len(models_with_weights()) == before
    assert torch.equal(guider.sample(**Job(steps=6).arguments), duet(from_files(files, ONE_AT_A_TIME), Job(steps=6)))


def test_the_hosts_sampler_node_gets_its_answers_from_a_twin_without_weights(files: Path) -> None:
    job = Job(steps=6)
    guider = duet_guider(from_files(files, ONE_AT_A_TIME), job)
    before = len(models_with_weights())
    latent, denoised = run_in_node(guider, job)
    assert len(models_with_weights()) == before
    expected, expected_denoised = run_in_node(duet_guider(from_files(files, KEEP_BOTH), job), job)
    assert torch.equal(latent, expected)
    assert torch.equal(denoised, expected_denoised)


merges = pytest.mark.skipif(
    dynamic_vram.wanted() is not None, reason="under DynamicVRAM the host patches weights as it uses them"
)


@merges
def test_a_patch_on_an_expert_that_is_thrown_away_is_merged_without_a_backup(files: Path) -> None:
    key = "diffusion_model.blocks.0.self_attn.q.weight"

    def patch(patcher: Any) -> None:
        patcher.add_patches({key: ("diff", (torch.ones(128, 128),))}, 0.5)

    experts = from_files(files, ONE_AT_A_TIME)
    thrown_away, kept = (Expert(experts.high.handle, (patch,)).open(keep) for keep in (False, True))
    plain = from_files(files, KEEP_BOTH).high.open().model_state_dict()[key]
    assert not thrown_away.patches
    assert not thrown_away.backup
    assert torch.equal(thrown_away.model_state_dict()[key], plain + 0.5)
    assert kept.patches  # the host merges, and can take it back


@merges
def test_a_quantised_weight_is_replaced_as_its_module_wants_it(files: Path) -> None:
    name = "diffusion_model.blocks.0.self_attn.q"
    replaced: list[bool] = []

    def patch(patcher: Any) -> None:
        module = patcher.get_model_object(name)
        module.set_weight = lambda weight, inplace_update, seed, **_: replaced.append(inplace_update)
        patcher.add_patches({f"{name}.weight": ("diff", (torch.ones(128, 128),))}, 0.5)

    Expert(from_files(files, ONE_AT_A_TIME).high.handle, (patch,)).open(keep=False)
    assert replaced == [False]


def test_a_dynamic_patcher_keeps_its_patches_for_the_host_to_apply(files: Path) -> None:
    def patch(patcher: Any) -> None:
        patcher.is_dynamic = lambda: True
        patcher.add_patches({"diffusion_model.blocks.0.self_attn.q.weight": ("diff", (torch.ones(128, 128),))}, 0.5)

    assert Expert(from_files(files, ONE_AT_A_TIME).high.handle, (patch,)).open(keep=False).patches


def test_weights_that_somebody_else_holds_are_shared_and_not_merged_into(files: Path) -> None:
    experts = from_files(files, ONE_AT_A_TIME)
    model = experts.high.open()  # as Models From Experts does
    key = "diffusion_model.blocks.0.self_attn.q.weight"
    before = model.model_state_dict()[key].clone()

    def patch(patcher: Any) -> None:
        patcher.add_patches({key: ("diff", (torch.ones(128, 128),))}, 0.5)

    for _ in range(2):
        assert Expert(experts.high.handle, (patch,)).open(keep=False).model is model.model
    assert torch.equal(model.model_state_dict()[key], before)


def test_before_a_run_nothing_is_opened_that_is_not_to_stay(files: Path) -> None:
    guider = duet_guider(from_files(files, ONE_AT_A_TIME), Job())
    before = len(models_with_weights())
    assert guider.model_patcher.model.latent_format.latent_channels == 16
    assert len(models_with_weights()) == before


@pytest.mark.parametrize("residency", [KEEP_BOTH, ONE_AT_A_TIME])
def test_a_file_that_is_deleted_at_the_switch_ends_the_run_and_leaves_nothing(tmp_path: Path, residency: str) -> None:
    for name, seed in (("high", 0), ("other", 1)):
        save_file(transformer(seed), tmp_path / f"{name}.safetensors")
    guider = duet_guider(from_files(tmp_path, residency), Job(steps=6))
    before = len(models_with_weights())

    def delete(step: int, *_: Any) -> None:
        (tmp_path / "other.safetensors").unlink(missing_ok=True)

    with pytest.raises(FileNotFoundError, match=r"other\.safetensors is gone since it was chosen\. Put it back"):
        guider.sample(**Job(steps=6).arguments, callback=delete)
    assert len(models_with_weights()) - before == (1 if residency == KEEP_BOTH else 0)
    save_file(transformer(1), tmp_path / "other.safetensors")
    assert torch.isfinite(guider.sample(**Job(steps=6).arguments)).all()


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (MemoryError(), r"not enough memory to open high\.safetensors .*one at a time"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), r"not enough memory to open high\.safetensors"),
        (RuntimeError("DefaultCPUAllocator: not enough memory"), r"not enough memory to open high\.safetensors"),
        (RuntimeError("size mismatch"), "^size mismatch$"),
    ],
)
def test_too_little_memory_to_open_is_said_with_what_to_do(
    raised: Exception, expected: str, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise raised

    monkeypatch.setattr(comfy.sd, "load_diffusion_model", fail)
    with pytest.raises((MemoryError, RuntimeError), match=expected):
        from_files(files, KEEP_BOTH).high.open()
