"""Every workflow we ship, in the frontend that its users will open it in.

WAN_DUET_SCREENSHOTS=FOLDER keeps the pictures; with `workflows` as FOLDER they are the templates' thumbnails.
"""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from wan_duet.dev.client import Client, Prompt
from wan_duet.tests.browser.editor import Editor
from wan_duet.tests.browser.shipped import FREE, NAMES, PAID, SHIPPED
from wan_duet.tests.data.object_info import Info, inputs, options, widgets


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


def picture_of(name: str, otherwise: Path) -> Path:
    """Where the picture of a workflow is kept."""
    return Path(os.environ.get("WAN_DUET_SCREENSHOTS", otherwise)).resolve() / f"{name}.jpg"


def words_by_line(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines() if line.strip()]


def test_a_workflow_opens_without_a_complaint(name: str, opened: Editor, tmp_path: Path) -> None:
    assert [node["type"] for node in opened.nodes() if node["broken"]] == []
    assert opened.alerts() == []
    assert opened.errors == []
    if name in PAID:  # the others are pictured with their reports
        opened.picture(picture_of(name, tmp_path))


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
