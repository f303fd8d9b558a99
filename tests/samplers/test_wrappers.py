"""Wrappers of the host, put on either MODEL, run for their own model, and once."""

from collections.abc import Callable
from typing import Any

import comfy.samplers
import pytest
import torch
from comfy.model_patcher import ModelPatcher
from comfy.patcher_extension import CallbacksMP, WrappersMP
from torch import Tensor
from wan_duet.samplers.run import DuetRun
from wan_duet.tests.samplers.runs import SIZE, Job, duet, duet_guider, pair, random

Note = tuple[str, Any]
JOB = Job("euler")
BELOW = Job("euler", strength=0.4, latent=random(*SIZE, seed=3))


@pytest.fixture
def notes() -> list[Note]:
    """What the wrappers of a test have seen, in order."""
    return []


@pytest.fixture
def noting(notes: list[Note]) -> Callable[..., ModelPatcher]:
    """Puts a wrapper on a clone of a MODEL which notes its call, what `seen` makes of it, and its end."""

    def put(
        model: ModelPatcher, kind: str, key: str, seen: Callable[..., Any] = lambda executor, *_: None
    ) -> ModelPatcher:
        def wrapper(executor: Any, *args: Any, **kwargs: Any) -> Any:
            notes.append((key, seen(executor, *args)))
            try:
                return executor(*args, **kwargs)
            finally:
                notes.append((f"{key} ends", None))

        model = model.clone()
        model.add_wrapper_with_key(kind, key, wrapper)
        return model

    return put


def begun(notes: list[Note], key: str) -> list[Any]:
    return [seen for name, seen in notes if name == key]


@pytest.mark.parametrize("kind", [WrappersMP.PREDICT_NOISE, WrappersMP.CALC_COND_BATCH, WrappersMP.APPLY_MODEL])
def test_wrappers_of_an_evaluation_run_in_their_experts_stage_only(
    kind: str, high: ModelPatcher, other: ModelPatcher, noting: Callable[..., ModelPatcher], notes: list[Note]
) -> None:
    position = {WrappersMP.PREDICT_NOISE: 1, WrappersMP.CALC_COND_BATCH: 3, WrappersMP.APPLY_MODEL: 1}[kind]

    def sigma(executor: Any, *args: Any) -> float:
        return args[position].max().item()

    duet(pair(noting(high, kind, "high", sigma), noting(other, kind, "low", sigma)), JOB)
    steps = list(torch.tensor(JOB.sigmas[:-1]).tolist())
    assert begun(notes, "high") == steps[:11]
    assert begun(notes, "low") == steps[11:]


@pytest.mark.parametrize("job", [JOB, BELOW], ids=["high leads", "low leads"])
def test_outer_wrappers_of_both_experts_surround_the_whole_run(
    job: Job, high: ModelPatcher, other: ModelPatcher, noting: Callable[..., ModelPatcher], notes: list[Note]
) -> None:
    def base_model(executor: Any, *_: Any) -> Any:
        return executor.class_obj.model_patcher.model

    first = noting(high, WrappersMP.OUTER_SAMPLE, "high", base_model)
    second = noting(other, WrappersMP.OUTER_SAMPLE, "low", base_model)
    arguments = job.arguments
    duet_guider(pair(first, second), job).sample(**arguments, callback=lambda step, *_: notes.append(("step", step)))
    assert begun(notes, "high") == [high.model]
    assert begun(notes, "low") == [other.model]
    assert begun(notes, "step") == list(range(len(job.sigmas) - 1))
    assert {name for name, _ in notes[:2]} == {"high", "low"}
    assert {name for name, _ in notes[-2:]} == {"high ends", "low ends"}


def test_an_outer_wrapper_may_change_the_options_of_its_expert(high: ModelPatcher, other: ModelPatcher) -> None:
    """EasyCache and its like put the state of a run into the options of the guider they are given."""
    seen: dict[str, list[str]] = {"high": [], "low": []}

    def prepared(model: ModelPatcher, role: str) -> ModelPatcher:
        def outer(executor: Any, *args: Any, **kwargs: Any) -> Any:
            guider = executor.class_obj
            before = guider.model_options
            guider.model_options = {**before, "transformer_options": {**before["transformer_options"], "mine": role}}
            try:
                return executor(*args, **kwargs)
            finally:
                guider.model_options = before

        def calc(executor: Any, *args: Any) -> Any:
            seen[role].append(args[-1]["transformer_options"]["mine"])
            return executor(*args)

        model = model.clone()
        model.add_wrapper_with_key(WrappersMP.OUTER_SAMPLE, "mine", outer)
        model.add_wrapper_with_key(WrappersMP.CALC_COND_BATCH, "mine", calc)
        return model

    duet(pair(prepared(high, "high"), prepared(other, "low")), JOB)
    assert seen == {"high": ["high"] * 11, "low": ["low"] * 9}


@pytest.mark.parametrize(("keys", "calls"), [(("same", "same"), 1), (("of high", "of low"), 2), ((None, None), 2)])
def test_sampler_wrappers_run_once_a_key(
    keys: tuple[str | None, str | None],
    calls: int,
    high: ModelPatcher,
    other: ModelPatcher,
    noting: Callable[..., ModelPatcher],
    notes: list[Note],
) -> None:
    models = [noting(model, WrappersMP.SAMPLER_SAMPLE, key) for model, key in zip((high, other), keys, strict=True)]
    duet(pair(*models), JOB)
    assert sum(len(begun(notes, key)) for key in set(keys)) == calls


def test_a_sampler_wrapper_of_the_second_expert_gets_what_the_host_gives(
    high: ModelPatcher, other: ModelPatcher, noting: Callable[..., ModelPatcher], notes: list[Note]
) -> None:
    def arguments(executor: Any, guider: Any, sigmas: Any, extra: Any, *_: Any) -> Any:
        return type(guider), tuple(sigmas.tolist()), sorted(extra), hasattr(executor.class_obj, "sampler_function")

    expected = [(DuetRun, JOB.sigmas, ["model_options", "seed"], True)]
    duet(pair(high, noting(other, WrappersMP.SAMPLER_SAMPLE, "low", arguments)), JOB)
    assert begun(notes, "low") == expected
    duet(pair(noting(high, WrappersMP.SAMPLER_SAMPLE, "high", arguments), other), JOB)
    assert begun(notes, "high") == expected


def test_callbacks_of_each_model_run_once(high: ModelPatcher, other: ModelPatcher) -> None:
    calls: list[str] = []
    models = []
    for model, role in ((high, "high"), (other, "low")):
        model = model.clone()
        model.add_callback(CallbacksMP.ON_PRE_RUN, lambda _, role=role: calls.append(f"{role} begins"))
        model.add_callback(CallbacksMP.ON_CLEANUP, lambda _, role=role: calls.append(f"{role} ends"))
        models.append(model)
    duet(pair(*models), Job("heunpp2"))
    assert sorted(calls) == ["high begins", "high ends", "low begins", "low ends"]


def test_clones_of_one_model_are_told_of_the_evaluations_of_their_own_stage(high: ModelPatcher) -> None:
    told: dict[str, list[float]] = {"high": [], "low": []}
    models = []
    for role in told:
        model = high.clone()
        model.add_callback_with_key(
            CallbacksMP.ON_PREPARE_STATE, "note", lambda _, sigma, *__, role=role: told[role].append(sigma.max().item())
        )
        models.append(model)
    job = Job("euler", given=(1.0, 0.75, 0.9375, 0.5, 0.0))
    duet(pair(*models), job)
    assert told == {"high": [1.0, 0.9375], "low": [0.75, 0.5]}


def test_functions_set_on_one_model_stay_in_its_stage(high: ModelPatcher, other: ModelPatcher) -> None:
    called: dict[str, list[float]] = {"high cfg": [], "high post": [], "low model": []}

    def cfg(call: dict[str, Any]) -> Tensor:
        called["high cfg"].append(call["sigma"].max().item())
        return call["cond"]

    def post(call: dict[str, Any]) -> Tensor:
        called["high post"].append(call["sigma"].max().item())
        return call["denoised"]

    def model(apply: Any, call: dict[str, Any]) -> Tensor:
        called["low model"].append(call["timestep"].max().item())
        return apply(call["input"], call["timestep"], **call["c"])

    first, second = high.clone(), other.clone()
    first.set_model_sampler_cfg_function(cfg)
    first.set_model_sampler_post_cfg_function(post)
    second.set_model_unet_function_wrapper(model)
    duet(pair(first, second), JOB)
    steps = list(JOB.sigmas[:-1])
    assert called == {"high cfg": steps[:11], "high post": steps[:11], "low model": steps[11:]}


def test_what_a_sampler_adds_reaches_both_experts(high: ModelPatcher, other: ModelPatcher) -> None:
    seen: list[float] = []

    def note(call: dict[str, Any]) -> Tensor:
        seen.append(call["sigma"].max().item())
        return call["denoised"]

    def sampler(
        model: Any, x: torch.Tensor, sigmas: torch.Tensor, extra_args: dict[str, Any], **_: Any
    ) -> torch.Tensor:
        options = {**extra_args["model_options"], "sampler_post_cfg_function": [note]}
        for sigma in sigmas[:-1]:
            model(x, sigma[None], **extra_args | {"model_options": options})
        return x

    arguments = JOB.arguments | {"sampler": comfy.samplers.KSAMPLER(sampler)}
    duet_guider(pair(high, other), JOB).sample(**arguments)
    assert seen == list(JOB.sigmas[:-1])
