"""The page that takes the providers' keys: a key goes in, and never comes back."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Request
from wan_duet.dev.server import Server
from wan_duet.tests.browser.editor import Editor

KEY = "planted-key-in-a-browser"
EVERYTHING = """() => JSON.stringify([document.documentElement.outerHTML, {...localStorage}, {...sessionStorage},
    [...document.querySelectorAll("input")].map(field => field.value), app.graph.serialize()])"""


@pytest.fixture
def keys(server: Server) -> Iterator[Path]:
    """The server's file of keys, absent before and after."""
    file = server.base / "user" / "__wan_duet" / "keys.json"
    file.unlink(missing_ok=True)
    yield file
    file.unlink(missing_ok=True)


@pytest.fixture
def page(editor: Editor) -> Iterator[Locator]:
    """The settings of the pack, open."""
    editor.errors.clear()
    editor.page.evaluate("() => app.extensionManager.command.execute('Comfy.ShowSettingsDialog')")
    dialog = editor.page.get_by_role("dialog")
    dialog.get_by_text("Wan Duet", exact=True).first.click()
    yield dialog
    editor.page.keyboard.press("Escape")
    dialog.wait_for(state="detached")


def enter_code(row: Locator, server: Server) -> None:
    """Copy the code from the terminal, and save once more."""
    row.get_by_text("Enter the code that the server's terminal shows now").wait_for()
    code = re.findall(r"the code for the settings page is (\w{8}),", server.log_text())[-1]
    row.get_by_role("textbox", name="code").fill(code)
    row.get_by_role("button").click()


def test_a_key_is_taken_and_only_said_to_be_set(
    editor: Editor, page: Locator, keys: Path, server: Server, tmp_path: Path
) -> None:
    sent: list[Request] = []
    editor.page.on("request", lambda request: sent.append(request))
    field = page.get_by_role("textbox", name="fal key")
    row = field.locator("..")
    row.get_by_text("not set").wait_for()
    field.fill(KEY)
    row.get_by_role("button").click()
    enter_code(row, server)
    row.get_by_text("set", exact=True).wait_for()
    editor.page.screenshot(path=Path(os.environ.get("WAN_DUET_LOOK", tmp_path), "keys.png"))
    assert json.loads(keys.read_text(encoding="utf-8")) == {"default": {"fal": KEY}}
    assert field.input_value() == ""
    carrying = [request.url for request in sent if KEY in (request.post_data or "") + request.url]
    assert [url.rsplit("/", 2)[1:] for url in carrying] == [["wan_duet", "keys"]] * 2
    assert KEY not in editor.page.evaluate(EVERYTHING)
    row.get_by_role("button").click()
    enter_code(row, server)  # with nothing in the field: taken out again
    row.get_by_text("not set").wait_for()
    assert (json.loads(keys.read_text(encoding="utf-8")), editor.errors) == ({}, [])


def test_a_refusal_is_shown(page: Locator, keys: Path, server: Server) -> None:
    field = page.get_by_role("textbox", name="Runware key")
    field.fill("two words")
    field.locator("..").get_by_role("button").click()
    enter_code(field.locator(".."), server)
    field.locator("..").get_by_text("has a character that no key has").wait_for()
    assert not keys.exists()
