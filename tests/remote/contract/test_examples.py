"""The example requests of the documents come out of the builder as they are printed."""

import json
from pathlib import Path
from typing import Any

import pytest
from wan_duet.remote.contract.build import InvalidRequest, build
from wan_duet.remote.contract.contracts import contract, contracts

EXAMPLES = json.loads((Path(__file__).parents[2] / "data" / "remote_examples.json").read_text(encoding="utf-8"))
TURBO = "runware/wan22_a14b_turbo"
RIVYA = "rivya/wan22_a14b_turbo"
UUID = "aac49721-1964-481a-ae78-8a4e29b91402"


def paths(request: dict[str, Any], under: str = "") -> dict[str, Any]:
    """A request as a person sets it: dotted paths to values."""
    flat: dict[str, Any] = {}
    for name, value in request.items():
        flat |= paths(value, f"{under}{name}.") if isinstance(value, dict) else {f"{under}{name}": value}
    return flat


@pytest.mark.parametrize(
    ("endpoint", "example"),
    [(name, example) for name in EXAMPLES if name in contracts() and name != RIVYA for example in EXAMPLES[name]],
)
def test_a_documented_request_comes_out_equal(endpoint: str, example: dict[str, Any]) -> None:
    built = build(contract(endpoint), paths(example))
    assert (built.request, built.dropped, built.warnings) == (example, (), ())


@pytest.mark.parametrize("images", EXAMPLES["frameImages"])
def test_documented_frame_images_come_out_equal(images: list[dict[str, Any]]) -> None:
    built = build(contract(TURBO), {"taskUUID": UUID, "positivePrompt": "a cat", "inputs.frameImages": images})
    assert built.request["inputs"] == {"frameImages": images}


AUDIO_ONLY = ("num_frames", "frames_per_second", "negative_prompt", "num_inference_steps", "guidance_scale", "shift")
DROPPED_AS_TEXT = {f"params.{name}" for name in (*AUDIO_ONLY, "enable_safety_checker")}


@pytest.mark.parametrize(
    ("example", "dropped"),
    list(zip(EXAMPLES[RIVYA], [DROPPED_AS_TEXT, DROPPED_AS_TEXT | {"params.aspect_ratio"}], strict=True)),
    ids=["text", "image"],
)
def test_rivyas_examples_keep_what_their_mode_takes(example: dict[str, Any], dropped: set[str]) -> None:
    built = build(contract(RIVYA), paths(example))
    assert set(built.dropped) == dropped
    kept = {name: value for name, value in example["params"].items() if f"params.{name}" not in dropped}
    assert built.request == {**example, "params": kept}


def test_unset_stays_absent_and_a_default_that_is_set_is_sent() -> None:
    values = {"prompt": "a cat", "num_frames": 81, "seed": None, "shift": None}
    assert build(contract("fal-ai/wan/v2.2-a14b/text-to-video"), values).request == {
        "prompt": "a cat",
        "num_frames": 81,
    }


def test_a_number_that_a_widget_has_added_up_is_the_number_that_was_meant() -> None:
    values = {"taskUUID": UUID, "positivePrompt": "a cat", "CFGScale": 0.1 + 0.2}
    loras = [{"model": "civitai:1@2", "weight": 0.1 + 0.7}]
    request = build(contract(TURBO), {**values, "lora": loras}).request
    assert (request["CFGScale"], request["lora"][0]["weight"]) == (0.3, 0.8)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_number_that_is_none_is_refused(value: float) -> None:
    with pytest.raises(InvalidRequest, match="CFGScale is"):
        build(contract(TURBO), {"taskUUID": UUID, "positivePrompt": "a cat", "CFGScale": value})


def test_a_number_beyond_all_bounds_is_refused() -> None:
    with pytest.raises(InvalidRequest, match=r"CFGScale is 1e\+30; max: "):
        build(contract(TURBO), {"taskUUID": UUID, "positivePrompt": "a cat", "CFGScale": 1e30})


@pytest.mark.parametrize("item", [{}, {"a": 1}, [], 3])
def test_an_item_that_should_be_a_text_is_refused_by_its_place(item: Any) -> None:
    values = {"taskUUID": UUID, "inputs.referenceImages": [item], "inputs.referenceVideos": [UUID]}
    with pytest.raises(InvalidRequest) as refused:
        build(contract("runware/wan22_animate"), values)
    assert [(one.path, one.rule) for one in refused.value.violations] == [("inputs.referenceImages[0]", "type")]


def test_a_refused_request_names_path_rule_value_and_what_is_allowed() -> None:
    with pytest.raises(InvalidRequest) as refused:
        build(contract("fal-ai/wan/v2.2-14b/speech-to-video"), {"prompt": "hi", "num_frames": 81, "image_url": "x"})
    text = str(refused.value)
    assert "num_frames is 81; multiple_of: 4" in text
    assert "image_url is 'x'; format: uri or data-uri" in text
    assert "audio_url is missing" in text


def test_a_model_id_can_be_changed() -> None:
    changed = contract(TURBO).with_model("runware:200@6")
    built = build(changed, {"taskUUID": UUID, "positivePrompt": "a cat"})
    assert built.request["model"] == "runware:200@6"


def test_what_has_no_effect_is_said() -> None:
    values = {"prompt": "a cat", "interpolator_model": "none", "num_interpolated_frames": 2}
    assert build(contract("fal-ai/wan/v2.2-a14b/text-to-video"), values).warnings == (
        "num_interpolated_frames is ignored when interpolator_model is none",
    )
