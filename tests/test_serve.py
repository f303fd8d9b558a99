"""The workflows as dev/serve.py offers them: small enough for a CPU, for models that are there."""

import json
from pathlib import Path

import pytest
from wan_duet.dev.small import LENGTH, small, write_small
from wan_duet.tests.test_workflows import FOLDER, NAMES

SIDE = 128  # pixels
SIZED = ("EmptyHunyuanLatentVideo", "WanDuet_Size")


@pytest.mark.parametrize("name", NAMES)
def test_a_small_workflow_differs_in_its_sizes_its_prompt_and_its_note_alone(name: str) -> None:
    workflow = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    made = small(workflow, SIDE, "a red circle", "About")
    for before, after in zip(workflow["nodes"], made["nodes"], strict=True):
        assert {**before, "widgets_values": None} == {**after, "widgets_values": None}
        if before.get("widgets_values") != after.get("widgets_values"):
            assert before["type"] in (*SIZED, "MarkdownNote", "Note") or before["title"] == "Prompt"
        numbers = [value for value in after.get("widgets_values") or [] if type(value) is int]
        if after["type"] in SIZED:
            assert len(before["widgets_values"]) == len(after["widgets_values"]) and max(numbers) <= SIDE
        if after["type"] == "EmptyHunyuanLatentVideo":
            assert numbers[2] in (1, LENGTH)


def test_only_workflows_whose_models_are_there_are_offered(tmp_path: Path) -> None:
    assert write_small(FOLDER, tmp_path, SIDE, None, "About") == []
    for node in json.loads((FOLDER / "text_to_video.json").read_text(encoding="utf-8"))["nodes"]:
        for model in node.get("properties", {}).get("models", []):
            file = tmp_path / "models" / model["directory"] / model["name"]
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
    names = write_small(FOLDER, tmp_path, SIDE, None, "About")
    assert "small text_to_video" in names and "small image_to_video" not in names
    written = json.loads((tmp_path / "user/default/workflows/small text_to_video.json").read_text(encoding="utf-8"))
    assert [node["type"] for node in written["nodes"]]
