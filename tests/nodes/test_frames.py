"""Sizes and frame images through the nodes."""

import pytest
import torch
from comfy_extras.nodes_wan import Wan22ImageToVideoLatent
from wan_duet.conditioning.frame_images import FrameImage as Frame
from wan_duet.dev.client import PromptError
from wan_duet.experts.checkpoint.contents import Checkpoint
from wan_duet.experts.handle import MissingHandle
from wan_duet.experts.pair import Expert, Experts
from wan_duet.nodes.frames.images import FrameConditioning, _with_values
from wan_duet.nodes.frames.source_video import VideoToLatent
from wan_duet.samplers.conds import FOR_LOW
from wan_duet.tests.nodes.graph import Graph, Node, Runner

Files = dict[str, str]
CONFIG_5B = {"image_model": "wan2.1", "model_type": "t2v", "in_dim": 48, "out_dim": 48, "dim": 128, "num_layers": 2}


def test_the_size_goes_to_the_nodes_that_need_it(run: Runner, graph: Graph) -> None:
    image = graph.add("EmptyImage", width=100, height=200, batch_size=1, color=0)
    size = graph.add("WanDuet_Size", resolution="480p", aspect_ratio="auto", duration=0.5, fps=16.0, image=image)
    latent = graph.add("EmptyHunyuanLatentVideo", width=size[0], height=size[1], length=size[2], batch_size=1)
    report, saved = graph.show(size[4]), graph.save(latent)
    result = run(graph)
    assert result.latent(saved).shape == (1, 16, 3, 880 // 8, 432 // 8)
    assert result.text(report).splitlines() == [
        "432x880, 9 frames at 16 fps  ",
        "The ratio became 0.491 in place of 0.500: multiples of 16.",
    ]


def test_the_size_for_a_5b_model_is_on_its_own_grid(run: Runner, graph: Graph, files: Files) -> None:
    experts = graph.load(files["5b"], "none")
    size = graph.add("WanDuet_Size", resolution="720p", aspect_ratio="16:9", duration=5.0, fps=24.0, experts=experts)
    report = graph.show(size[4])
    assert run(graph).text(report).splitlines() == [
        "1280x704, 121 frames at 24 fps  ",
        "1280x720 became 1280x704: multiples of 32.",
    ]


def _frames(graph: Graph, *frames: tuple[Node, str], **strengths: float) -> Node:
    """A chain of frame images."""
    chained: dict[str, Node] = {}
    for image, frame in frames:
        chained = {"frames": graph.add("WanDuet_FrameImage", image=image, frame=frame, **strengths, **chained)}
    return chained["frames"]


SIZE = {"width": 64, "height": 48, "length": 9}


def _i2v(graph: Graph) -> Node:
    return graph.load("wan2.2_i2v_high_noise_14B_fp8_scaled.safetensors")


def _picture(graph: Graph, color: int) -> Node:
    return graph.add("EmptyImage", width=80, height=80, batch_size=1, color=color)


@pytest.mark.parametrize("hosts", ["WanImageToVideo", "WanFirstLastFrameToVideo"])
def test_a_run_equals_one_behind_the_hosts_node(run: Runner, graph: Graph, hosts: str) -> None:
    experts = _i2v(graph)
    vae = graph.add("VAELoader", vae_name="wan_2.1_vae.safetensors")
    texts = graph.inputs()
    prompts = {name: texts[name] for name in ("positive", "negative")}
    start, end = _picture(graph, 0x804020), _picture(graph, 0x208040)
    both = hosts == "WanFirstLastFrameToVideo"
    images = {"start_image": start, "end_image": end} if both else {"start_image": start}
    theirs = graph.add(hosts, vae=vae, batch_size=1, **prompts, **images, **SIZE)
    frames = _frames(graph, *[(start, "auto"), (end, "auto")][: 1 + both])
    ours = graph.add("WanDuet_FrameConditioning", vae=vae, frames=frames, experts=experts, **prompts, **SIZE)
    plan = graph.plan(experts, cfg_low=2.0)
    saved = []
    for node in (theirs, ours):
        given = {"positive": node[0], "negative": node[1], "latent": node[2]}
        sampler = graph.add("WanDuet_Sampler", experts=experts, plan=plan, sampler=plan[1], seed=3, **given)
        saved.append(graph.save(sampler))
    report = graph.show(ours[3])
    result = run(graph)
    assert torch.equal(*map(result.latent, saved))
    lines = [line.strip() for line in result.text(report).splitlines()]
    assert lines[:2] == ["64x48, 9 frames", "image 1: frame 0, in latent frame 0; 80x80 scaled and cropped to 64x48"]


def test_what_was_rounded_is_told_and_the_last_frame_follows(run: Runner, graph: Graph) -> None:
    experts = _i2v(graph)
    texts = graph.inputs()
    vae = graph.add("VAELoader", vae_name="wan_2.1_vae.safetensors")
    node = graph.add(
        "WanDuet_FrameConditioning",
        vae=vae,
        frames=_frames(graph, (_picture(graph, 1), "last")),
        experts=experts,
        positive=texts["positive"],
        negative=texts["negative"],
        width=71,
        height=48,
        length=11,
    )
    saved, report = graph.save(node[2]), graph.show(node[3])
    result = run(graph)
    assert result.latent(saved).shape == (1, 16, 3, 6, 8)
    assert [line.strip() for line in result.text(report).splitlines()] == [
        "64x48, 9 frames",
        "71x48 became 64x48: multiples of 16.",
        "11 frames became 9: lengths are 4n+1.",
        "image 1: frame 8, in latent frame 2 (the 4th of its 4); 80x80 scaled and cropped to 64x48",
    ]


@pytest.mark.parametrize("connected", [True, False])
def test_a_t2v_pair_is_refused_before_the_images_are_encoded_or_at_the_guider(
    run: Runner, graph: Graph, files: Files, connected: bool
) -> None:
    experts = graph.load(files["high"])
    texts = graph.inputs()
    prompts = {name: texts[name] for name in ("positive", "negative")}
    more = {"experts": experts} if connected else {}
    vae = graph.add("VAELoader", vae_name="wan_2.1_vae.safetensors")
    frames = _frames(graph, (_picture(graph, 1), "first"))
    node = graph.add("WanDuet_FrameConditioning", vae=vae, frames=frames, **prompts, **SIZE, **more)
    plan = graph.plan(experts)
    given = {"positive": node[0], "negative": node[1], "latent": node[2]}
    sampler = graph.add("WanDuet_Sampler", experts=experts, plan=plan, sampler=plan[1], seed=3, **given)
    graph.save(sampler)
    where, what = (f"FrameConditioning {node.id}", "frames") if connected else (f"Sampler {sampler.id}", "positive")
    with pytest.raises(PromptError, match=f"^WanDuet_{where}: {what} carries frame images, but .* is T2V A14B"):
        run(graph)


class FakeVae:
    """The Wan 2.2 VAE in shape alone: the real one has 700 million weights, whatever its file holds."""

    latent_channels, latent_dim = 48, 3

    def encode(self, clip: torch.Tensor) -> torch.Tensor:
        """[T, H, W, 3] to [1, 48, t, H/16, W/16], from the pixels."""
        small = clip[::4, ::16, ::16, :1].movedim(-1, 0)[None]
        return small.repeat(1, 48, 1, 1, 1) * torch.arange(1, 49).view(1, -1, 1, 1, 1)


@pytest.mark.parametrize("count", [1, 5])
def test_a_5b_model_gets_what_the_hosts_node_gives_it(count: int) -> None:
    image = torch.rand((count, 50, 90, 3), generator=torch.Generator().manual_seed(0))
    vae, text = FakeVae(), [[torch.zeros(1, 1, 4096), {}]]
    expected = Wan22ImageToVideoLatent.execute(vae, 96, 64, 17, 1, image).args[0]
    positive, negative, found, report = FrameConditioning.execute(text, text, vae, (Frame(image),), 100, 64, 17).args
    assert found.keys() == expected.keys() == {"samples", "noise_mask"}
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert positive is negative is text
    assert "100x64 became 96x64: multiples of 32." in report


@pytest.mark.parametrize(
    ("channels", "experts", "problem"),
    [
        (48, "wan_i2v_high.safetensors", r"vae is not the one of I2V A14B\. Connect the Wan 2\.1 VAE"),
        (16, "5b", r"vae is not the one of TI2V-5B\. Connect the Wan 2\.2 VAE"),
    ],
)
def test_a_vae_of_another_model_is_refused(channels: int, experts: str, problem: str) -> None:
    class Handle(MissingHandle):
        checkpoint = Checkpoint(CONFIG_5B, 0) if experts == "5b" else None

    vae, text = FakeVae(), [[torch.zeros(1, 1, 4096), {}]]
    vae.latent_channels = channels
    connected = Experts(Expert(Handle(experts, "not there")))
    with pytest.raises(ValueError, match=problem):
        FrameConditioning.execute(text, text, vae, (Frame(torch.rand(1, 8, 8, 3)),), 64, 64, 5, connected)


@pytest.mark.parametrize(("channels", "dimensions"), [(16, 2), (4, 2), (128, 3)])
def test_a_vae_that_is_not_of_wan_is_refused_before_anything_is_encoded(channels: int, dimensions: int) -> None:
    vae, text, images = FakeVae(), [[torch.zeros(1, 1, 4096), {}]], torch.rand(5, 64, 64, 3)
    vae.latent_channels, vae.latent_dim = channels, dimensions
    vae.encode = lambda clip: pytest.fail("encoded")
    problem = f"vae is not of Wan, but has {channels} channels and {dimensions} dimensions"
    with pytest.raises(ValueError, match=problem):
        FrameConditioning.execute(text, text, vae, (Frame(images[:1]),), 64, 64, 5)
    with pytest.raises(ValueError, match=problem):
        VideoToLatent.execute(images, vae, 64, 64, 5, 16.0)


def test_a_source_for_a_5b_model_is_on_its_own_grid() -> None:
    latent, fps, report = VideoToLatent.execute(torch.rand(6, 60, 100, 3), FakeVae(), 100, 48, 0, 0.0).args
    assert latent["samples"].shape == (1, 48, 2, 2, 6)
    assert fps == 16.0
    assert report.splitlines()[-2:] == [
        "100x48 became 96x32: multiples of 32.  ",
        "100x60 scaled and cropped to 96x32.",
    ]


def test_frames_that_the_low_expert_had_before_are_gone() -> None:
    (before,) = _with_values([["text", {}]], {"concat_mask": 1, FOR_LOW: {"concat_mask": 2}})
    (after,) = _with_values([before], {"concat_mask": 3})
    assert FOR_LOW not in after[1]
    assert after[1]["concat_mask"] == 3
