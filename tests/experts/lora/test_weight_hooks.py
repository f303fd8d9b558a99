"""A strength that changes within a stage: at every step, the answers of a pair merged at just that strength."""

import gc
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from comfy.model_patcher import ModelPatcher
from comfy.patcher_extension import WrapperExecutor
from wan_duet.experts.handle import ModelHandle
from wan_duet.experts.lora import weight_hooks
from wan_duet.experts.lora.apply import apply_loras
from wan_duet.experts.lora.spec import LoraSpec
from wan_duet.experts.pair import Expert, Experts
from wan_duet.host.patching import is_dynamic
from wan_duet.samplers.guider import DuetGuider
from wan_duet.samplers.lora_schedule import resolve_loras
from wan_duet.samplers.plan import Phase, Plan
from wan_duet.tests.experts.lora.answers import HIGH, LOW, PAIR, SIGMAS, Answers, answers, changed, same
from wan_duet.tests.experts.lora.layouts import LAYOUTS
from wan_duet.tests.experts.lora.test_verify import Broken, Hidden, Int8, Packed, with_layers

SMALL = 16 * 1024  # bytes
ROLES = ("high", "low")
A, B, DORA = "a.safetensors", "b.safetensors", "dora.safetensors"
NOT_FOR_BOTH = {
    "diffusers_low_only",
    "stand_in",
    "family_5b",
    "family_5b_lokr",
    "other_model_flux",
    "other_model_hunyuan",
    "empty_file",
}
THREE = (Phase("high", 2.0, 0.985), Phase("high", 2.0, 0.875), Phase("low", 2.0))


@pytest.fixture
def run(pair: Experts, loras: Callable, file_of: Callable) -> Callable[..., Answers]:
    """The answers of the pair with these rows on it."""
    loras(A, file_of("lightx2v_diff", seed=1))
    loras(B, file_of("native_peft", seed=2))
    return lambda *rows, **settings: answers(apply_loras(pair, rows)[0], **settings)


def at_each_step(run: Callable, *rows: tuple[LoraSpec, ...], **settings) -> Answers:
    """One answer a step, each from a run of its own with rows whose strength never changes."""
    return [run(*constant, **settings)[step] for step, constant in enumerate(rows)]


def rows_of(file: str, *strengths: float) -> list[tuple[LoraSpec, ...]]:
    return [(LoraSpec(file, strength=strength),) for strength in strengths]


@pytest.mark.parametrize(
    ("schedule", "strengths"),
    [
        ("0.9,0.4;1,-2", (0.9, 0.4, 1, -2)),
        ("0.9,0.4;1", (0.9, 0.4, 1, 1)),
        ("1;0,1", (1, 1, 0, 1)),
        ("0.25,0.5,0.75,1", (0.25, 0.5, 0.75, 1)),
        ("1,0", (1, 1, 0, 0)),
    ],
)
def test_the_strength_in_force_is_the_schedules_at_each_step(
    schedule: str, strengths: tuple[float, ...], run: Callable
) -> None:
    found = run(LoraSpec(A, schedule=schedule))
    assert same(found, at_each_step(run, *rows_of(A, *strengths)))
    assert changed(run(LoraSpec(A))[HIGH], run(LoraSpec(A, strength=0.25))[HIGH])


@pytest.mark.parametrize("layout", [layout.name for layout in LAYOUTS if layout.name not in NOT_FOR_BOTH])
def test_every_layout_can_change_within_a_stage(layout: str, run: Callable, loras: Callable, file_of: Callable) -> None:
    loras(A, file_of(layout, seed=3))
    assert same(run(LoraSpec(A, schedule="0.5,1;0.5,0")), at_each_step(run, *rows_of(A, 0.5, 1.0, 0.5, 0.0)))


def test_several_schedules_add_up(run: Callable) -> None:
    found = run(LoraSpec(A, schedule="0.5,1;0"), LoraSpec(B, strength=2, schedule="1,0.5;1"))
    expected = at_each_step(
        run,
        (LoraSpec(A, strength=0.5), LoraSpec(B, strength=2)),
        (LoraSpec(A, strength=1), LoraSpec(B, strength=1)),
        *[(LoraSpec(B, strength=2),)] * 2,
    )
    for one, other in zip(found, expected, strict=True):
        assert (one - other).norm() <= 1e-6 * other.norm()


def test_a_schedule_and_a_constant_row_of_one_file_add_up(run: Callable) -> None:
    found = run(LoraSpec(A, schedule="0,1;0"), LoraSpec(A, strength=0.5))
    for one, other in zip(found, at_each_step(run, *rows_of(A, 0.5, 1.5, 0.5, 0.5)), strict=True):
        assert (one - other).norm() <= 1e-6 * other.norm()


def test_strength_zero_is_bit_identical_to_no_row(run: Callable) -> None:
    plain, found = run(), run(LoraSpec(A, schedule="0,1;0,1"))
    assert same(found[::2], plain[::2])
    assert changed(found[1::2], plain[1::2])


def test_a_schedule_on_one_expert_leaves_the_other_bit_identical(run: Callable) -> None:
    plain = run()
    assert same(run(LoraSpec(A, expert="high", schedule="0.5,1;1"))[LOW], plain[LOW])
    assert same(run(LoraSpec(A, expert="low", schedule="1;0.5,1"))[HIGH], plain[HIGH])


def test_nothing_leaks_to_another_branch_that_uses_the_same_file(run: Callable) -> None:
    plain, constant = run(), run(LoraSpec(A))
    scheduled = run(LoraSpec(A, schedule="0.5,1;0.2,1"))
    assert same(run(), plain)
    assert same(run(LoraSpec(A)), constant)
    assert same(run(LoraSpec(A, schedule="0.5,1;0.2,1")), scheduled)
    assert same(run(), plain)


def test_the_experts_are_as_they_were_afterwards(run: Callable, pair: Experts) -> None:
    def weights() -> dict[str, torch.Tensor]:
        return {
            f"{role}.{name}": weight.clone()
            for role in ("high", "low")
            for name, weight in pair[role].handle.open().model.state_dict().items()
        }

    run()
    before = weights()
    run(LoraSpec(A, schedule="0.5,1;0.2,1"))
    run()
    after = weights()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_sampler_that_asks_within_a_step_gets_that_steps_strength(run: Callable) -> None:
    asked = (0.97, 0.96, 0.95, 0.93)  # between the first sigma and the second, then on and below the second
    found = run(LoraSpec(A, schedule="0.5,1;0"), asked=asked)
    for sigma, strength, answer in zip(asked, (0.5, 0.5, 1.0, 1.0), found, strict=True):
        assert torch.equal(answer, run(LoraSpec(A, strength=strength), asked=(sigma,))[0])


def test_a_schedule_follows_the_sigmas_the_run_was_given(pair: Experts, run: Callable) -> None:
    experts = resolve_loras(apply_loras(pair, (LoraSpec(A, schedule="0.5,1;0"),))[0], Plan(SIGMAS, 5.0, PAIR))
    given = (1.0, 0.98, 0.96, 0.94, 0.5, 0.0)
    assert [experts.high.strengths_at(given, sigma) for sigma in given[:4]] == [(0.5,), (0.5,), (1.0,), (1.0,)]


@pytest.mark.parametrize(
    ("schedule", "strengths"), [("0;1;0", (0, 1, 0, 0)), ("0;1;1", (0, 1, 1, 1)), ("1;0.5", (1, 1, 0.5, 0.5))]
)
def test_three_stages_are_the_phases_of_a_three_phase_plan(
    schedule: str, strengths: tuple[float, ...], run: Callable
) -> None:
    found = run(LoraSpec(A, schedule=schedule), phases=THREE)
    assert same(found, at_each_step(run, *rows_of(A, *strengths), phases=THREE))


def test_a_stage_of_one_strength_is_merged(pair: Experts, run: Callable) -> None:
    experts = apply_loras(pair, (LoraSpec(A, schedule="0;1;0.5"),))[0]
    bound = resolve_loras(experts, Plan(SIGMAS, 5.0, THREE))
    assert bound.high.strengths is not None and not bound.high.merges_weights
    (merged,) = bound.low.loras
    assert bound.low.strengths is None and bound.low.merges_weights
    assert merged.constant() == 0.5
    assert (
        resolve_loras(apply_loras(pair, (LoraSpec(A, schedule="0;1;0"),))[0], Plan(SIGMAS, 5.0, THREE)).low.loras == ()
    )


@pytest.mark.parametrize("schedule", ["0;1;0", "1;0;0;0"])
def test_a_schedule_with_stages_the_plan_has_not_is_refused_before_the_run(
    schedule: str, run: Callable, pair: Experts
) -> None:
    experts = apply_loras(pair, (LoraSpec(A, schedule=schedule),))[0]
    with pytest.raises(ValueError, match=f"'{schedule}' has . parts .* the plan has 2 phases"):
        DuetGuider(experts, Plan(SIGMAS, 5.0, PAIR))


def test_only_a_run_with_a_plan_can_open_it(run: Callable, pair: Experts) -> None:
    experts = apply_loras(pair, (LoraSpec(A, schedule="0.5,1;1"),))[0]
    experts.low.open()
    with pytest.raises(ValueError, match=r"a\.safetensors: schedule '0\.5,1;1' changes .* only Wan 2\.2 Guider"):
        experts.high.open()


def test_a_single_expert_takes_one_list(run: Callable, pair: Experts) -> None:
    single = Experts(pair.high)
    found = answers(apply_loras(single, (LoraSpec(A, schedule="0.5,1"),))[0], phases=(Phase("high", 2.0),))
    expected = [
        answers(apply_loras(single, (LoraSpec(A, strength=weight),))[0], phases=(Phase("high", 2.0),))
        for weight in (0.5, 1.0)
    ]
    assert same(found, [*expected[0][HIGH], *expected[1][LOW]])


def test_a_single_expert_has_parts_for_its_phases_only(run: Callable, pair: Experts) -> None:
    single = apply_loras(Experts(pair.high), (LoraSpec(A, schedule="0;1"),))[0]
    two = (Phase("high", 2.0, 0.985), Phase("high", 2.0))
    expected = answers(apply_loras(Experts(pair.high), (LoraSpec(A),))[0], phases=two)
    plain = answers(Experts(pair.high), phases=two)
    assert same(answers(single, phases=two), [plain[0], *expected[1:]])
    with pytest.raises(ValueError, match=r"'0;1' has 2 parts .* the plan has 1 phase"):
        resolve_loras(single, Plan(SIGMAS, 5.0, (Phase("high", 2.0),)))


@pytest.mark.parametrize("kind", [Hidden, Int8, Packed, Broken])
def test_layers_that_no_strength_reaches_are_refused(kind: type, run: Callable, pair: Experts) -> None:
    experts, plan = Experts(Expert(ModelHandle(with_layers(kind), "high")), pair.low), Plan(SIGMAS, 5.0, PAIR)
    resolve_loras(apply_loras(experts, (LoraSpec(A, schedule="1;0.5,1"),))[0], plan)
    with pytest.raises(ValueError, match=r"while the high runs, and its loader's layers .*one value a stage"):
        resolve_loras(apply_loras(experts, (LoraSpec(A, schedule="0.5,1;1"),))[0], plan)


def test_it_is_the_layers_that_count_not_the_name_of_a_class(run: Callable, pair: Experts) -> None:
    patcher = pair.high.handle.open().clone()
    patcher.__class__ = type("GGUFModelPatcher", (type(patcher),), {})
    experts = Experts(Expert(ModelHandle(patcher, "high")), pair.low)
    schedules = apply_loras(experts, (LoraSpec(A, schedule="0.5,1;1"),))[0]
    assert resolve_loras(schedules, Plan(SIGMAS, 5.0, PAIR)).high.strengths is not None


def test_rows_act_in_their_order_whatever_varies(run: Callable, loras: Callable, file_of: Callable) -> None:
    """A DoRA scales what the rows above it made."""
    loras(DORA, file_of("dora_kohya", seed=5))
    for order in ((LoraSpec(DORA, schedule="0.5,1;1"), LoraSpec(B)), (LoraSpec(B), LoraSpec(DORA, schedule="0.5,1;1"))):
        found = run(*order)
        half = [replace(row, schedule="", strength=0.5 if row.schedule else 1) for row in order]
        whole = [replace(row, schedule="") for row in order]
        assert same(found[:2], [run(*half)[0], run(*whole)[1]])


def test_sigmas_that_rise_again_go_on_in_their_own_part(run: Callable) -> None:
    sigmas = (0.8, 0.6, 0.95, 0.9, 0.5, 0.0)
    found = run(LoraSpec(A, schedule="0.1,0.2;1,0.5"), sigmas=sigmas)
    assert same(found, at_each_step(run, *rows_of(A, 1.0, 1.0, 0.1, 0.2, 0.5), sigmas=sigmas))


def test_no_lora_outlives_its_guider(run: Callable, pair: Experts) -> None:
    """The host leaves its weight functions on a model that stays loaded."""
    run(LoraSpec(A, schedule="0.5,1;1"))
    gc.collect()
    functions = [
        function
        for module in pair.high.handle.open().model.modules()
        for function in getattr(module, "weight_function", [])
    ]
    assert functions
    assert all(function.hooks() is None for function in functions)


class SmallOnesAtOnce(ModelPatcher):
    """As under DynamicVRAM: modules of up to 16 KiB are loaded at once, and get no weight functions."""

    def partially_load(self, *args, **kwargs):
        found = super().partially_load(*args, **kwargs)
        for module in small(self):
            module.weight_function, module.bias_function = [], []
        return found


def test_a_module_that_the_host_leaves_without_functions_follows_too(pair: Experts, run: Callable) -> None:
    row = LoraSpec(A, schedule="0.5,1;1,0.5")
    wanted = run(row)
    patchers = [expert.handle.open().clone() for expert in pair]
    if any(map(is_dynamic, patchers)):
        pytest.skip("this host does so itself, under DynamicVRAM")
    for patcher in patchers:
        patcher.__class__ = SmallOnesAtOnce
    at_once = Experts(*(Expert(ModelHandle(patcher, role)) for patcher, role in zip(patchers, ROLES, strict=True)))
    assert same(answers(apply_loras(at_once, (row,))[0]), wanted)
    assert not any(module.weight_function for module in small(patchers[0])), "nothing stays on them after a run"


def small(patcher: ModelPatcher) -> list[Any]:
    modules = [module for module in patcher.model.modules() if hasattr(module, "weight_function")]
    return [module for module in modules if sum(p.nbytes for p in module.parameters()) <= SMALL]


def test_strengths_that_could_not_be_brought_up_to_date_are_tried_again(pair: Experts, monkeypatch) -> None:
    weight = torch.zeros(2, 2)
    hooks = weight_hooks.WeightHooks(lambda sigmas, sigma: [1.0], {"weight": [(0, ("diff", (torch.ones(2, 2),)))]})
    parameter = hooks.parameter("weight", weight)
    executor = WrapperExecutor.new_class_executor(lambda *_, **__: None, torch.nn.Module(), [hooks.follow])
    call = (torch.zeros(1), torch.tensor([0.5]), None, None, None)
    options = {"sample_sigmas": torch.tensor([1.0, 0.0])}
    with monkeypatch.context() as broken, pytest.raises(MemoryError):
        broken.setattr(weight_hooks, "_merged", _no_memory)
        executor.execute(*call, options)
    assert torch.equal(parameter, weight)
    executor.execute(*call, options)
    assert torch.equal(parameter, torch.ones(2, 2))


def test_while_strengths_are_brought_up_to_date_no_other_gpu_finds_a_weight_unpatched(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Threads that share an evaluation come one after the other; the first may be computing when the next arrives."""
    ones: Any = ("diff", (torch.ones(2, 2),))
    hooks = weight_hooks.WeightHooks(lambda sigmas, sigma: [sigma], {"weight": [(0, ones)]})
    hooks.parameter("weight", torch.zeros(2, 2))
    merge, found = weight_hooks._merged, []

    def noting(name: str, *rest: Any) -> torch.Tensor:
        found.append(hooks.active("weight"))
        return merge(name, *rest)

    monkeypatch.setattr(weight_hooks, "_merged", noting)
    executor = WrapperExecutor.new_class_executor(lambda *_, **__: None, torch.nn.Module(), [hooks.follow])
    for sigma in (1.0, 0.5):
        options = {"sample_sigmas": torch.tensor([1.0, 0.5, 0.0])}
        executor.execute(torch.zeros(1), torch.tensor([sigma]), None, None, None, options)
    assert found == [[(1.0, ones)], [(0.5, ones)]]


def _no_memory(*_: object) -> None:
    raise MemoryError
