"""What rows do to a run: each expert gives the answers it should, bit for bit where nothing may change."""

from collections.abc import Callable

import comfy.lora
import pytest
import torch
from comfy.model_management import unload_all_models
from wan_duet.dev import dynamic_vram
from wan_duet.experts.checkpoint.contents import read_checkpoint
from wan_duet.experts.handle import FileHandle, ModelHandle
from wan_duet.experts.lora.apply import apply_loras
from wan_duet.experts.lora.spec import LoraSpec
from wan_duet.experts.pair import Expert, Experts
from wan_duet.tests.experts.lora.answers import HIGH, LOW, answers, changed, same
from wan_duet.tests.experts.lora.conftest import loaded

A, B, DORA, PAIR = "a.safetensors", "b.safetensors", "dora.safetensors", "pair.safetensors"


@pytest.fixture
def run(pair: Experts, loras: Callable, file_of: Callable) -> Callable[..., list[torch.Tensor]]:
    """The answers of the pair with these rows on it."""
    loras(A, file_of("lightx2v_diff", seed=1))
    loras(B, file_of("native_peft", seed=2))
    loras(DORA, file_of("dora_kohya", seed=3))
    loras(PAIR, file_of("diffusers_pair_one_file", seed=4))
    return lambda *rows: answers(apply_loras(pair, rows)[0])


@pytest.mark.parametrize(("transformer", "touched", "untouched"), [("high", HIGH, LOW), ("low", LOW, HIGH)])
def test_a_row_on_one_expert_leaves_the_others_answers_bit_identical(
    run: Callable, transformer: str, touched: slice, untouched: slice
) -> None:
    plain, with_row = run(), run(LoraSpec(A, expert=transformer))
    assert len(plain) == 4
    assert same(with_row[untouched], plain[untouched])
    assert changed(with_row[touched], plain[touched])


def test_both_equals_two_single_rows(run: Callable) -> None:
    assert same(run(LoraSpec(A)), run(LoraSpec(A, expert="high"), LoraSpec(A, expert="low")))


def test_weight_zero_is_bit_identical_to_no_row(run: Callable) -> None:
    plain = run()
    assert same(run(LoraSpec(A, strength=0)), plain)
    assert same(run(LoraSpec(A, schedule="0;0")), plain)
    assert same(run(LoraSpec("not there at all", strength=0)), plain)


def test_a_schedule_of_two_constants_is_a_strength_for_each_stage(run: Callable) -> None:
    by_schedule = run(LoraSpec(A, strength=0.5, schedule="0.8;"))
    assert same(by_schedule, run(LoraSpec(A, strength=0.4, expert="high")))


def test_the_order_of_additive_rows_does_not_matter(run: Callable) -> None:
    rows = LoraSpec(A, strength=0.8), LoraSpec(B, strength=-0.6)
    for first, second in zip(run(*rows), run(*reversed(rows)), strict=True):
        assert (first - second).norm() <= 1e-6 * first.norm()


def test_additive_rows_merge_to_the_same_weights_in_any_order(run: Callable, pair: Experts) -> None:
    rows = LoraSpec(A, strength=0.8), LoraSpec(B, strength=-0.6)
    merged = []
    for order in (rows, rows[::-1]):
        with loaded(apply_loras(pair, order)[0].high.open()) as weights:
            merged.append({name: weight.clone() for name, weight in weights.items()})
    for name, weight in merged[0].items():
        assert (weight - merged[1][name]).norm() <= 1e-6 * weight.norm(), name


def test_the_order_of_a_dora_does(run: Callable) -> None:
    rows = LoraSpec(DORA), LoraSpec(B)
    assert changed(run(*rows), run(*reversed(rows)))


def test_a_file_with_a_lora_for_each_expert_gives_each_its_own(run: Callable) -> None:
    plain, with_row = run(), run(LoraSpec(PAIR))
    assert changed(with_row, plain)
    assert same(with_row[HIGH], run(LoraSpec(PAIR, expert="high"))[HIGH])
    assert same(with_row[LOW], run(LoraSpec(PAIR, expert="low"))[LOW])


def test_nothing_leaks_to_another_branch_that_uses_the_same_file(run: Callable, pair: Experts) -> None:
    plain = run()
    for row in (LoraSpec(A), LoraSpec(A, strength=-2), LoraSpec(B, expert="low")):
        run(row)
        assert same(run(), plain)


def test_two_experts_of_one_file_keep_their_own_rows(run: Callable, pair: Experts) -> None:
    handle = pair.high.handle
    twins = Experts(Expert(handle), Expert(ModelHandle(handle.open(), "low")))
    plain = answers(twins)
    with_row = answers(apply_loras(twins, (LoraSpec(A, expert="high"),))[0])
    assert same(with_row[LOW], plain[LOW])
    assert changed(with_row[HIGH], plain[HIGH])


@pytest.mark.skipif(dynamic_vram.wanted() == dynamic_vram.STREAMED, reason="all is patched anew where nothing stays")
def test_a_second_run_with_the_same_rows_merges_nothing_anew(
    run: Callable, loras: Callable, file_of: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    merged = []
    merge = comfy.lora.calculate_weight

    def counted(patches: list, weight: torch.Tensor, key: str, *args, **kwargs) -> torch.Tensor:
        if weight.nbytes > 16 * 1024:  # DynamicVRAM merges what is smaller at every load
            merged.append(key)
        return merge(patches, weight, key, *args, **kwargs)

    rows = LoraSpec(A), LoraSpec(B)
    first = run(*rows)
    monkeypatch.setattr(comfy.lora, "calculate_weight", counted)
    assert same(run(*rows), first)
    assert merged == []
    assert not same(run(LoraSpec(A), LoraSpec(B, strength=0.5)), first)
    assert merged
    run(*rows)
    merged.clear()
    loras(B, file_of("lokr_native", seed=5))
    assert not same(run(*rows), first)
    assert merged


def test_a_file_gives_the_answers_of_a_connected_model(run: Callable, pair: Experts, saved: Callable) -> None:
    unload_all_models()  # a loaded model's weights are merged ones
    paths = [
        saved(dict(expert.handle.open().model.diffusion_model.state_dict()), f"model{number}.safetensors")
        for number, expert in enumerate(pair)
    ]
    files = Experts(*(Expert(FileHandle(path, path, read_checkpoint(path))) for path in paths))
    row = LoraSpec(A, schedule="0.5;-1")
    assert same(answers(apply_loras(files, (row,))[0]), run(row))
