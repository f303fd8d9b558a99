"""Values that are no numbers end a run in words, before anything more is read or made of them."""

from pathlib import Path
from typing import Any

import pytest
import torch
from comfy.model_patcher import ModelPatcher
from wan_duet.experts.checkpoint.contents import read_checkpoint
from wan_duet.experts.handle import FileHandle, ModelHandle
from wan_duet.experts.pair import Expert, Experts
from wan_duet.samplers.finite import NotFinite
from wan_duet.tests.samplers.runs import Job, duet, pair

JOB = Job("euler", steps=8)


def broken(patcher: Any, value: float = float("nan")) -> None:
    """A change after which the expert answers with one value that is no number."""

    def spoil(executor: Any, *args: Any, **kwargs: Any) -> torch.Tensor:
        found = executor(*args, **kwargs).clone()
        found[0, 3, 1, 2, 2] = value
        return found

    patcher.add_wrapper("apply_model", spoil)


def spoiled(model: ModelPatcher) -> ModelPatcher:
    clone = model.clone()
    broken(clone)
    return clone


def test_after_the_high_expert_the_low_file_is_not_read(high: ModelPatcher, files: Path) -> None:
    path = str(files / "other.safetensors")
    low = FileHandle(path, path, read_checkpoint(path))
    experts = Experts(Expert(ModelHandle(high, "high"), (broken,)), Expert(low))
    with pytest.raises(NotFinite, match=r"The high expert has made values that are no numbers .* by step \d of 8\."):
        duet(experts, JOB)
    assert not low.in_memory


@pytest.mark.parametrize("solver", ["euler", "dpmpp_2m", "uni_pc", "heunpp2"])
def test_the_step_is_that_of_the_switch(solver: str, high: ModelPatcher, other: ModelPatcher) -> None:
    job = Job(solver, steps=8)
    first_low = job.plan.roles().index("low")
    with pytest.raises(NotFinite, match=rf"The high expert .* by step {first_low} of 8"):
        duet(pair(spoiled(high), other), job)


def test_after_the_low_expert_nothing_is_given_out(high: ModelPatcher, other: ModelPatcher) -> None:
    with pytest.raises(NotFinite, match=r"The low expert has made values that are no numbers .* by step 8 of 8"):
        duet(pair(high, spoiled(other)), JOB)


def test_a_connected_latent_is_not_blamed_on_an_expert(high: ModelPatcher, other: ModelPatcher) -> None:
    latent = torch.zeros_like(JOB.latent)
    latent[0, 0, 0, 0, 0] = float("inf")
    with pytest.raises(NotFinite, match="The connected latent holds values that are no numbers"):
        duet(pair(high, other), Job("euler", steps=8, strength=0.5, latent=latent))
