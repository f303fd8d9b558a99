"""The saved file, through the node and over HTTP: what it holds, says and shows."""

import json
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import av
import pytest
from PIL import Image
from wan_duet.dev.client import Client, PromptError, outputs
from wan_duet.dev.server import Server
from wan_duet.tests.nodes.graph import Graph, Node, Result, Runner
from wan_duet.tests.video.conftest import click, ramp
from wan_duet.tests.video.test_read import with_matrix
from wan_duet.video.clip import clip_of_images
from wan_duet.video.encode import write_video
from wan_duet.video.formats import EncoderSettings
from wan_duet.video.metadata import RECEIPT
from wan_duet.video.read import clip_of_file

Files = dict[str, str]
USUAL = {
    "filename_prefix": "clip",
    "format": "mp4",
    "quality": "high",
    "write_mode": "fast",
    "fps": 0.0,
    "reverse": False,
}


def save(graph: Graph, video: Node | list[Any], **settings: Any) -> Node:
    return graph.add("WanDuet_SaveVideo", video=video, **{**USUAL, **settings})


def images(graph: Graph, count: int = 5) -> Node:
    return graph.add("EmptyImage", width=64, height=48, batch_size=count, color=0x406080)


def file_of(result: Result, node: Node) -> Path:
    (file,) = outputs({"outputs": {node.id: result.entry["outputs"][node.id]}})
    return result.base / file


def texts_of(path: Path) -> dict[str, str]:
    with av.open(str(path)) as found:
        return {name.lower(): value for name, value in found.metadata.items()}


@pytest.fixture
def source(server: Server) -> Iterator[str]:
    """The name of a video with sound in the server's input folder."""
    path = server.base / "input" / "test-source.mp4"
    write_video(path, clip_of_images(ramp(12, 64, 48), 24.0, click(0.5, 0.25)), EncoderSettings(), {}, lambda: None)
    yield path.name
    path.unlink()


@pytest.fixture
def early(server: Server) -> Iterator[str]:
    """The same, with its click at a tenth of a second."""
    path = server.base / "input" / "test-early.mp4"
    write_video(path, clip_of_images(ramp(12, 64, 48), 24.0, click(0.5, 0.1)), EncoderSettings(), {}, lambda: None)
    yield path.name
    path.unlink()


@pytest.mark.parametrize("format", ["mp4", "webm", "mov"])
def test_images_become_a_video_that_the_node_shows(run: Runner, graph: Graph, format: str) -> None:
    node = save(graph, images(graph), format=format)
    name, report = graph.show(node[0]), graph.show(node[1])
    result = run(graph)
    path = file_of(result, node)
    assert result.entry["outputs"][node.id].keys() == {"images", "animated"}
    assert result.entry["outputs"][node.id]["animated"] == [True]
    clip = clip_of_file(str(path))
    assert (clip.width, clip.height, clip.fps, len(list(clip.frames()))) == (64, 48, 16, 5)
    assert result.base / "output" / result.text(name) == path
    assert result.text(report).startswith(f"{path.name}: 64x48, 5 frames at 16 fps, 0.31 s, 0.0")


def test_the_report_gives_the_size_in_the_file(run: Runner, graph: Graph) -> None:
    odd = graph.add("EmptyImage", width=65, height=47, batch_size=1, color=0)
    video, still = (graph.show(save(graph, odd, format=format)[1]) for format in ("mp4", "png"))
    result = run(graph)
    assert ": 64x46, 1 frames" in result.text(video) and ": 65x47, an image" in result.text(still)


def test_files_do_not_overwrite_each_other(run: Runner, graph: Graph) -> None:
    pictures = images(graph)
    nodes = [save(graph, pictures), save(graph, pictures, reverse=True)]
    result = run(graph)
    first, second = (file_of(result, node) for node in nodes)
    assert first != second and first.exists() and second.exists()


def test_a_video_keeps_its_frame_rate_and_its_sound(run: Runner, graph: Graph, source: str) -> None:
    video = graph.add("LoadVideo", file=source)
    kept, slow, back = (
        save(graph, video, format="webm"),
        save(graph, video, fps=12.0),
        save(graph, video, reverse=True),
    )
    made = save(graph, graph.add("CreateVideo", images=images(graph), fps=30.0))
    result = run(graph)
    clips = [clip_of_file(str(file_of(result, node))) for node in (kept, slow, back, made)]
    assert [float(clip.fps) for clip in clips] == [24, 12, 24, 30]
    assert [clip.sound() is not None for clip in clips] == [True, True, True, False]
    assert [len(list(clip.frames())) for clip in clips] == [12, 12, 12, 5]


def heard(path: Path) -> float:
    """The second at which a file's click is heard."""
    sound = clip_of_file(str(path)).sound()
    assert sound is not None
    return int(sound["waveform"].abs().amax(dim=(0, 1)).argmax()) / sound["sample_rate"]


def test_a_reversed_video_takes_its_own_sound_along_and_leaves_another_as_it_is(
    run: Runner, graph: Graph, early: str, source: str
) -> None:
    video, other = graph.add("LoadVideo", file=early), graph.add("LoadVideo", file=source)
    loaded = graph.add("GetVideoComponents", video=other)[1]
    nodes = [save(graph, video, reverse=True, **more) for more in ({}, {"audio": other}, {"audio": loaded})]
    result = run(graph)
    found = [heard(file_of(result, node)) for node in nodes]
    assert found == pytest.approx([0.4, 0.25, 0.25], abs=1024 / 44_100)


def test_images_get_the_sound_of_a_connected_video(run: Runner, graph: Graph, source: str) -> None:
    video = graph.add("LoadVideo", file=source)
    node = save(graph, images(graph, 16), audio=video)
    path = file_of(run(graph), node)
    assert heard(path) == pytest.approx(0.25, abs=1024 / 44_100)
    with av.open(str(path)) as found:
        assert found.duration / av.time_base == pytest.approx(1.0, abs=0.03)


def test_the_report_says_what_a_file_was_changed_in(run: Runner, graph: Graph, source: str, server: Server) -> None:
    with_matrix(server.base / "input" / source, 0, 1, -1, 0)
    report = graph.show(save(graph, graph.add("LoadVideo", file=source))[1])
    first, second, third = map(str.strip, run(graph).text(report).splitlines())
    assert ": 48x64, 12 frames at 24 fps, 0.50 s" in first and second == "Turned as the file asks."
    assert third.startswith("note: ") and third.endswith("of one colour")  # as each frame of it is


@pytest.mark.parametrize(("format", "suffix"), [("png", ".png"), ("jpeg", ".jpg")])
def test_a_still_is_an_image(run: Runner, graph: Graph, format: str, suffix: str) -> None:
    node = save(graph, images(graph, 1), format=format)
    result = run(graph)
    path = file_of(result, node)
    assert path.suffix == suffix
    assert "animated" not in result.entry["outputs"][node.id]
    with Image.open(path) as found:
        assert found.size == (64, 48)
        assert found.getpixel((5, 5)) == pytest.approx((0x40, 0x60, 0x80), abs=3)


def test_a_still_of_several_frames_is_refused(run: Runner, graph: Graph) -> None:
    node = save(graph, images(graph, 3), format="png")
    with pytest.raises(PromptError, match=f"SaveVideo {node.id}: png holds one frame, the video has 3. Choose mp4"):
        run(graph)


def test_exact_quality_takes_the_place_of_the_name(run: Runner, graph: Graph) -> None:
    reports = [graph.show(save(graph, images(graph), exact_quality=quality)[1]) for quality in (0, 3, 95)]
    result = run(graph)
    texts = [result.text(report).splitlines()[0].strip() for report in reports]
    assert [text.split("crf ")[1] for text in texts] == ["18)", "44)", "6)"]


def queue_with_workflow(client: Client, graph: Graph) -> dict[str, Any]:
    """Run a graph as the frontend sends it."""
    extra = {"extra_pnginfo": {"workflow": {"nodes": [], "note": "a } brace"}}}
    answer = client.request("/prompt", {"prompt": graph.prompt, "extra_data": extra})
    return client.wait(answer["prompt_id"])


def _sampled(graph: Graph, files: Files) -> tuple[Node, dict[str, Node | list[Any]]]:
    experts = graph.load(files["high"])
    lora = "wan2.2_t2v_lightx2v_4steps_lora_v1.1_high_noise.safetensors"
    row = graph.add("WanDuet_Lora", file=lora, strength=0.5, expert="both", schedule="")
    experts = graph.add("WanDuet_ApplyLoras", experts=experts, loras=row)
    plan = graph.plan(experts, steps=2)
    sampler = graph.add("WanDuet_Sampler", experts=experts, plan=plan, sampler=plan[1], seed=11, **graph.inputs())
    vae = graph.add("VAELoader", vae_name="wan_2.1_vae.safetensors")
    decoded = graph.add("VAEDecode", samples=sampler, vae=vae)
    return decoded, {"experts": experts, "plan": plan, "ran": sampler[1]}


@pytest.mark.parametrize("format", ["mp4", "webm", "mov"])
def test_a_file_holds_its_graph_and_a_receipt_of_its_run(
    server: Server, client: Client, graph: Graph, files: Files, output_folder: str, format: str
) -> None:
    decoded, made_with = _sampled(graph, files)
    node = save(graph, decoded, format=format, filename_prefix=f"{output_folder}/receipt", **made_with)
    path = file_of(Result(queue_with_workflow(client, graph), server.base), node)
    found = texts_of(path)
    assert json.loads(found["prompt"])[node.id]["class_type"] == "WanDuet_SaveVideo"
    assert json.loads(found["workflow"])["note"] == "a } brace"
    receipt = json.loads(found[RECEIPT])
    assert receipt["versions"].keys() == {"wan_duet", "comfyui", "torch", "av", "python"}
    assert list(receipt["seeds"].values()) == [11]
    assert list(receipt["solvers"].values()) == [{"sampler": "euler", "scheduler": "simple"}]
    assert len(receipt["plan"]["sigmas"]) == 3
    assert receipt["ran"].startswith("Ran ")
    high, low = receipt["experts"]["high"], receipt["experts"]["low"]
    assert (high["name"], low["name"], high["kind"]) == (files["high"], files["low"], "T2V A14B")
    assert high["sampled_sha256"] != low["sampled_sha256"]
    assert [len(expert["loras"]) for expert in (high, low)] == [1, 1]
    assert high["loras"][0]["strength"] == 0.5
    assert high["loras"][0]["sampled_sha256"] != low["loras"][0]["sampled_sha256"]
    assert str(server.base) not in found[RECEIPT]


def test_each_of_several_results_is_saved_with_its_own_seed(
    server: Server, client: Client, graph: Graph, files: Files, output_folder: str
) -> None:
    experts = graph.load(files["high"])
    scheduler = graph.add("WanDuet_ProviderScheduler", provider_scheduler="UniPC 3M Karras")
    plan = graph.plan(experts, steps=2, scheduler=scheduler[1], solver=scheduler[0])
    texts = {**graph.inputs(), "latent": graph.add("EmptyHunyuanLatentVideo", width=64, height=48, length=1)}
    graph.prompt[texts["latent"].id]["inputs"]["batch_size"] = 1
    seed = graph.add("PrimitiveInt", value=30)
    given = {"experts": experts, "plan": plan, "sampler": plan[1], "seed": seed, "count": 3}
    sampler = graph.add("WanDuet_Sampler", **given, **texts)
    decoded = graph.add("VAEDecode", samples=sampler, vae=graph.add("VAELoader", vae_name="wan_2.1_vae.safetensors"))
    save(graph, decoded, format="mp4", filename_prefix=f"{output_folder}/several", plan=plan)
    entry = queue_with_workflow(client, graph)
    found = [json.loads(texts_of(server.base / file)[RECEIPT]) for file in outputs(entry)]
    assert [list(receipt["seeds"].values()) for receipt in found] == [[30], [31], [32]]
    named = dict.fromkeys(("sampler", "scheduler"), f"from {scheduler.id} WanDuet_ProviderScheduler (UniPC 3M Karras)")
    assert all(receipt["solvers"] == {f"{sampler.id} WanDuet_Sampler": named} for receipt in found)
    for plan in (receipt["plan"] for receipt in found):
        assert (plan["sampler"], plan["options"], plan["scheduler"]) == ("flow_unipc", {"order": 3}, "flow_karras")


def test_a_refused_upload_leaves_the_file_and_its_address_is_nowhere(
    server: Server, client: Client, graph: Graph, output_folder: str
) -> None:
    private = server.base / "user" / "__wan_duet"
    private.mkdir(parents=True, exist_ok=True)
    keys, address = private / "keys.json", "http://127.0.0.1:9/x?X-Amz-Signature=planted-signature-77aa"
    keys.write_text(json.dumps({"test": {"put": address}}), encoding="utf-8")
    node = save(graph, images(graph), upload_profile="test", filename_prefix=f"{output_folder}/sent")
    try:
        with pytest.raises(
            PromptError, match=f"{node.id}: upload_profile is 'test': .* is saved in the output"
        ) as failed:
            queue_with_workflow(client, graph)
    finally:
        keys.unlink()
    (path,) = (server.base / "output" / output_folder).glob("sent_*.mp4")
    assert len(list(clip_of_file(str(path)).frames())) == 5
    for text in (
        str(failed.value),
        server.log_text(),
        path.read_bytes().decode("latin-1"),
        json.dumps(client.request("/history")),
    ):
        assert "planted-signature" not in text


def test_nothing_is_embedded_where_the_host_forbids_it(
    start_server: Callable[..., Server], graph: Graph, output_folder: str
) -> None:
    server = start_server("--disable-metadata")
    pictures = images(graph, 1)
    nodes = [save(graph, pictures, format=f, filename_prefix=f"{output_folder}/bare") for f in ("mp4", "webm", "png")]
    result = Result(queue_with_workflow(Client(server.url), graph), server.base)
    mp4, webm, png = (file_of(result, node) for node in nodes)
    assert {"prompt", "workflow", RECEIPT} & (texts_of(mp4).keys() | texts_of(webm).keys()) == set()
    with Image.open(png) as found:
        assert found.info == {}


def test_interpolation_is_refused_for_want_of_nodes_or_of_a_model_file(run: Runner, graph: Graph) -> None:
    own_nodes = find_spec("comfy_extras.nodes_frame_interpolation")
    lacking = "models/frame_interpolation holds no file" if own_nodes else "this ComfyUI has no frame interpolation"
    node = save(graph, images(graph), interpolation="film")
    with pytest.raises(PromptError, match=f"{node.id}: interpolation is 'film', but {lacking}"):
        run(graph)


def test_interpolation_of_no_frames_needs_no_node(run: Runner, graph: Graph) -> None:
    node = save(graph, images(graph), interpolation="film", interpolated_frames=0)
    assert len(list(clip_of_file(str(file_of(run(graph), node))).frames())) == 5


@pytest.mark.parametrize("prefix", ["", "x" * 300, "video/a\0b"], ids=["empty", "long", "zero byte"])
def test_a_prefix_that_names_no_file_is_refused(run: Runner, graph: Graph, prefix: str) -> None:
    graph.show(save(graph, images(graph), filename_prefix=prefix)[1])
    with pytest.raises(PromptError, match="filename_prefix is"):
        run.client.wait(run.client.queue(graph.prompt))
