"""The real frontend on the real server, opened once a file: while it is open, no other test may run an event loop."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright
from wan_duet.dev.client import Client
from wan_duet.tests.browser.editor import Editor
from wan_duet.tests.browser.shipped import NAMES, SHIPPED

ARGS = [
    "--no-sandbox",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-background-networking",
    "--disable-component-update",
]

SMALL = {"width": 64, "height": 64, "length": 5, "steps": 4}
LENGTHS = {"key_frames": 25}  # one of its images is for frame 20


@pytest.fixture(scope="module")
def editor(chromium: Path, client: Client) -> Iterator[Editor]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGS)
        yield Editor(browser.new_page(viewport={"width": 1600, "height": 1000}), client)
        browser.close()


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
