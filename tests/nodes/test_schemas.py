"""The nodes as saved workflows and people know them: what changes here must change on purpose.

After such a change: WAN_DUET_REGENERATE=1 python3 dev/test.py tests/nodes/test_schemas.py. It does not store widgets
that have moved, because workflows save their values by position. Until 0.1.0 one may take the node out of
object_info.json by hand first, and say so in the CHANGELOG; after 0.1.0 never.
"""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from wan_duet.dev.client import Client
from wan_duet.tests.data.object_info import Info, inputs, options, ours, widgets

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "tests" / "data" / "object_info.json"
STORED = json.loads(FILE.read_text(encoding="utf-8")) if FILE.is_file() else {"comfyui": None, "nodes": {}}
REGENERATE = "WAN_DUET_REGENERATE" in os.environ
MOST_WIDGETS = 8
SAFE_INTEGER = 2**53  # beyond it a browser's numbers have gaps


@pytest.fixture(scope="module")
def live(client: Client) -> Info:
    return ours(client.object_info())


@pytest.fixture(scope="module")
def host_version(client: Client) -> str:
    return client.request("/system_stats")["system"]["comfyui_version"]


def moved(old: Info, new: Info) -> list[str]:
    """The nodes whose new widgets do not begin with the old ones."""
    order = {name: (widgets(node), widgets(new[name]) if name in new else []) for name, node in old.items()}
    return [name for name, (before, after) in order.items() if after[: len(before)] != before]


def test_saved_widget_values_still_mean_what_they_meant(live: Info) -> None:
    assert moved(STORED["nodes"], live) == []


def test_every_schema_is_the_stored_one(live: Info, host_version: str) -> None:
    if REGENERATE and not moved(STORED["nodes"], live):
        FILE.write_text(json.dumps({"comfyui": host_version, "nodes": live}, indent=1) + "\n", encoding="utf-8")
    elif host_version == STORED["comfyui"]:
        assert live == STORED["nodes"]
    else:
        assert live.keys() == STORED["nodes"].keys()
        told = {name: {field: live[name].get(field) for field in node} for name, node in STORED["nodes"].items()}
        assert _without_choices(told) == _without_choices(STORED["nodes"])


def _without_choices(value: Any) -> Any:
    """A description but for what combos offer: some of it, such as the samplers, is the host's own."""
    if isinstance(value, dict):
        return {key: _without_choices(item) for key, item in value.items() if key != "options"}
    return [_without_choices(item) for item in value] if isinstance(value, list) else value


def test_a_moved_widget_is_seen_and_an_added_one_is_welcome() -> None:
    def node(*names: str) -> Info:
        return {"input": {"required": {"experts": ["WAN_EXPERTS"], **{name: ["INT", {}] for name in names}}}}

    old = {"kept": node("steps"), "longer": node("steps"), "swapped": node("a", "b"), "lost": node("a")}
    new = {"kept": node("steps"), "longer": node("steps", "cfg"), "swapped": node("b", "a"), "young": node("a")}
    assert moved(old, new) == ["swapped", "lost"]


def _each(nodes: Info) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("name", sorted(nodes))


@_each(STORED["nodes"])
def test_a_node_explains_itself(live: Info, name: str) -> None:
    node = live[name]
    assert node["description"] and node["display_name"]
    assert node["category"].startswith("Wan Duet/")
    assert [key for key, declared in inputs(node).items() if not options(declared).get("tooltip")] == []
    tooltips = dict(zip(node["output_name"], node["output_tooltips"], strict=True))
    assert [key for key, tooltip in tooltips.items() if not tooltip] == []


@_each(STORED["nodes"])
def test_a_node_has_a_help_page(name: str) -> None:
    page = ROOT / "web" / "docs" / f"{name}.md"
    assert page.is_file() and page.read_text(encoding="utf-8").strip()


def test_there_is_no_help_page_without_a_node(live: Info) -> None:
    assert {page.stem for page in (ROOT / "web" / "docs").glob("*.md")} <= live.keys()


@_each(STORED["nodes"])
def test_a_node_shows_few_widgets_and_folds_the_others_away(live: Info, name: str) -> None:
    declared = inputs(live[name])
    shown = [widget for widget in widgets(live[name]) if not options(declared[widget]).get("advanced")]
    assert len(shown) <= MOST_WIDGETS


@_each(STORED["nodes"])
def test_a_browser_can_hold_every_integer(live: Info, name: str) -> None:
    ints = {key: options(declared) for key, declared in inputs(live[name]).items() if declared[0] == "INT"}
    assert all(-SAFE_INTEGER < bound["min"] <= bound["max"] < SAFE_INTEGER for bound in ints.values())
