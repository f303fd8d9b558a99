"""The workflows that ship with the pack: each in two forms that agree, and fit for the host's nodes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from wan_duet.dev.client import Client, Prompt
from wan_duet.tests.data.object_info import Info, inputs, options, ours, problems, widgets

FOLDER = Path(__file__).resolve().parents[1] / "workflows"
NAMES = sorted(path.stem for path in FOLDER.glob("*.json"))
NOTES = ("Note", "MarkdownNote")  # the frontend's own, unknown to the server

# Nodes that no shipped workflow shows, and why
NOT_SHOWN = {
    "WanDuet_DualBlockCache": "takes the place of the First Block Cache",
    "WanDuet_MagCache": "takes the place of the First Block Cache",
    "WanDuet_SeaCache": "takes the place of the First Block Cache",
    "WanDuet_TeaCache": "takes the place of the First Block Cache",
    "WanDuet_ExpertsFromModels": "for MODELs of other loaders and for nodes in between: there is no one graph to show",
    "WanDuet_ModelsFromExperts": "for nodes in between: there is no one graph to show",
    "WanDuet_PoseFromKeypoints": "for the detectors of other packs, which may not be there",
    "WanDuet_ProviderScheduler": "one of two ways to a sampler and a scheduler: a plan has them already",
    "WanDuet_RetargetPose": "needs a reference image of a person, which the video of a test is not",
}


@pytest.fixture(scope="module")
def info(client: Client) -> Info:
    return client.object_info()


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def api_form(workflow: dict[str, Any], info: Info) -> Prompt:
    """What the browser queues for a saved workflow."""
    sources = {link[0]: [str(link[1]), link[2]] for link in workflow["links"]}
    prompt: Prompt = {}
    for node in workflow["nodes"]:
        if node["type"] in NOTES:
            continue
        values = _widget_values(node, info[node["type"]])
        linked = {i["name"]: sources[i["link"]] for i in node["inputs"] if i.get("link") is not None}
        prompt[str(node["id"])] = {"class_type": node["type"], "inputs": {**values, **linked}}
    return prompt


def _widget_values(node: dict[str, Any], declared: Info) -> dict[str, Any]:
    saved = iter(node["widgets_values"])
    values = {}
    for name in widgets(declared):
        if not node["type"].startswith("WanDuet_") and name in declared["input"].get("optional", {}):
            values.update(zip([name], saved, strict=False))  # not saved if the host has had it only since
            continue
        values[name] = next(saved)
        if options(inputs(declared)[name]).get("control_after_generate"):
            next(saved)  # "randomize" and the like, a widget of the browser's own
    assert not list(saved), f"{node['type']} saves more values than it has widgets"
    return values


def test_every_workflow_has_both_forms() -> None:
    assert sorted(path.stem for path in (FOLDER / "api").glob("*.json")) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_the_two_forms_agree(info: Info, name: str) -> None:
    api = _read(FOLDER / "api" / f"{name}.json")
    queued = {node_id: {key: node[key] for key in ("class_type", "inputs")} for node_id, node in api.items()}
    assert api_form(_read(FOLDER / f"{name}.json"), info) == queued


@pytest.mark.parametrize("name", NAMES)
def test_a_workflow_fits_the_hosts_nodes(info: Info, name: str) -> None:
    assert list(problems(_read(FOLDER / "api" / f"{name}.json"), info)) == []


@pytest.mark.parametrize("name", NAMES)
def test_no_node_of_a_workflow_is_muted_or_bypassed(name: str) -> None:
    assert {node["mode"] for node in _read(FOLDER / f"{name}.json")["nodes"]} == {0}


@pytest.mark.parametrize("name", NAMES)
def test_each_model_with_an_address_is_named_by_its_node(name: str) -> None:
    """The frontend offers to download only the files that a widget names."""
    for node in _read(FOLDER / f"{name}.json")["nodes"]:
        offered = {model["name"] for model in node.get("properties", {}).get("models", [])}
        assert offered <= set(node.get("widgets_values") or []), node["type"]


def test_every_node_is_shown_or_there_is_a_reason(info: Info) -> None:
    shown = {node["type"] for name in NAMES for node in _read(FOLDER / f"{name}.json")["nodes"]}
    assert ours(info).keys() - shown == NOT_SHOWN.keys()


def _rename(prompt: Prompt) -> None:
    prompt["1"]["class_type"] = "WanDuet_Vanished"


def _drop(prompt: Prompt) -> None:
    del prompt["8"]["inputs"]["steps"]


def _add(prompt: Prompt) -> None:
    prompt["8"]["inputs"]["vanished"] = 1


def _misspell(prompt: Prompt) -> None:
    prompt["8"]["inputs"]["sampler"] = "eular"


def _exceed(prompt: Prompt) -> None:
    prompt["8"]["inputs"]["steps"] = 0


def _misconnect(prompt: Prompt) -> None:
    prompt["8"]["inputs"]["experts"] = ["1", 1]


def _dangle(prompt: Prompt) -> None:
    prompt["8"]["inputs"]["experts"] = ["1", 2]


@pytest.mark.parametrize("spoil", [_rename, _drop, _add, _misspell, _exceed, _misconnect, _dangle])
def test_the_check_sees_a_spoilt_workflow(info: Info, spoil: Callable[[Prompt], None]) -> None:
    prompt = _read(FOLDER / "api" / "text_to_video.json")
    spoil(prompt)
    assert list(problems(prompt, info))
