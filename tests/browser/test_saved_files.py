"""Saved files in a real browser: they play, and dropped on the canvas they bring the graph back."""

import base64
from pathlib import Path

import numpy as np
import pytest
import torch
from wan_duet.dev.client import Client, Prompt, outputs
from wan_duet.dev.server import Server
from wan_duet.tests.browser.editor import Editor
from wan_duet.tests.video.test_read import with_matrix
from wan_duet.video.clip import clip_of_images
from wan_duet.video.encode import write_video
from wan_duet.video.formats import EncoderSettings
from wan_duet.video.read import clip_of_file

MIME = {"mp4": "video/mp4", "webm": "video/webm", "mov": "video/quicktime"}
PROMPT_TEXT = 'a } brace, a "quote" and 雪'

BUILD = """([format, prefix, text, count]) => {
    app.graph.clear();
    const image = LiteGraph.createNode("EmptyImage"), save = LiteGraph.createNode("WanDuet_SaveVideo");
    const set = (node, values) => node.widgets.forEach(w => { if (w.name in values) w.value = values[w.name]; });
    image.title = text;
    app.graph.add(image);  // first: some frontends keep the values of a node by the id that it gets here
    app.graph.add(save);
    set(image, {width: 160, height: 96, batch_size: count, color: 0xaa5500});
    set(save, {format, filename_prefix: prefix, write_mode: "fast", quality: "maximum"});
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
    const {videoWidth: width, videoHeight: height, duration} = video;
    const context = new OffscreenCanvas(width, height).getContext("2d");
    context.drawImage(video, 0, 0);
    video.remove();
    const at = (x, y) => [...context.getImageData(x, y, 1, 1).data].slice(0, 3);
    const corners = [8, height - 8].map(y => [8, width - 8].map(x => at(x, y)));
    return {size: [width, height], duration, corners, colour: at(40, 40)};
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
    assert played["size"] == [160, 96]
    assert played["duration"] == pytest.approx(1.0, abs=0.07)
    assert played["colour"] == pytest.approx([0xAA, 0x55, 0x00], abs=6)


@pytest.mark.parametrize("format", ["mp4", "webm"])
def test_the_node_shows_its_video(
    editor: Editor, client: Client, server: Server, output_folder: str, format: str
) -> None:
    saved(editor, client, server, output_folder, format)
    editor.page.wait_for_function(SHOWN)


@pytest.mark.parametrize("matrix", [(0, 1, -1, 0), (-1, 0, 0, -1), (0, -1, 1, 0)])
def test_a_turned_file_is_read_as_the_browser_shows_it(
    editor: Editor, client: Client, server: Server, output_folder: str, matrix: tuple[int, int, int, int]
) -> None:
    images = torch.zeros(3, 96, 160, 3)
    images[:, :32, :32], images[:, :32, -32:], images[:, -32:, :32] = 1.0, 0.7, 0.35
    path = server.base / "output" / output_folder / f"turned{matrix.index(max(matrix))}{matrix[0]}.mp4"
    write_video(path, clip_of_images(images, 16.0), EncoderSettings(), {}, lambda: None)
    seen = editor.page.evaluate(PLAY, address(client, with_matrix(path, *matrix)))
    clip = clip_of_file(str(path))
    frame = next(clip.frames())
    assert seen["size"] == [clip.width, clip.height]
    assert np.array(seen["corners"]) == pytest.approx(frame[[[8], [-8]], [8, -8]].astype(float), abs=12)
