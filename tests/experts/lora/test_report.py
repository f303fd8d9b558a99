"""Every message of the match report, and that a LoRA which changes nothing fails at Apply."""

from collections.abc import Callable

import pytest
import torch
from comfy.model_patcher import ModelPatcher
from wan_duet.experts.checkpoint.contents import Checkpoint, read_checkpoint
from wan_duet.experts.handle import FileHandle, MissingHandle, ModelHandle
from wan_duet.experts.lora.apply import apply_loras
from wan_duet.experts.lora.expert_lora import ExpertLora
from wan_duet.experts.lora.patches import find_patches
from wan_duet.experts.lora.report import Found, fatal, notes, summary
from wan_duet.experts.lora.schedule import constant
from wan_duet.experts.lora.spec import SAME, LoraSpec
from wan_duet.experts.lora.unread import other_model
from wan_duet.experts.pair import Expert, Experts
from wan_duet.tests.experts.lora.layouts import I2V, T2V

ALIEN = "Made for Flux or Hunyuan Video, not for Wan: none of its "
STYLE = "style.safetensors"
A14B = {"dim": 5120, "ffn_dim": 13824, "num_heads": 40, "num_layers": 40}


@pytest.fixture
def report(pair: Experts, loras: Callable, file_of: Callable) -> Callable[..., str]:
    """The report of one row; its file has one of the 46 layouts."""

    def of(
        layout: str = "native_peft", name: str = STYLE, experts: Experts = pair, metadata: dict | None = None, **row
    ):
        loras(name, file_of(layout), **(metadata or {}))
        return apply_loras(experts, (LoraSpec(name, **row),))[1]

    return of


def test_keys_and_weights_are_two_numbers(report: Callable) -> None:
    lines = report("native_down_up_alpha", strength=0.5).splitlines()
    assert lines == [
        "LoRA 1: style.safetensors",
        "   high: style.safetensors at 0.5: 60 of 60 keys read, 20 of 20 weights changed",
        "   low: style.safetensors at 0.5: 60 of 60 keys read, 20 of 20 weights changed",
    ]


def test_modulations_count_because_they_are_applied(report: Callable) -> None:
    assert "79 of 79 keys read, 59 of 59 weights changed" in report("lightx2v_diff")


def test_image_attention_of_wan_2_1_is_harmless_and_folded(report: Callable) -> None:
    text = report("i2v21_native")
    assert "40 of 48 keys read" in text
    assert "note: 8 keys: image attention of Wan 2.1 I2V, which this expert doesn't have: harmless" in text
    assert "diffusion_model.blocks.{0..1}.cross_attn.k_img.lora_A.weight x2" in text
    assert "warning" not in text


def test_vace_blocks_are_harmless(report: Callable) -> None:
    assert "note: 20 keys: VACE blocks, which this expert doesn't have: harmless" in report("vace_lora")


def test_a_text_encoder_part_is_harmless(pair: Experts, loras: Callable, file_of: Callable) -> None:
    loras(STYLE, {**file_of("native_peft"), "lora_te_encoder_0.lora_down.weight": torch.zeros(1, 1)})
    _, text = apply_loras(pair, (LoraSpec(STYLE),))
    assert "note: 1 key: text encoder, which Wan Duet leaves as it is: harmless" in text


def test_blocks_beyond_the_model_are_named(report: Callable) -> None:
    assert "warning: 40 keys: blocks from 2 on, and this expert has 2: not applied" in report("deeper_model")


def test_modules_of_its_own_are_named(report: Callable) -> None:
    text = report("recammaster_extras")
    assert "2 of 6 keys read, 2 of 2 weights changed" in text
    assert "warning: 4 keys: modules this expert doesn't have: not applied" in text
    assert "blocks.{0..1}.cam_encoder.weight x2" in text


def test_a_patch_embedding_of_another_task_is_left_out(report: Callable) -> None:
    text = report("native_peft", metadata={})
    assert "does not fit" not in text
    loud = report("i2v_patch_embedding_36")
    assert "41 of 41 keys read, 20 of 21 weights changed" in loud
    assert "warning: does not fit and is left out: diffusion_model.patch_embedding.weight" in loud
    assert "([128, 36, 1, 2, 2] in the file, [128, 16, 1, 2, 2] here); made for image to video" in loud


def test_a_dora_says_that_order_matters(report: Callable) -> None:
    assert "note: a DoRA scales what the rows above it made: the order of rows matters" in report("dora_kohya")
    assert "order" not in report("native_peft")


def test_a_high_file_on_the_low_expert_is_a_warning(report: Callable) -> None:
    text = report(name="style_high_noise.safetensors", expert="low", low_file=SAME)
    assert "warning: this file says high, but it is on the low expert" in text
    assert "looks like its other half" not in text
    assert "warning" not in report(name="style_high_noise.safetensors", expert="high")


def test_two_names_of_the_same_bytes_are_a_hint(report: Callable, loras: Callable, file_of: Callable) -> None:
    hint = "hint: the two files are one and the same, byte for byte, under two names"
    loras("style_low_noise.safetensors", file_of("native_peft"))
    assert hint in report(name="style_high_noise.safetensors")
    loras("style_low_noise.safetensors", file_of("native_peft", seed=1))
    assert hint not in report(name="style_high_noise.safetensors")


def test_the_warning_names_the_right_half_if_it_is_there(report: Callable, loras: Callable, file_of: Callable) -> None:
    loras("style_low_noise.safetensors", file_of("native_peft"))
    text = report(name="style_high_noise.safetensors", expert="low", low_file=SAME)
    assert "on the low expert; style_low_noise.safetensors looks like its other half" in text


def test_metadata_can_say_which_expert_a_file_is_for(report: Callable) -> None:
    text = report(metadata={"modelspec.timestep_range": "0,875"}, expert="high")
    assert "warning: this file says low, but it is on the high expert" in text


def test_one_file_on_both_though_its_partner_exists_is_a_hint(report: Callable, loras: Callable, file_of) -> None:
    loras("style_low_noise.safetensors", file_of("native_peft"))
    text = report(name="style_high_noise.safetensors", low_file=SAME)
    assert text.count("hint: the same file is on both experts, though style_low_noise.safetensors looks like") == 2


def test_two_halves_are_paired_and_named(report: Callable, loras: Callable, file_of: Callable) -> None:
    loras("style_low_noise.safetensors", file_of("native_peft", seed=1))
    lines = report(name="style_high_noise.safetensors").splitlines()
    assert lines[1].startswith("   high: style_high_noise.safetensors")
    assert lines[2].startswith("   low: style_low_noise.safetensors")
    assert len(lines) == 3


def test_several_partners_are_an_error_that_lists_them(report: Callable, loras: Callable, file_of: Callable) -> None:
    for name in ("style_low_e2.safetensors", "style_low_e3.safetensors"):
        loras(name, file_of("native_peft"))
    with pytest.raises(ValueError, match=r"row 1 .*2 possible partners: style_low_e2\.safetensors, style_low_e3"):
        report(name="style_high_e1.safetensors")


def test_a_file_of_the_low_expert_changes_nothing_on_the_high_one(report: Callable) -> None:
    text = report("diffusers_low_only")
    assert "high: not on it, because style.safetensors is for the low expert alone" in text
    assert "low: style.safetensors at 1: 40 of 40 keys read, 20 of 20 weights changed" in text
    with pytest.raises(ValueError, match="changes nothing: all of its 40 keys are for the low expert"):
        report("diffusers_low_only", expert="high")


def test_one_file_on_both_whose_name_may_say_high_is_a_warning(report: Callable) -> None:
    warning = "though its name may say high. If so, choose 'high' under transformer"
    assert report(name="strollhighv3.safetensors").count(warning) == 2
    assert "may say" not in report(name="strollhighv3.safetensors", expert="high")
    assert "may say" not in report(name="slow_flow.safetensors")


def test_halves_whose_words_seem_to_mean_something_else_are_paired(
    report: Callable, loras: Callable, file_of: Callable
) -> None:
    loras("stroll_high_lighting.safetensors", file_of("native_peft", seed=1))
    lines = report(name="stroll_low_lighting.safetensors").splitlines()
    assert lines[1].startswith("   high: stroll_high_lighting.safetensors")
    assert lines[2].startswith("   low: stroll_low_lighting.safetensors")


def test_weight_zero_is_said_to_be_not_loaded(report: Callable) -> None:
    assert report(strength=0).splitlines() == ["LoRA 1: style.safetensors", "   not loaded: its strength is 0"]


def test_strengths_that_few_loras_are_made_for_are_a_warning(report: Callable) -> None:
    beyond = "warning: a strength of 6 is beyond 4, which few LoRAs are made for"
    assert report(strength=6).count(beyond) == 2
    assert report(strength=-1.5, schedule="1;4").count(beyond) == 1
    assert "beyond" not in report(strength=-4)


def test_no_rows_are_no_lora(pair: Experts) -> None:
    assert apply_loras(pair, ()) == (pair, "no LoRA")


@pytest.mark.parametrize("layout", ["family_5b", "family_5b_lokr"])
def test_another_familys_file_is_an_error_with_both_sizes(report: Callable, layout: str) -> None:
    with pytest.raises(ValueError) as error:
        report(layout)
    assert "(style.safetensors on the high expert)" in str(error.value)
    assert "(width 192, 2 blocks), not for this model: this expert is 128 wide and has 2 blocks" in str(error.value)


@pytest.mark.parametrize(("width", "blocks", "family"), [(3072, 30, "Wan TI2V-5B"), (1536, 30, "Wan 1.3B")])
def test_a_5b_or_1_3b_file_reads_every_key_of_a14b_and_changes_none(
    width: int, blocks: int, family: str, tiny: dict[str, ModelPatcher]
) -> None:
    found = found_on_a14b(tiny, width, blocks)
    assert "600 of 600 keys read, 0 of 300 weights changed" in summary(found)
    assert fatal(found) == (
        f"made for {family} (width {width}, {blocks} blocks), not for this model: "
        "this expert is 5120 wide and has 40 blocks"
    )


def test_a_few_weights_that_all_families_share_do_not_make_it_fit(tiny: dict[str, ModelPatcher]) -> None:
    head = {"diffusion_model.head.head.diff_b": torch.empty(64, device="meta")}
    found = found_on_a14b(tiny, 1536, 30, head)
    assert len(found.patches.changed) == 1
    assert "made for Wan 1.3B" in str(fatal(found))


def test_a_14b_file_fits_a14b(tiny: dict[str, ModelPatcher]) -> None:
    found = found_on_a14b(tiny, 5120, 40)
    assert fatal(found) is None
    assert "800 of 800 keys read, 400 of 400 weights changed" in summary(found)
    assert notes(found) == []


def found_on_a14b(tiny: dict[str, ModelPatcher], width: int, blocks: int, more: dict | None = None) -> Found:
    """A header for a model of this size, read for an A14B expert of the real size."""
    checkpoint = Checkpoint({**tiny[T2V].model.model_config.unet_config, **A14B}, 0)
    hidden = {5120: 13824, 3072: 14336, 1536: 8960}[width]
    sizes = {f"{kind}_attn.{letter}": (width, width) for kind in ("self", "cross") for letter in "qkvo"}
    sizes |= {"ffn.0": (hidden, width), "ffn.2": (width, hidden)}
    names = {
        f"diffusion_model.blocks.{block}.{module}.lora_{half}.weight": torch.empty(
            (16, columns) if half == "A" else (rows, 16), device="meta"
        )
        for block in range(blocks)
        for module, (rows, columns) in sizes.items()
        for half in "AB"
    }
    patches = find_patches({**names, **(more or {})}, "high", checkpoint.skeleton)
    return Found(ExpertLora(STYLE, "high", constant(1.0), STYLE), checkpoint, patches)


@pytest.mark.parametrize(
    ("layout", "problem"),
    [
        ("other_model_flux", f"{ALIEN}12 keys was understood. 12 keys: names of another model"),
        ("other_model_hunyuan", f"{ALIEN}12 keys was understood. 12 keys: names of another model"),
        (
            "stand_in",
            "It changes nothing: none of its 12 keys was understood. 12 keys: a side path that needs its own node",
        ),
        (
            "empty_file",
            "It changes nothing: none of its 1 keys was understood. 1 key: modules this expert doesn't have",
        ),
    ],
)
def test_a_file_that_matches_nothing_fails_at_apply(report: Callable, layout: str, problem: str) -> None:
    with pytest.raises(ValueError) as error:
        report(layout)
    assert str(error.value).startswith(f"LoRA row 1 (style.safetensors): {problem}")


@pytest.mark.parametrize(
    ("key", "model"),
    [
        ("lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_q", "Stable Diffusion"),
        ("diffusion_model.joint_blocks.0.x_block.attn.qkv", "Stable Diffusion 3"),
        ("transformer.transformer_blocks.0.img_mlp.net.2", "Qwen Image"),
        ("diffusion_model.transformer_blocks.0.attn1.to_q", "LTX Video, Qwen Image or another transformer"),
        ("lora_te1_text_model_encoder_layers_0_mlp_fc1", None),
        ("blocks.0.cross_attn.k_img", None),
    ],
)
def test_the_model_that_a_file_is_made_for_is_told_by_its_keys(key: str, model: str | None) -> None:
    assert other_model([f"{key}.lora_down.weight", "unknown"]) == model


def test_a_file_without_any_tensor_fails_at_apply(pair: Experts, loras: Callable) -> None:
    loras(STYLE, {})
    with pytest.raises(ValueError, match="It changes nothing: the file is empty"):
        apply_loras(pair, (LoraSpec(STYLE),))


def test_a_file_in_which_nothing_fits_fails_at_apply(tiny: dict[str, ModelPatcher], loras: Callable) -> None:
    loras(STYLE, {"diffusion_model.patch_embedding.diff": torch.zeros(128, 16, 1, 2, 2)})
    with pytest.raises(ValueError, match=r"None of its weights fits this expert: .*made for text to video"):
        apply_loras(Experts(Expert(ModelHandle(tiny[I2V], "high"))), (LoraSpec(STYLE),))


def test_half_an_adapter_is_an_incomplete_file(pair: Experts, loras: Callable, file_of: Callable) -> None:
    tensors = file_of("native_peft")
    del tensors["diffusion_model.blocks.1.ffn.2.lora_A.weight"]
    loras(STYLE, tensors)
    with pytest.raises(
        ValueError, match=r"incomplete: 'diffusion_model\.blocks\.1\.ffn\.2\.lora_A\.weight' is missing"
    ):
        apply_loras(pair, (LoraSpec(STYLE),))


def test_a_missing_file_says_where_to_put_it(pair: Experts, loras: Callable) -> None:
    with pytest.raises(
        FileNotFoundError, match=r"row 1 \(gone\.safetensors\): gone\.safetensors is not in models/loras"
    ):
        apply_loras(pair, (LoraSpec("gone.safetensors"),))


def test_a_web_page_saved_as_a_lora_says_so(pair: Experts, loras: Callable, tmp_path) -> None:
    (tmp_path / "loras" / STYLE).write_text("<html>log in first</html>")
    with pytest.raises(ValueError, match=r"row 1 .*truncated or not a safetensors file.*25 bytes"):
        apply_loras(pair, (LoraSpec(STYLE),))


def test_a_torch_file_is_read_too(pair: Experts, loras: Callable, file_of: Callable, tmp_path) -> None:
    torch.save({**file_of("native_peft"), "epoch": 3}, tmp_path / "loras" / "style.pt")
    assert "40 of 40 keys read" in apply_loras(pair, (LoraSpec("style.pt"),))[1]
    torch.save({"model": file_of("native_peft"), "epoch": 3}, tmp_path / "loras" / "style.pt")
    assert "40 of 40 keys read" in apply_loras(pair, (LoraSpec("style.pt"),))[1]


def test_an_expert_whose_file_is_missing_is_not_checked(loras: Callable, file_of: Callable) -> None:
    loras(STYLE, file_of("native_peft"))
    experts = Experts(*(Expert(MissingHandle(f"{role}.safetensors", "not there")) for role in ("high", "low")))
    _, text = apply_loras(experts, (LoraSpec(STYLE),))
    assert "high: style.safetensors at 1: not checked, because high.safetensors is not there" in text


def test_rows_are_numbered_and_an_error_names_its_own(pair: Experts, loras: Callable, file_of: Callable) -> None:
    loras(STYLE, file_of("native_peft"))
    loras("flux.safetensors", file_of("other_model_flux"))
    with pytest.raises(ValueError, match=r"LoRA row 2 \(flux\.safetensors\)"):
        apply_loras(pair, (LoraSpec(STYLE), LoraSpec("flux.safetensors")))


def test_a_single_expert_takes_rows_for_both(pair: Experts, loras: Callable, file_of: Callable) -> None:
    loras("style_low.safetensors", file_of("native_peft"))
    single, text = apply_loras(Experts(pair.high), (LoraSpec("style_low.safetensors"),))
    assert len(single.high.loras) == 1
    assert "high: style_low.safetensors at 1: 40 of 40 keys read" in text
    assert "warning" not in text


def test_a_single_expert_has_no_low_stage(report: Callable, pair: Experts) -> None:
    with pytest.raises(ValueError, match="transformer is 'low', but there is a single"):
        report(experts=Experts(pair.high), expert="low")


def test_nothing_is_opened_for_the_report(pair: Experts, report: Callable, saved: Callable) -> None:
    weights = pair.high.handle.open().model.diffusion_model.state_dict()
    path = saved(dict(weights), "model.safetensors")
    handle = FileHandle("model.safetensors", path, read_checkpoint(path))
    assert "20 of 20 weights changed" in report(experts=Experts(Expert(handle)))
    assert not handle.in_memory
