"""Whatever ends a run, nothing of it stays behind: not in the MODELs, not in the guider."""

import gc
from collections.abc import Callable
from typing import Any

import comfy.model_management
import pytest
import torch
from comfy.model_management import InterruptProcessingException
from comfy.model_patcher import ModelPatcher
from comfy.patcher_extension import CallbacksMP, WrappersMP
from torch import Tensor
from wan_duet.cache.run import StepCache, with_cache
from wan_duet.cache.settings import CacheSettings
from wan_duet.cache.techniques.dual_block import DualBlock
from wan_duet.samplers.guider import DuetGuider
from wan_duet.tests.samplers.runs import Job, duet, duet_guider, hooked, pair, plain, shifted, with_lora

JOB = Job("dpmpp_2m", positive=hooked())
STEP = {"high": 4, "low": 15}  # one of each stage: 11 of 20 are high


class Accident(Exception):
    """What goes wrong."""


class Trap:
    """A wrapper that lets every call through, until it is set for one of the calls to come."""

    calls_left = -1

    def __call__(self, call: Callable[..., Tensor], *args: Any, **kwargs: Any) -> Tensor:
        self.calls_left -= 1
        if self.calls_left == 0:
            raise Accident
        return call(*args, **kwargs)


class Models:
    """A pair with all that a run could disturb, and ways to end one."""

    def __init__(self, high: ModelPatcher, low: ModelPatcher) -> None:
        self.traps: dict[tuple[str, str], Trap] = {}
        self.by_role = {"high": self._laden(high, "high"), "low": self._laden(low, "low")}
        self.experts = pair(*self.by_role.values())

    def _laden(self, model: ModelPatcher, role: str) -> ModelPatcher:
        model = shifted(with_lora(model))
        model.model_options["transformer_options"]["note"] = role
        model.add_callback_with_key(CallbacksMP.ON_PRE_RUN, "note", id)
        for kind in (WrappersMP.APPLY_MODEL, WrappersMP.DIFFUSION_MODEL):
            self.traps[role, kind] = Trap()
            model.add_wrapper_with_key(kind, "trap", self.traps[role, kind])
        return model

    def end_in_the_model(self, guider: DuetGuider, role: str) -> None:
        self._end_in_a_wrapper(guider, role, WrappersMP.APPLY_MODEL)

    def end_in_the_network(self, guider: DuetGuider, role: str) -> None:
        self._end_in_a_wrapper(guider, role, WrappersMP.DIFFUSION_MODEL)

    def _end_in_a_wrapper(self, guider: DuetGuider, role: str, kind: str) -> None:
        self.traps[role, kind].calls_left = 3
        with pytest.raises(Accident):
            guider.sample(**JOB.arguments)

    def end_in_the_callback(self, guider: DuetGuider, role: str) -> None:
        def fail(step: int, *_: object) -> None:
            if step == STEP[role]:
                raise Accident

        with pytest.raises(Accident):
            guider.sample(**JOB.arguments, callback=fail)

    def interrupt(self, guider: DuetGuider, role: str) -> None:
        def ask(step: int, *_: object) -> None:
            if step == STEP[role]:
                comfy.model_management.interrupt_current_processing()
            comfy.model_management.throw_exception_if_processing_interrupted()

        with pytest.raises(InterruptProcessingException):
            guider.sample(**JOB.arguments, callback=ask)

    def let_it_end(self, guider: DuetGuider, role: str) -> None:
        guider.sample(**JOB.arguments)


ENDINGS = [Models.end_in_the_model, Models.end_in_the_network, Models.end_in_the_callback, Models.interrupt]
Ending = Callable[[Models, DuetGuider, str], None]


@pytest.fixture(scope="module")
def models(high: ModelPatcher, other: ModelPatcher) -> Models:
    return Models(high, other)


@pytest.fixture(scope="module")
def first_run(models: Models) -> Tensor:
    return duet(models.experts, JOB)


def identities(value: Any) -> Any:
    """The shape of nested dicts and lists, and which objects they hold."""
    if isinstance(value, dict):
        return {key: identities(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [identities(item) for item in value]
    return id(value)


def traces(model: ModelPatcher) -> dict[str, Any]:
    """All that a run could leave on a MODEL, once the host has moved its weights out."""
    comfy.model_management.unload_all_models()
    kept = ("wrappers", "callbacks", "patches", "object_patches", "model_options", "hook_mode")
    hooks = ("hook_patches", "hook_patches_backup", "hook_backup", "cached_hook_patches", "current_hooks")
    found = {name: identities(getattr(model, name)) for name in (*kept, *hooks)}
    return found | {"modules": [(name, id(module)) for name, module in model.model.named_modules()]}


@pytest.mark.parametrize("role", STEP)
@pytest.mark.parametrize("ending", ENDINGS)
def test_the_run_after_an_ended_one_is_the_first_run_again(
    ending: Ending, role: str, models: Models, first_run: Tensor
) -> None:
    guider = duet_guider(models.experts, JOB)
    ending(models, guider, role)
    assert torch.equal(guider.sample(**JOB.arguments), first_run)
    assert torch.equal(duet(models.experts, JOB), first_run)


@pytest.mark.parametrize("role", STEP)
@pytest.mark.parametrize("ending", [*ENDINGS, Models.let_it_end])
def test_the_models_carry_no_trace_of_a_run(ending: Ending, role: str, models: Models) -> None:
    model = models.by_role[role]
    alone = plain(model, JOB)
    before = traces(model)
    ending(models, duet_guider(models.experts, JOB), role)
    assert model.model.current_patcher is None
    assert traces(model) == before
    assert torch.equal(plain(model, JOB), alone)


def latents_in_memory() -> int:
    gc.collect()
    return sum(type(found) is Tensor and found.shape[-3:] == JOB.latent.shape[-3:] for found in gc.get_objects())


@pytest.mark.parametrize("role", STEP)
@pytest.mark.parametrize("ending", [*ENDINGS, Models.let_it_end])
def test_no_latent_outlives_its_run(ending: Ending, role: str, models: Models) -> None:
    guider = duet_guider(models.experts, JOB)
    before = latents_in_memory()
    ending(models, guider, role)
    assert latents_in_memory() == before


@pytest.mark.parametrize("cached", [False, True], ids=["plain", "cached"])
@pytest.mark.parametrize("role", STEP)
def test_an_interrupt_in_a_block_ends_the_run_before_the_next_block_is_done(
    role: str, cached: bool, high: ModelPatcher, other: ModelPatcher
) -> None:
    """ComfyUI checks in every linear layer, so that no check of ours is needed between the blocks."""
    done: list[int] = []
    models = {"high": high.clone(), "low": other.clone()}

    def watch(number: int) -> Callable[..., dict[str, Any]]:
        def run(args: dict[str, Any], extra: dict[str, Any]) -> dict[str, Any]:
            result = extra["original_block"](args)
            done.append(number)
            if number == 0:
                comfy.model_management.interrupt_current_processing()
            return result

        return run

    for number in range(len(high.model.diffusion_model.blocks)):
        models[role].set_model_patch_replace(watch(number), "dit", "double_block", number)
    experts = pair(*models.values())
    if cached:
        experts = with_cache(experts, StepCache(DualBlock(1), CacheSettings(0.1)))
    with pytest.raises(InterruptProcessingException):
        duet_guider(experts, Job()).sample(**Job().arguments)
    assert done == [0]
