"""LoRAs on scaled fp8 experts, which the official files are: merged, thrown away after use, and varied."""

from collections.abc import Callable

import pytest
import torch
from comfy.model_management import unload_all_models
from wan_duet.dev.tiny import transformer
from wan_duet.experts.checkpoint.contents import read_checkpoint
from wan_duet.experts.checkpoint.quantised import is_rounded
from wan_duet.experts.handle import FileHandle, ModelHandle
from wan_duet.experts.lora.apply import apply_loras
from wan_duet.experts.lora.spec import LoraSpec
from wan_duet.experts.pair import KEEP_BOTH, ONE_AT_A_TIME, Expert, Experts
from wan_duet.tests.experts.lora.answers import Answers, answers, changed, same
from wan_duet.tests.experts.lora.layouts import DIM
from wan_duet.tests.experts.quantised import fp8_by_marker

A, BIASED = "a.safetensors", "biased.safetensors"
WEAK = 0.1  # what goes far beyond the largest weight of the file is cut off there
Weights = dict[str, torch.Tensor]


def out_of_scaled_fp8(weights: Weights) -> Weights:
    """The same numbers in fp32."""
    made = {name: weight.float() for name, weight in weights.items() if "scale" not in name}
    for name, scale in weights.items():
        if name.endswith(".scale_weight"):
            made[name.replace(".scale_weight", ".weight")] *= scale
    return made


@pytest.fixture
def quantised(saved: Callable, loras: Callable, file_of: Callable) -> Callable[..., Experts]:
    """A pair of scaled fp8 files, with rows on it; as `residency` says. In fp32 if `exact`."""
    loras(A, file_of("native_peft", seed=1))
    loras(BIASED, file_of("lightx2v_diff", seed=1))
    files = [fp8_by_marker(transformer(seed, dim=DIM, layers=2)).tensors for seed in (0, 1)]

    def made(*rows: LoraSpec, residency: str = KEEP_BOTH, exact: bool = False) -> Experts:
        paths = [
            saved(out_of_scaled_fp8(weights) if exact else weights, f"{role}_{exact}.safetensors")
            for role, weights in zip(("high", "low"), files, strict=True)
        ]
        experts = Experts(*(Expert(FileHandle(path, path, read_checkpoint(path))) for path in paths), residency)
        return apply_loras(experts, rows)[0]

    return made


def distance(found: Answers, wanted: Answers) -> float:
    return max(((one - other).norm() / other.norm()).item() for one, other in zip(found, wanted, strict=True))


def test_the_file_is_opened_as_scaled_fp8(quantised: Callable) -> None:
    linear = quantised().high.open().model.diffusion_model.blocks[0].self_attn.q
    weight = linear.weight  # newer hosts keep both of its tensors in one
    stored, scale = (weight._qdata, weight.params.scale) if hasattr(weight, "_qdata") else (weight, linear.scale_weight)
    assert stored.dtype == torch.float8_e4m3fn
    assert scale.item() < 1
    assert is_rounded(linear)
    assert distance(answers(quantised()), answers(quantised(exact=True))) < 0.02


@pytest.mark.parametrize("file", [A, BIASED])
@pytest.mark.parametrize("schedule", ["", "0.5,1;1,0.5"])
def test_a_lora_changes_an_fp8_expert_by_what_it_changes_the_exact_one(
    quantised: Callable, schedule: str, file: str
) -> None:
    row = LoraSpec(file, strength=WEAK, schedule=schedule)
    plain, found, wanted = (
        answers(quantised()),
        answers(quantised(row)),
        answers(quantised(row, exact=True)),
    )
    assert changed(found, plain)
    assert distance(found, wanted) < 0.25 * distance(plain, wanted)


def test_added_as_it_is_used_a_lora_is_not_rounded_to_fp8(quantised: Callable) -> None:
    wanted = answers(quantised(LoraSpec(A, strength=WEAK), exact=True))
    merged = distance(answers(quantised(LoraSpec(A, strength=WEAK))), wanted)
    varied = distance(answers(quantised(LoraSpec(A, strength=WEAK, schedule="1,0.999999"))), wanted)
    assert varied < 0.25 * merged


@pytest.mark.parametrize("schedule", ["", "0.5,1;1,0.5"])
def test_both_residencies_give_the_same_answers(quantised: Callable, schedule: str) -> None:
    row = LoraSpec(A, schedule=schedule)
    kept = answers(quantised(row))
    unload_all_models()
    assert same(answers(quantised(row, residency=ONE_AT_A_TIME)), kept)


@pytest.mark.parametrize(("schedule", "said"), [("", 1), ("0.5,1;1,0.5", 0), ("0.5,1;1", 1)])
def test_the_report_says_where_a_merge_rounds(quantised: Callable, schedule: str, said: int) -> None:
    row = LoraSpec(A, schedule=schedule)
    report = apply_loras(quantised(), [row])[1]
    assert report.count("a merged weight is rounded to that again") == said
    assert ("high (fp8 e4m3 scaled) and low (fp8 e4m3 scaled)" in report) == (schedule == "")
    assert "rounded" not in apply_loras(quantised(exact=True), [row])[1]


def test_of_connected_models_the_weights_say_it(quantised: Callable) -> None:
    models = Experts(*(Expert(ModelHandle(expert.open(), "MODEL")) for expert in quantised()))
    assert "high (less than 16 bits) and low" in apply_loras(models, [LoraSpec(A)])[1]
