"""A LoRA whose scale is not in `.alpha` keys: it is applied as PEFT and diffusers would apply it."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from comfy.model_patcher import ModelPatcher
from wan_duet.experts.lora.apply import apply_loras
from wan_duet.experts.lora.expert_lora import ExpertLora
from wan_duet.experts.lora.files import fingerprints
from wan_duet.experts.lora.merge import merge_lora
from wan_duet.experts.lora.schedule import constant
from wan_duet.experts.lora.spec import LoraSpec
from wan_duet.experts.pair import Experts
from wan_duet.tests.experts.lora.conftest import loaded
from wan_duet.tests.experts.lora.layouts import T2V

STYLE = "style.safetensors"
Q, K = "blocks.0.self_attn.q", "blocks.1.cross_attn.k"
Tensors = dict[str, torch.Tensor]


def lora(prefix: str = "diffusion_model.", rank: int = 4, modules: tuple[str, ...] = (Q, K), seed: int = 0) -> Tensors:
    torch.manual_seed(seed)
    shapes = {"A": (rank, 128), "B": (128, rank)}
    return {
        f"{prefix}{module}.lora_{half}.weight": 0.1 * torch.randn(shape)
        for module in modules
        for half, shape in shapes.items()
    }


@pytest.fixture
def scale_of(tiny: dict[str, ModelPatcher], base: dict[str, dict]) -> Callable[..., float]:
    """The scale at which a merged file adds B times A to a module."""

    def scale(path: str, tensors: Tensors, module: str = Q, prefix: str = "diffusion_model.", role: str = "high"):
        patcher = tiny[T2V].clone()
        merge_lora(patcher, ExpertLora(path, role, constant(1.0)))
        name = f"diffusion_model.{module}.weight"
        delta = tensors[f"{prefix}{module}.lora_B.weight"] @ tensors[f"{prefix}{module}.lora_A.weight"]
        with loaded(patcher) as merged:
            added = merged[name] - base[T2V][name]
        assert torch.allclose(added / (added.norm() / delta.norm()), delta, atol=1e-4)
        return float(added.norm() / delta.norm())

    return scale


@pytest.mark.parametrize(
    ("metadata", "scale"),
    [
        ({"lora_adapter_metadata": '{"r": 4, "lora_alpha": 16}'}, 4),
        ({"lora_adapter_metadata": '{"transformer.r": 4, "transformer.lora_alpha": 16}'}, 4),
        ({"lora_adapter_metadata": '{"transformer": {"r": 4, "lora_alpha": 16}}'}, 4),
        ({"lora_adapter_metadata": '{"default": {"r": 4, "lora_alpha": 16}}'}, 4),
        ({"lora_adapter_metadata": '{"lora_alpha": 2}'}, 0.5),
        ({"lora_adapter_metadata": '{"r": 4, "lora_alpha": 16, "use_rslora": true}'}, 8),
        ({"lora_adapter_metadata": '{"r": 4, "lora_alpha": 16, "alpha_pattern": {"self_attn.q": 2}}'}, 0.5),
        ({"lora_adapter_metadata": '{"r": 4, "lora_alpha": 16, "alpha_pattern": {"self_attn.k": 2}}'}, 4),
        ({"lora_adapter_metadata": r'{"r": 4, "lora_alpha": 16, "alpha_pattern": {"blocks\\.\\d+\\..*q": 8}}'}, 2),
        ({"lora_adapter_metadata": '{"r": 8, "lora_alpha": 16, "rank_pattern": {"q": 4, "k": 4}}'}, 4),
        ({"adapter_config": '{"r": 4, "lora_alpha": 16}'}, 4),
        ({"r": "4", "lora_alpha": "16"}, 4),
        ({"ss_network_dim": "4", "ss_network_alpha": "16"}, 1),
        ({"lora_adapter_metadata": "not json {"}, 1),
        ({}, 1),
    ],
)
def test_metadata_sets_the_scale(metadata: dict[str, str], scale: float, saved: Callable, scale_of: Callable) -> None:
    tensors = lora()
    assert scale_of(saved(tensors, **metadata), tensors) == pytest.approx(scale, rel=1e-4)


def test_a_module_of_another_rank_has_its_own_scale(saved: Callable, scale_of: Callable) -> None:
    tensors = lora(modules=(Q,)) | lora(modules=(K,), rank=8)
    said = {"r": 4, "lora_alpha": 16, "rank_pattern": {K: 8}}
    path = saved(tensors, lora_adapter_metadata=json.dumps(said))
    assert scale_of(path, tensors) == pytest.approx(4, rel=1e-4)
    assert scale_of(path, tensors, K) == pytest.approx(2, rel=1e-4)


def test_each_half_of_one_file_has_its_own_scale(saved: Callable, scale_of: Callable) -> None:
    tensors = lora("transformer.") | lora("transformer_2.", seed=1)
    said = {"transformer.r": 4, "transformer.lora_alpha": 16, "transformer_2.r": 4, "transformer_2.lora_alpha": 8}
    path = saved(tensors, lora_adapter_metadata=json.dumps(said))
    assert scale_of(path, tensors, prefix="transformer.") == pytest.approx(4, rel=1e-4)
    assert scale_of(path, tensors, prefix="transformer_2.", role="low") == pytest.approx(2, rel=1e-4)


@pytest.mark.parametrize("suffix", ["lora_alpha", "lora_alpha.default", "alpha", "network_alpha"])
def test_alpha_keys_of_any_spelling_set_the_scale(suffix: str, saved: Callable, scale_of: Callable) -> None:
    tensors = lora()
    path = saved({**tensors, **{f"diffusion_model.{module}.{suffix}": torch.tensor(16.0) for module in (Q, K)}})
    assert scale_of(path, tensors) == pytest.approx(4, rel=1e-4)


def test_an_alpha_key_wins_over_metadata(saved: Callable, scale_of: Callable) -> None:
    tensors = lora()
    path = saved(
        {**tensors, f"diffusion_model.{Q}.alpha": torch.tensor(8.0)},
        lora_adapter_metadata='{"r": 4, "lora_alpha": 16}',
    )
    assert scale_of(path, tensors) == pytest.approx(2, rel=1e-4)
    assert scale_of(path, tensors, K) == pytest.approx(4, rel=1e-4)


def beside(folder: Path, **said: object) -> None:
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", **said}))


def test_a_config_beside_the_only_file_sets_the_scale(saved: Callable, scale_of: Callable) -> None:
    tensors = lora("base_model.model.")
    path = saved(tensors, "adapter_model.safetensors")
    beside(Path(path).parent, r=4, lora_alpha=16, use_rslora=True)
    assert scale_of(path, tensors, prefix="base_model.model.") == pytest.approx(16 / math.sqrt(4), rel=1e-4)


def test_a_config_beside_two_halves_is_for_both(saved: Callable, scale_of: Callable) -> None:
    tensors = lora()
    paths = [saved(tensors, f"style_{role}_noise.safetensors") for role in ("high", "low")]
    beside(Path(paths[0]).parent, r=4, lora_alpha=16)
    assert [scale_of(path, tensors) for path in paths] == pytest.approx([4, 4], rel=1e-4)


def test_a_config_of_another_file_is_not_used(pair: Experts, loras: Callable, tmp_path: Path) -> None:
    loras(STYLE, lora())
    beside(tmp_path / "loras", r=8, lora_alpha=16)
    text = apply_loras(pair, (LoraSpec(STYLE),))[1]
    assert "warning: adapter_config.json is of another file (rank 8, here 4): not used, its scale is 1" in text


def test_a_config_beside_several_files_is_not_used(
    pair: Experts, loras: Callable, tmp_path: Path, scale_of: Callable
) -> None:
    for name in (STYLE, "other.safetensors"):
        loras(name, lora())
    beside(tmp_path / "loras", r=4, lora_alpha=16)
    text = apply_loras(pair, (LoraSpec(STYLE),))[1]
    assert "warning: adapter_config.json lies beside several: not used, its scale is 1" in text
    assert scale_of(str(tmp_path / "loras" / STYLE), lora()) == pytest.approx(1, rel=1e-4)


def test_the_report_says_where_the_scale_is_from(pair: Experts, loras: Callable) -> None:
    loras(STYLE, lora(), lora_adapter_metadata='{"r": 4, "lora_alpha": 16}')
    text = apply_loras(pair, (LoraSpec(STYLE),))[1]
    assert text.count("4 of 4 keys read, 2 of 2 weights changed") == 2
    assert text.count("note: lora_adapter_metadata sets its scale: 4") == 2
    loras(STYLE, lora(), ss_network_alpha="16", ss_network_dim="4")
    assert "scale" not in apply_loras(pair, (LoraSpec(STYLE),))[1]


def test_a_new_config_is_a_new_row(loras: Callable, tmp_path: Path) -> None:
    loras(STYLE, lora())
    before = fingerprints(LoraSpec(STYLE))
    beside(tmp_path / "loras", r=4, lora_alpha=16)
    assert fingerprints(LoraSpec(STYLE)) != before
