"""A paid job as a person sees it: where it is, then its video, and a graph that is still the same."""

import json
import os
from pathlib import Path

from playwright.sync_api import sync_playwright
from wan_duet.tests.browser.conftest import ARGS
from wan_duet.tests.browser.editor import Editor
from wan_duet.tests.nodes.remote.conftest import Bench

WORKFLOW = Path(__file__).resolve().parents[3] / "workflows" / "remote_fal_text_to_video.json"
ALLOW = """() => app.graph.nodes.flatMap(node => node.widgets ?? []).forEach(
    widget => {
        if (widget.name.startsWith("allow_")) widget.value = true;
        if (widget.name.startsWith("max_cost_")) widget.value = 1;
    })"""
PREVIEWS = ("video-preview", "previewMode")  # widgets of the frontend's own, which change once they show something
SHOWN = "() => [...document.querySelectorAll('video')].some(video => video.videoWidth > 0)"
SAID = "() => app.graph.nodes.flatMap(node => node.widgets ?? []).map(widget => String(widget.value)).join('|')"


def test_a_paid_job_is_watched_and_its_graph_stays_the_same(bench: Bench, chromium: Path, tmp_path: Path) -> None:
    bench.fakes["fal"].running = 2.0
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGS)
        editor = Editor(browser.new_page(viewport={"width": 1600, "height": 1000}), bench.client)
        editor.load(json.loads(WORKFLOW.read_text(encoding="utf-8")))
        editor.page.evaluate(ALLOW)
        before = editor.prompt()
        editor.page.evaluate("() => app.queuePrompt(0, 1)")
        editor.page.wait_for_function(f"() => ({SAID})().includes('fal - running')")
        editor.page.wait_for_function(SHOWN)
        editor.page.wait_for_function(f"() => ({SAID})().includes('cost: ')")
        editor.picture(Path(os.environ.get("WAN_DUET_LOOK", tmp_path)) / "paid.jpg")
        editor.load(editor.save())
        after = editor.prompt()
        for node in (*before.values(), *after.values()):
            for name in PREVIEWS:
                node["inputs"].pop(name, None)
        assert (editor.errors, after) == ([], before)
        browser.close()
    assert bench.charges() == 1
