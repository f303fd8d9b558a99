"""What only hosts of 2026 have, played by stand-ins: patchers that keep weights mapped, latent shapes on the model."""

from typing import Any

import pytest
import torch
from comfy.model_patcher import ModelPatcher
from comfyui_version import __version__
from wan_duet.tests.samplers.runs import Job, duet, duet_guider, hooked, pair, plain

JOB = Job("euler")


class DynamicPatcher(ModelPatcher):
    """Like ModelPatcherDynamic: can't apply weight hooks, but names a patcher of the same model that can."""

    delegates: list[ModelPatcher]

    @classmethod
    def of(cls, model: ModelPatcher) -> "DynamicPatcher":
        patcher = model.clone()
        patcher.__class__ = cls
        patcher.delegates = []
        return patcher

    def clone(self) -> "DynamicPatcher":
        patcher = super().clone()
        patcher.delegates = self.delegates
        return patcher

    def is_dynamic(self) -> bool:
        return True

    def get_non_dynamic_delegate(self) -> ModelPatcher:
        delegate = self.clone()
        delegate.__class__ = ModelPatcher
        self.delegates.append(delegate)
        return delegate

    def register_all_hook_patches(self, hooks: Any, *args: Any, **kwargs: Any) -> None:
        if len(hooks):
            raise RuntimeError("a dynamic patcher can't apply weight hooks")
        super().register_all_hook_patches(hooks, *args, **kwargs)


@pytest.mark.parametrize("in_prompt", ["positive", "negative"])
def test_with_hooks_each_dynamic_expert_is_sampled_by_its_delegate(
    in_prompt: str, high: ModelPatcher, twin: ModelPatcher
) -> None:
    job = Job("dpmpp_2m", **{in_prompt: hooked()})
    first, second = DynamicPatcher.of(high), DynamicPatcher.of(twin)
    assert torch.equal(duet(pair(first, second), job), plain(high, job))
    assert [delegate.model for delegate in first.delegates] == [high.model]
    assert [delegate.model for delegate in second.delegates] == [twin.model]


def test_the_host_sees_the_delegate_before_the_run(high: ModelPatcher, twin: ModelPatcher) -> None:
    first = DynamicPatcher.of(high)
    guider = duet_guider(pair(first, DynamicPatcher.of(twin)), Job(positive=hooked()))
    assert guider.model_patcher in first.delegates


def test_without_hooks_dynamic_experts_stay_dynamic(high: ModelPatcher, twin: ModelPatcher) -> None:
    first, second = DynamicPatcher.of(high), DynamicPatcher.of(twin)
    assert torch.equal(duet(pair(first, second), JOB), plain(high, JOB))
    assert first.delegates == second.delegates == []


def test_latent_shapes_on_a_model_are_those_of_the_run_when_its_stage_begins(
    high: ModelPatcher, other: ModelPatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, own = Job("euler", given=(0.8, 0.95, 0.9, 0.7, 0.0)), hasattr(high.model, "latent_shapes")
    seen: list[Any] = []

    def note(step: int, *_: object) -> None:
        seen.append([high.model.latent_shapes, other.model.latent_shapes])

    for model in (high, other):
        monkeypatch.setattr(model.model, "latent_shapes", None, raising=False)
    duet_guider(pair(high, other), job).sample(**job.arguments, callback=note)
    shapes = [job.latent.shape]
    lead = shapes if own else None  # the low expert leads, and its first stage is the host's own business
    assert seen == [[None, lead], [shapes, lead], [shapes, lead], [shapes, shapes]]


def test_hosts_without_latent_shapes_on_the_model_get_none(high: ModelPatcher, other: ModelPatcher) -> None:
    if hasattr(other.model, "latent_shapes"):
        pytest.skip(f"ComfyUI {__version__} has latent shapes on the model")
    duet(pair(high, other), JOB)
    assert not hasattr(other.model, "latent_shapes")
