"""Every kind of adapter the host reads, merged into one weight, against its own formula."""

from collections.abc import Callable

import pytest
import torch
from comfy.model_patcher import ModelPatcher
from wan_duet.experts.lora.expert_lora import ExpertLora
from wan_duet.experts.lora.merge import merge_lora
from wan_duet.experts.lora.patches import find_patches
from wan_duet.experts.lora.schedule import constant
from wan_duet.tests.experts.lora import adapters as a
from wan_duet.tests.experts.lora.conftest import loaded
from wan_duet.tests.experts.lora.layouts import NATIVE, T2V, Layout, build

LINEAR, NORM, CONV = "blocks.1.ffn.0", "blocks.0.norm3", "patch_embedding.own"
ADAPTERS = {
    "lora": (a.PEFT, LINEAR),
    "lora with alpha": (a.KOHYA, LINEAR),
    "lora with bias": (a.lora_with_bias, LINEAR),
    "conv lora": (a.DOWN_UP, CONV),
    "dora": (a.KOHYA_DORA, LINEAR),
    "dora of peft": (a.PEFT_MAGNITUDE, LINEAR),
    "loha": (a.loha, LINEAR),
    "lokr": (a.lokr, LINEAR),
    "lokr with whole factors": (a.lokr_full, LINEAR),
    "glora": (a.glora, LINEAR),
    "oft": (a.oft, LINEAR),
    "boft": (a.boft, LINEAR),
    "difference": (a.difference, LINEAR),
    "difference of weight and bias": (a.difference_and_bias, LINEAR),
    "difference of a modulation": (a.difference, "head.modulation"),
    "norm": (a.norms, NORM),
    "replacement": (a.replaced, LINEAR),
    "lora and difference": (a.lora_and_difference, LINEAR),
}


@pytest.mark.parametrize("strength", [0.7, -1.5])
@pytest.mark.parametrize("name", ADAPTERS)
def test_a_patched_weight_equals_the_adapters_own_formula(
    name: str, strength: float, tiny: dict[str, ModelPatcher], base: dict[str, dict], saved: Callable
) -> None:
    adapter, module = ADAPTERS[name]
    shapes = {key: weight.shape for key, weight in base[T2V].items()}
    tensors, formulas = build(Layout(name, NATIVE, ((adapter, (module,)),), 0, 0, 0), shapes)
    patcher = tiny[T2V].clone()
    merge_lora(patcher, ExpertLora(saved(tensors), "high", constant(strength)))
    assert formulas
    with loaded(patcher) as merged:
        for key, formula in formulas.items():
            wanted = formula(base[T2V][key], strength)
            assert (merged[key] - wanted).norm() <= 1e-5 * wanted.norm()


MISFITS = {
    "a transposed pair": {".lora_down.weight": (4, 256), ".lora_up.weight": (128, 4)},
    "a short magnitude": {".lora_down.weight": (4, 128), ".lora_up.weight": (256, 4), ".dora_scale": (64, 1)},
    "a boft without its constraint": {".oft_blocks": (2, 32, 8, 8)},
    "an oft for other rows": {".oft_blocks": (8, 8, 8)},
}


@pytest.mark.parametrize("name", MISFITS)
def test_what_the_host_would_apply_wrongly_or_not_at_all_is_left_out(name: str, tiny: dict[str, ModelPatcher]) -> None:
    file = {f"diffusion_model.{LINEAR}{suffix}": torch.zeros(shape) for suffix, shape in MISFITS[name].items()}
    found = find_patches(file, "high", tiny[T2V].model)
    assert len(found.read) == len(file)
    assert found.changed == set()
    assert [misfit.weight for misfit in found.misfits] == [f"diffusion_model.{LINEAR}.weight"]
