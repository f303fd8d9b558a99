"""Every workflow we ship, in the frontend that its users will open it in.

WAN_DUET_SCREENSHOTS=FOLDER keeps the pictures; with `workflows` as FOLDER they are the templates' thumbnails.
"""

import json
import os
from itertools import combinations, product
from pathlib import Path
from typing import Any

import pytest
from wan_duet.dev.client import Client, Prompt
from wan_duet.tests.browser.editor import Editor
from wan_duet.tests.data.object_info import Info, inputs, options, widgets

SHIPPED = Path(__file__).resolve().parents[2] / "workflows"
NAMES = sorted(path.stem for path in SHIPPED.glob("*.json"))
PAID = [name for name in NAMES if "allow_paid" in (SHIPPED / "api" / f"{name}.json").read_text(encoding="utf-8")]
FREE = [name for name in NAMES if name not in PAID]
SMALL = {"width": 64, "height": 64, "length": 5, "steps": 4}
LENGTHS = {"key_frames": 25}  # one of its images is for frame 20
Box = list[float]


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def opened(name: str, editor: Editor) -> Editor:
    """The editor with one shipped workflow in it."""
    editor.load(json.loads((SHIPPED / f"{name}.json").read_text(encoding="utf-8")))
    return editor


@pytest.fixture
def ran(name: str, opened: Editor, client: Client) -> Editor:
    """The editor with one shipped workflow that has made a small video and shows all it has to say."""
    client.free()  # a node whose result is remembered does not say it again
    opened.limit(**{**SMALL, "length": LENGTHS.get(name, SMALL["length"])})
    opened.queue()
    return opened


def what_is_sent(prompt: Prompt, client: Client) -> dict[str, tuple[str, dict[str, Any]]]:
    """Each node's class and inputs, less what the frontend adds for its own display."""
    known = {name: inputs(node) for name, node in client.object_info().items()}
    return {
        node_id: (node["class_type"], {k: v for k, v in node["inputs"].items() if k in known[node["class_type"]]})
        for node_id, node in prompt.items()
    }


def gained(declared: Info, node: dict[str, Any]) -> dict[str, Any]:
    """The widgets that a newer host's own node has besides those of 0.3.75, at their defaults."""
    if node["class_type"].startswith("WanDuet_"):
        return {}
    missing = [name for name in widgets(declared) if name not in node["inputs"]]
    return {name: options(inputs(declared)[name]).get("default") for name in missing}


def overlap(a: Box, b: Box) -> bool:
    return all(a[side] < b[side] + b[side + 2] and b[side] < a[side] + a[side + 2] for side in (0, 1))


def inside(inner: Box, outer: Box) -> bool:
    return all(
        outer[side] <= inner[side] and inner[side] + inner[side + 2] <= outer[side] + outer[side + 2] for side in (0, 1)
    )


def picture_of(name: str, otherwise: Path) -> Path:
    """Where the picture of a workflow is kept."""
    return Path(os.environ.get("WAN_DUET_SCREENSHOTS", otherwise)).resolve() / f"{name}.jpg"


def words_by_line(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines() if line.strip()]


def test_a_workflow_opens_without_a_complaint(opened: Editor) -> None:
    assert [node["type"] for node in opened.nodes() if node["broken"]] == []
    assert opened.alerts() == []
    assert opened.errors == []


def test_a_workflow_sends_what_its_api_form_says(name: str, opened: Editor, client: Client) -> None:
    api: Prompt = json.loads((SHIPPED / "api" / f"{name}.json").read_text(encoding="utf-8"))
    info = client.object_info()
    said = {
        node_id: (node["class_type"], {**gained(info[node["class_type"]], node), **node["inputs"]})
        for node_id, node in api.items()
    }
    assert what_is_sent(opened.prompt(), client) == said


def test_a_workflow_sends_the_same_after_it_was_saved_and_opened_again(opened: Editor, client: Client) -> None:
    before = what_is_sent(opened.prompt(), client)
    opened.load(opened.save())
    assert what_is_sent(opened.prompt(), client) == before


@pytest.mark.parametrize("name", FREE, indirect=True)
def test_a_workflow_that_has_run_sends_the_same_after_it_was_saved_and_opened_again(
    ran: Editor, client: Client
) -> None:
    before = what_is_sent(ran.prompt(), client)
    assert (ran.errors, ran.alerts()) == ([], [])
    ran.load(ran.save())
    assert what_is_sent(ran.prompt(), client) == before
    assert (ran.errors, ran.alerts()) == ([], [])


@pytest.mark.parametrize("name", FREE, indirect=True)
def test_nodes_lie_apart_and_each_in_a_group_after_a_run(ran: Editor) -> None:
    check_layout(ran)


@pytest.mark.parametrize("name", PAID, indirect=True)
def test_nodes_lie_apart_and_each_in_a_group_where_a_run_is_paid(name: str, opened: Editor, tmp_path: Path) -> None:
    opened.picture(picture_of(name, tmp_path))
    check_layout(opened)


def check_layout(editor: Editor) -> None:
    """No node lies over another one, and each lies in a group, however it is drawn and with all of its inputs."""
    for vue, advanced in product((False, True), repeat=2):
        editor.render(vue=vue)
        editor.show_advanced(shown=advanced)
        nodes = editor.nodes()
        groups = [group["bounding"] for group in editor.save()["groups"]]
        over = [(a["title"], b["title"]) for a, b in combinations(nodes, 2) if overlap(a["box"], b["box"])]
        working = [node for node in nodes if not node["virtual"]]
        outside = [node["title"] for node in working if not any(inside(node["box"], group) for group in groups)]
        assert (over, outside) == ([], []), f"{vue=}, {advanced=}"


@pytest.mark.parametrize("name", FREE, indirect=True)
def test_the_reports_can_be_queued_alone_and_keep_their_lines(
    name: str, opened: Editor, client: Client, tmp_path: Path
) -> None:
    client.free()
    opened.queue_previews()
    opened.picture(picture_of(name, tmp_path))
    assert opened.previews()
    for text, seen in opened.previews():
        assert words_by_line(seen) == words_by_line(text)


def test_every_workflow_is_a_template_with_a_picture(client: Client) -> None:
    assert sorted(client.request("/workflow_templates")["wan-duet"]) == NAMES
    assert sorted(path.stem for path in SHIPPED.glob("*.jpg")) == NAMES
