"""The real frontend on the real server, opened once a file: while it is open, no other test may run an event loop."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright
from wan_duet.dev.client import Client
from wan_duet.tests.browser.editor import Editor

ARGS = [
    "--no-sandbox",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-background-networking",
    "--disable-component-update",
]


@pytest.fixture(scope="module")
def editor(chromium: Path, client: Client) -> Iterator[Editor]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGS)
        yield Editor(browser.new_page(viewport={"width": 1600, "height": 1000}), client)
        browser.close()
