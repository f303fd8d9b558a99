"""Saved files in a real browser: they play, and dropped on the canvas they bring the graph back."""

import base64
from pathlib import Path

import pytest
from wan_duet.dev.client import Client, Prompt, outputs
from wan_duet.dev.server import Server
from wan_duet.tests.browser.editor import Editor

MIME = {"mp4": "video/mp4", "webm": "video/webm", "mov": "video/quicktime"}
PROMPT_TEXT = 'a } brace, a "quote" and 雪'

BUILD = """([format, prefix, text, count]) => {
    app.graph.clear();
    const image = LiteGraph.createNode("EmptyImage"), save = LiteGraph.createNode("WanDuet_SaveVideo");
    const set = (node, values) => node.widgets.forEach(w => { if (w.name in values) w.value = values[w.name]; });
    set(image, {width: 160, height: 96, batch_size: count, color: 0xaa5500});
    set(save, {format, filename_prefix: prefix, write_mode: "fast", quality: "maximum"});
    image.title = text;
    app.graph.add(image);
    app.graph.add(save);
    image.connect(0, save, 0);
}"""
DROP = """async ([content, name, type]) => {
    const bytes = Uint8Array.from(atob(content), letter => letter.charCodeAt(0));
    const carried = new DataTransfer();
    carried.items.add(new File([bytes], name, {type}));
    const canvas = document.querySelector("#graph-canvas");
    canvas.dispatchEvent(new DragEvent("drop", {dataTransfer: carried, bubbles: true, cancelable: true}));
}"""
PLAY = """async address => {
    const video = document.createElement("video");
    video.muted = true;
    video.src = address;
    document.body.append(video);
    await video.play();
    await new Promise((done, failed) => { video.onended = done; video.onerror = () => failed(video.error.message); });
    const context = new OffscreenCanvas(1, 1).getContext("2d");
    context.drawImage(video, 40, 40, 1, 1, 0, 0, 1, 1);
    const {videoWidth, videoHeight, duration} = video;
    video.remove();
    return {videoWidth, videoHeight, duration, colour: [...context.getImageData(0, 0, 1, 1).data].slice(0, 3)};
}"""
LOADED = """name => app.graph.nodes.length === 2
    && app.extensionManager.workflow.activeWorkflow?.filename?.includes(name)"""
SHOWN = "() => [...document.querySelectorAll('video')].some(video => video.videoWidth === 160)"


def saved(editor: Editor, client: Client, server: Server, output_folder: str, format: str, count: int = 16) -> Path:
    """The file that a small graph, built and queued in the editor, has saved."""
    editor.errors.clear()
    editor.page.evaluate(BUILD, [format, f"{output_folder}/dropped", PROMPT_TEXT, count])
    with editor.page.expect_response("**/api/prompt") as sent:
        editor.page.evaluate("() => app.queuePrompt(0, 1)")
    (file,) = outputs(client.wait(sent.value.json()["prompt_id"]))
    return server.base / file


def without_preview(prompt: Prompt) -> Prompt:
    """The frontend shows a finished video in a widget, which it counts among the inputs once the video is there."""
    for node in prompt.values():
        node["inputs"].pop("video-preview", None)
    return prompt


def address(client: Client, path: Path) -> str:
    return f"{client.url}/view?filename={path.name}&subfolder={path.parent.name}&type=output"


@pytest.mark.parametrize("format", MIME)
def test_a_file_dropped_on_the_canvas_brings_the_graph_back(
    editor: Editor, client: Client, server: Server, output_folder: str, format: str
) -> None:
    path = saved(editor, client, server, output_folder, format)
    before = without_preview(editor.prompt())
    editor.page.evaluate("() => app.graph.clear()")
    assert editor.nodes() == []
    content = base64.b64encode(path.read_bytes()).decode()
    editor.page.evaluate(DROP, [content, path.name, MIME[format]])
    editor.page.wait_for_function(LOADED, arg=path.stem)
    assert without_preview(editor.prompt()) == before
    assert PROMPT_TEXT in {node["title"] for node in editor.nodes()}
    assert (editor.errors, editor.alerts()) == ([], [])


@pytest.mark.parametrize("format", MIME)
def test_a_file_plays_to_its_end_in_its_colours(
    editor: Editor, client: Client, server: Server, output_folder: str, format: str
) -> None:
    path = saved(editor, client, server, output_folder, format)
    played = editor.page.evaluate(PLAY, address(client, path))
    assert (played["videoWidth"], played["videoHeight"]) == (160, 96)
    assert played["duration"] == pytest.approx(1.0, abs=0.07)
    assert played["colour"] == pytest.approx([0xAA, 0x55, 0x00], abs=6)


@pytest.mark.parametrize("format", ["mp4", "webm"])
def test_the_node_shows_its_video(
    editor: Editor, client: Client, server: Server, output_folder: str, format: str
) -> None:
    saved(editor, client, server, output_folder, format)
    editor.page.wait_for_function(SHOWN)
