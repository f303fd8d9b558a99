"""What only hosts of 2026 have, played by stand-ins on others: mapped weights, latent shapes, schedules."""

from functools import partial
from typing import Any

import comfy.ldm.wan.model as wan
import pytest
import torch
from comfy.model_management import load_models_gpu
from comfy.model_patcher import ModelPatcher
from comfy.patcher_extension import CallbacksMP
from comfyui_version import __version__
from wan_duet.experts.pair import Experts
from wan_duet.host.patching import is_dynamic
from wan_duet.samplers.shift import flow_sampling
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


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ((0.95, 0.9, 0.7, 0.0), [[True, None], [True, None], [False, True]]),
        ((0.8, 0.95, 0.9, 0.7, 0.0), [[None, True], [True, False], [True, False], [False, True]]),
    ],
    ids=["high first", "back and forth"],
)
def test_the_host_is_told_which_dynamic_expert_is_idle(
    given: tuple[float, ...],
    expected: list[list[bool | None]],
    high: ModelPatcher,
    other: ModelPatcher,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    job = Job("euler", given=given)
    in_use: dict[object, bool] = {}
    seen: list[list[bool | None]] = []

    def mark(patcher: ModelPatcher, used: bool) -> None:
        in_use[patcher.model] = used

    def note(*_: object) -> None:
        seen.append([in_use.get(model.model) for model in (high, other)])

    monkeypatch.setattr(DynamicPatcher, "set_in_use_by_current_prompt", mark, raising=False)
    guider = duet_guider(pair(DynamicPatcher.of(high), DynamicPatcher.of(other)), job)
    guider.sample(**job.arguments, callback=note)
    assert seen == expected
    assert in_use == {high.model: False, other.model: False}


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


class LeakyPatcher(ModelPatcher):
    """As under DynamicVRAM until 0.46: buffers are backed up by their path, and put back at the next load."""

    backup_buffers: dict[str, torch.Tensor]

    @classmethod
    def of(cls, model: ModelPatcher) -> "LeakyPatcher":
        patcher = model.clone()
        patcher.__class__ = cls
        patcher.backup_buffers = {}
        return patcher

    def clone(self) -> "LeakyPatcher":
        patcher = super().clone()
        patcher.backup_buffers = self.backup_buffers
        return patcher

    def partially_load(self, *args: Any, **kwargs: Any) -> Any:
        found = super().partially_load(*args, **kwargs)
        sampling = self.model.model_sampling
        sampling.sigmas = self.backup_buffers.pop("model_sampling.sigmas", sampling.sigmas)
        self.backup_buffers["model_sampling.sigmas"] = sampling.sigmas
        sampling.sigmas = sampling.sigmas.clone()
        for callback in self.get_all_callbacks(CallbacksMP.ON_LOAD):
            callback(self, self.load_device, 0, False, False)
        return found


def schedules(experts: Experts, job: Job) -> list[torch.Tensor]:
    """The sigma table that the high expert's model has at each step of a run."""
    seen: list[torch.Tensor] = []

    def note(*_: object) -> None:
        seen.append(experts.high.handle.open().model.model_sampling.sigmas.clone())

    duet_guider(experts, job).sample(**job.arguments, callback=note)
    return seen


@pytest.mark.parametrize("stock_first", [False, True])
def test_runs_with_shifts_of_their_own_leave_each_other_and_the_model_their_schedules(
    stock_first: bool, high: ModelPatcher, other: ModelPatcher
) -> None:
    model = high if is_dynamic(high) else LeakyPatcher.of(high)
    table = model.model.model_sampling.sigmas.clone()
    if stock_first:
        load_models_gpu([model])
    for shift in (3.0, 9.0):
        seen = schedules(pair(model, other), Job("euler", steps=4, shift=shift))
        assert torch.equal(seen[0], flow_sampling(shift).sigmas)
    load_models_gpu([model])
    assert torch.equal(model.model.model_sampling.sigmas, table)


class Container:
    """As from 0.40 on, an operand of attention comes in something that gives it away only once."""

    def __init__(self, tensor: torch.Tensor) -> None:
        self.tensor: torch.Tensor | None = tensor

    def take(self) -> torch.Tensor:
        tensor, self.tensor = self.tensor, None
        assert tensor is not None, "somebody has looked into it before"
        return tensor


def test_attention_gets_its_operands_as_the_host_hands_them_over(
    high: ModelPatcher, twin: ModelPatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    attend, called = wan.optimized_attention, []

    def in_containers(q: Any, k: Any, v: Any, *args: Any, transformer_options: dict[str, Any], **kwargs: Any) -> Any:
        override = transformer_options["optimized_attention_override"]
        return override(attend, *map(Container, (q, k, v)), *args, transformer_options=transformer_options, **kwargs)

    def override(name: str, attend: Any, q: Any, k: Any, v: Any, *args: Any, **kwargs: Any) -> Any:
        called.append(name)
        kwargs["transformer_options"] = {}  # or it would be asked for once more
        return attend(q.take(), k.take(), v.take(), *args, **kwargs)

    wanted = plain(high, JOB)
    monkeypatch.setattr(wan, "optimized_attention", in_containers)
    models = high.clone(), twin.clone()
    for name, model in zip(("high", "low"), models, strict=True):
        model.model_options["transformer_options"]["optimized_attention_override"] = partial(override, name)
    assert torch.equal(duet(pair(*models), JOB), wanted)
    assert {*called} == {"high", "low"}
    assert called == sorted(called), "each expert keeps its own override to its own steps"
