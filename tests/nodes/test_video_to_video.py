"""From another video or image: what is taken of it, what a strength leaves of it, and several results in a row."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from wan_duet.dev.server import Server
from wan_duet.tests.nodes.graph import Graph, Node, Runner
from wan_duet.tests.video.conftest import ramp
from wan_duet.video.clip import clip_of_images
from wan_duet.video.encode import write_video
from wan_duet.video.formats import EncoderSettings

Files = dict[str, str]
VAE = "wan_2.1_vae.safetensors"


@pytest.fixture
def clip(server: Server) -> Iterator[str]:
    """The name of a video of 20 frames at 32 fps in the server's input folder."""
    path: Path = server.base / "input" / "test-clip.mp4"
    write_video(path, clip_of_images(ramp(20, 80, 64), 32.0), EncoderSettings(), {}, lambda: None)
    yield path.name
    path.unlink()


def to_latent(graph: Graph, video: Node, **settings: Any) -> Node:
    usual = {"width": 64, "height": 48, "length": 81, "resample_fps": 16.0}
    vae = graph.add("VAELoader", vae_name=VAE)
    return graph.add("WanDuet_VideoToLatent", video=video, vae=vae, **{**usual, **settings})


def sampled(graph: Graph, files: Files, latent: Node, high: str = "high", count: int = 1, **plan: Any) -> Node:
    experts = graph.load(files[high], files["low"])
    made = graph.plan(experts, steps=4, **plan)
    texts = {**graph.inputs(), "latent": latent}
    return graph.add("WanDuet_Sampler", experts=experts, plan=made, sampler=made[1], seed=5, count=count, **texts)


def test_a_video_is_resampled_cut_and_cropped(run: Runner, graph: Graph, clip: str) -> None:
    node = to_latent(graph, graph.add("LoadVideo", file=clip))
    saved, report = graph.save(node), graph.show(node[2])
    result = run(graph)
    assert result.latent(saved).shape == (1, 16, 3, 6, 8)
    assert [line.strip() for line in result.text(report).splitlines()] == [
        "64x48",
        "9 of 20 frames at 16 fps",
        "Resampled from 32 to 16 fps.",
        "81 frames were asked for: the video is shorter.",
        "80x64 scaled and cropped to 64x48.",
    ]


def test_a_size_can_follow_a_video(run: Runner, graph: Graph, clip: str) -> None:
    settings = {"resolution": "480p", "aspect_ratio": "auto", "duration": 0.5, "fps": 16.0}
    video = graph.add("LoadVideo", file=clip)
    size = graph.show(graph.add("WanDuet_Size", **settings, image=video)[4])
    assert run(graph).text(size).startswith("704x560, 9 frames at 16 fps")  # as 80x64


def test_the_latent_is_that_of_the_hosts_encoder(run: Runner, graph: Graph) -> None:
    images = graph.add("EmptyImage", width=64, height=48, batch_size=6, color=0x3399CC)
    ours = graph.save(to_latent(graph, images, resample_fps=0.0))
    five = graph.add("ImageFromBatch", image=images, batch_index=0, length=5)
    theirs = graph.save(graph.add("VAEEncode", pixels=five, vae=graph.add("VAELoader", vae_name=VAE)))
    result = run(graph)
    torch.testing.assert_close(result.latent(ours), result.latent(theirs))
    assert result.latent(ours).shape[2] == 2


def test_an_image_is_one_latent_frame(run: Runner, graph: Graph) -> None:
    image = graph.add("EmptyImage", width=90, height=50, batch_size=1, color=1)
    assert run_and_get(run, graph, to_latent(graph, image, length=1)).shape == (1, 16, 1, 6, 8)


def run_and_get(run: Runner, graph: Graph, node: Node) -> torch.Tensor:
    saved = graph.save(node)
    return run(graph).latent(saved)


def test_strength_0_gives_the_source_back_and_needs_no_expert(run: Runner, graph: Graph, files: Files) -> None:
    source = to_latent(graph, graph.add("EmptyImage", width=64, height=48, batch_size=5, color=0x3399CC))
    same = sampled(graph, {**files, "low": files["gone low"]}, source, "gone high", strength=0.0)
    before, after = graph.save(source), graph.save(same)
    result = run(graph)
    assert torch.equal(result.latent(before), result.latent(after))


def test_strength_1_ignores_the_source(run: Runner, graph: Graph, files: Files) -> None:
    colours = [graph.add("EmptyImage", width=64, height=48, batch_size=5, color=colour) for colour in (0, 0xFFFFFF)]
    sources = [to_latent(graph, image) for image in colours]
    saved = [graph.save(sampled(graph, files, source, strength=1.0)) for source in sources]
    result = run(graph)
    assert torch.equal(*map(result.latent, saved))


def test_at_strength_0_3_the_high_file_is_not_even_missed(run: Runner, graph: Graph, files: Files) -> None:
    source = to_latent(graph, graph.add("EmptyImage", width=64, height=48, batch_size=5, color=0x3399CC))
    made = [sampled(graph, files, source, high, strength=0.3) for high in ("gone high", "high")]
    saved, report = [graph.save(node) for node in made], graph.show(made[0][1])
    result = run(graph)
    assert torch.equal(*map(result.latent, saved))
    assert result.text(report).startswith("Ran 0 high + 1 low steps: 1 low evaluations.")


def test_a_count_gives_the_results_of_successive_seeds(run: Runner, graph: Graph, files: Files) -> None:
    latent = graph.add("EmptyHunyuanLatentVideo", width=64, height=48, length=1, batch_size=1)
    three = graph.save(sampled(graph, files, latent, count=3))
    experts = graph.load(files["high"], files["low"])
    plan = graph.plan(experts, steps=4)
    texts = {**graph.inputs(), "latent": latent}
    alone = [
        graph.save(graph.add("WanDuet_Sampler", experts=experts, plan=plan, sampler=plan[1], seed=seed, **texts))
        for seed in (5, 6, 7)
    ]
    result = run(graph)
    assert len(result.latents(three)) == 3
    for found, expected in zip(result.latents(three), alone, strict=True):
        assert torch.equal(found, result.latent(expected))
