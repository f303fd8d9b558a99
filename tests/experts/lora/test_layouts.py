"""All 46 known layouts of a file, on the models people put them on."""

import logging
from collections.abc import Callable

import pytest
import torch
from comfy.model_patcher import ModelPatcher
from wan_duet.experts.checkpoint.meta_model import skeleton
from wan_duet.experts.lora.expert_lora import ExpertLora
from wan_duet.experts.lora.files import read_names
from wan_duet.experts.lora.merge import merge_lora
from wan_duet.experts.lora.patches import find_patches, share
from wan_duet.experts.lora.schedule import constant
from wan_duet.host.lora import calculate_weight, fits, load_lora, model_lora_keys_unet
from wan_duet.tests.experts.lora.conftest import loaded
from wan_duet.tests.experts.lora.layouts import I2V, I2V_21, LAYOUTS, T2V, Layout, build

STRENGTH = 0.7
every_layout = pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
every_layout_and_model = pytest.mark.parametrize(
    ("layout", "kind"),
    [(layout, kind) for layout in LAYOUTS for kind in (T2V, I2V, I2V_21) if kind != I2V_21 or layout.image],
    ids=lambda value: getattr(value, "name", value),
)


def shapes_of(patcher: ModelPatcher) -> dict[str, torch.Size]:
    return {name: weight.shape for name, weight in patcher.model.state_dict().items()}


def changed_on(layout: Layout, kind: str) -> int:
    """A patch embedding of 36 channels fits both I2V models; else A14B's two tasks count alike."""
    return layout.changed + (layout.name == "i2v_patch_embedding_36" and kind == I2V)


def test_there_are_46_layouts() -> None:
    assert len({layout.name for layout in LAYOUTS}) == 46


@every_layout_and_model
def test_keys_read_and_weights_changed_are_known_from_the_header(
    layout: Layout, kind: str, tiny: dict[str, ModelPatcher], saved: Callable
) -> None:
    model = tiny[kind].model
    names, _ = read_names(saved(build(layout, shapes_of(tiny[kind]))[0]))
    assert all(tensor.is_meta for key, tensor in names.items() if not key.endswith(".alpha"))
    found = find_patches(names, layout.role, skeleton(model.model_config.unet_config))
    read, changed = layout.expected(kind)
    assert (len(found.read), found.keys) == (read, layout.keys)
    assert len(found.changed) == (changed if kind == I2V_21 and layout.image else changed_on(layout, kind))


@every_layout_and_model
def test_merged_weights_equal_the_adapters_own_formula(
    layout: Layout, kind: str, tiny: dict[str, ModelPatcher], base: dict[str, dict], saved: Callable
) -> None:
    tensors, formulas = build(layout, shapes_of(tiny[kind]))
    patcher = tiny[kind].clone()
    merge_lora(patcher, ExpertLora(saved(tensors), layout.role, constant(STRENGTH)))
    with loaded(patcher) as merged:
        for name, weight in base[kind].items():
            if name in formulas:
                wanted = formulas[name](weight, STRENGTH)
                assert (merged[name] - wanted).norm() <= 1e-5 * wanted.norm(), name
                assert not torch.equal(merged[name], weight), name
            else:
                assert torch.equal(merged[name], weight), name
    assert all(torch.equal(weight, base[kind][name]) for name, weight in tiny[kind].model.state_dict().items())


@every_layout
def test_the_shape_rule_agrees_with_what_the_host_logs_when_it_merges(
    layout: Layout, tiny: dict[str, ModelPatcher], caplog: pytest.LogCaptureFixture
) -> None:
    model = tiny[T2V].model
    tensors, _ = build(layout, shapes_of(tiny[T2V]))
    lora = share(tensors, layout.role, model).tensors
    for name, patch in load_lora(lora, model_lora_keys_unet(model, {}), log_missing=False).items():
        shape = model.state_dict()[name].shape
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            calculate_weight([(1.0, patch, 1.0, None, None)], torch.zeros(shape), name)
        assert fits(patch, shape) == (not caplog.records), name


def test_a_file_for_both_experts_gives_each_its_own_half(tiny: dict[str, ModelPatcher], saved: Callable) -> None:
    layout = next(layout for layout in LAYOUTS if layout.name == "diffusers_pair_one_file")
    tensors, _ = build(layout, shapes_of(tiny[T2V]))
    for role, prefix in (("high", "transformer."), ("low", "transformer_2.")):
        found = find_patches(tensors, role, tiny[T2V].model)
        assert {key for key in tensors if key.startswith(prefix)} == set(found.read)
        assert found.elsewhere == 40


def test_a_file_of_the_low_expert_holds_nothing_for_the_high_one(tiny: dict[str, ModelPatcher]) -> None:
    layout = next(layout for layout in LAYOUTS if layout.name == "diffusers_low_only")
    tensors, _ = build(layout, shapes_of(tiny[T2V]))
    found = find_patches(tensors, "high", tiny[T2V].model)
    assert (found.keys, found.elsewhere, found.changed) == (0, 40, set())
