"""Each expert reads its own frame images, with and without cfg; an expert that would ignore them is refused."""

from typing import Any

import comfy.sd
import pytest
import torch
from comfy.model_patcher import ModelPatcher
from comfy.patcher_extension import WrappersMP
from safetensors.torch import save_file
from torch import Tensor
from wan_duet.dev.tiny import transformer
from wan_duet.experts.handle import MissingHandle, ModelHandle
from wan_duet.experts.pair import Expert, Experts
from wan_duet.samplers.conds import FOR_LOW, FRAMES, for_expert
from wan_duet.tests.samplers.runs import SIZE, Job, duet_guider, pair, prompt, random

LATENT = random(1, 16, *SIZE[2:], seed=8)
BELOW, ABOVE = 0.25, 0.75  # what the masks hold, so that they are told apart


def values(mask: float) -> dict[str, Any]:
    return {FRAMES: LATENT, "concat_mask": torch.full((1, 4, *SIZE[2:]), 1 - mask)}


@pytest.fixture(scope="module")
def i2v(tmp_path_factory: pytest.TempPathFactory) -> list[ModelPatcher]:
    """Two different I2V experts."""
    folder = tmp_path_factory.mktemp("i2v")
    for seed in (0, 1):
        save_file(transformer(seed, in_dim=36), folder / f"{seed}.safetensors")
    return [comfy.sd.load_diffusion_model(str(folder / f"{seed}.safetensors")) for seed in (0, 1)]


def watched(model: ModelPatcher, seen: list[float]) -> ModelPatcher:
    """A clone that notes the mask of every latent it is given."""
    clone = model.clone()

    def note(executor: Any, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        seen.extend(sample[16, 0, 0, 0].item() for sample in x)
        return executor(x, *args, **kwargs)

    clone.add_wrapper(WrappersMP.DIFFUSION_MODEL, note)
    return clone


@pytest.mark.parametrize("strength", [1.0, 0.4])
def test_each_expert_sees_its_own_frames_in_both_prompts(i2v: list[ModelPatcher], strength: float) -> None:
    seen: tuple[list[float], list[float]] = ([], [])
    both = {**values(ABOVE), FOR_LOW: values(BELOW)}
    job = Job(steps=8, strength=strength, positive=prompt(1, **both), negative=prompt(2, **both))
    experts = pair(*(watched(model, noted) for model, noted in zip(i2v, seen, strict=True)))
    guider = duet_guider(experts, job)
    guider.sample(**job.arguments)
    assert [len(noted) for noted in seen] == [2 * guider.evaluations[role] for role in ("high", "low")]
    assert set(seen[0]) <= {ABOVE} and set(seen[1]) == {BELOW}
    assert bool(seen[0]) == (strength == 1)


def test_the_low_values_count_as_if_they_had_been_given_alone(i2v: list[ModelPatcher]) -> None:
    """Below the boundary only the low values are read."""
    results = []
    for given in ({**values(ABOVE), FOR_LOW: values(BELOW)}, values(BELOW)):
        job = Job(steps=8, strength=0.4, positive=prompt(1, **given), negative=prompt(2, **given))
        results.append(duet_guider(pair(*i2v), job).sample(**job.arguments))
    assert torch.equal(*results)


def test_conds_without_values_for_the_low_expert_stay_as_they_are() -> None:
    conds = {"positive": [{FRAMES: LATENT, "strength": 1.0}], "negative": [{"strength": 0.5}]}
    assert for_expert(conds, "low") == for_expert(conds, "high") == conds


@pytest.mark.parametrize("name", ["positive", "negative"])
def test_experts_that_would_ignore_the_frames_are_refused_when_they_meet(
    high: ModelPatcher, other: ModelPatcher, name: str
) -> None:
    job = Job(**{name: prompt(1, **values(1.0))})
    with pytest.raises(ValueError, match=f"^{name} carries frame images, but high is T2V A14B.*Load an I2V pair"):
        duet_guider(pair(high, other), job)


def test_frames_are_no_matter_where_no_file_can_be_read(i2v: list[ModelPatcher]) -> None:
    job = Job(positive=prompt(1, **values(1.0)))
    duet_guider(pair(*i2v), job)
    duet_guider(Experts(Expert(MissingHandle("gone", "gone")), Expert(ModelHandle(i2v[1], "low"))), job)


def test_frames_of_another_size_than_the_latent_are_refused(i2v: list[ModelPatcher]) -> None:
    job = Job(positive=prompt(1, **values(1.0)), latent=torch.zeros(1, 16, 3, 8, 10))
    with pytest.raises(ValueError, match=r"in positive are of 3x8x8 .*, the latent is of 3x8x10\. Take both"):
        duet_guider(pair(*i2v), job).sample(**job.arguments)
