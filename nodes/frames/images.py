"""Nodes of the shelf "Frames" for images: which frames of a video are given."""

from dataclasses import replace
from typing import Any

import comfy.model_management
import torch
from comfy_api.latest import io
from comfy_extras.nodes_wan import Wan22ImageToVideoLatent

from ...conditioning.frame_images import FrameImage as Frame
from ...conditioning.frame_images import leading_images, place, placement_lines
from ...conditioning.given_frames import given_frames
from ...conditioning.lengths import latent_frames, whole_length
from ...conditioning.sizes import on_grid
from ...experts.pair import Experts
from ...experts.variant import WanVae, variants_with
from ...samplers.conds import FOR_LOW, FRAMES, need_channels_for_frames
from ..schema import advanced, schema
from ..sockets import WanExperts, WanFrames
from ..text import log_report
from .vae import wan_vae

CATEGORY = "Wan Duet/Frames"


class FrameImageNode(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="WanDuet_FrameImage",
            display_name="Wan 2.2 Frame Image (First, Last, Key)",
            category=CATEGORY,
            description="An image for a frame of the video. Chain these nodes and end in Frame Conditioning.",
            search_aliases=["start image", "end image", "first frame", "first last frame", "flf2v", "key frame", "i2v"],
            inputs=[
                io.Image.Input("image", tooltip="One image, or several for consecutive frames."),
                io.String.Input(
                    "frame",
                    default="auto",
                    tooltip="first, last, or a frame's index; -1 is the last. auto: first, or last if first is taken. "
                    "Wan was trained on the first; the last works well, those between are an experiment.",
                ),
                WanFrames.Input("frames", optional=True, tooltip="The images before this one."),
                *(advanced(_strength(expert)) for expert in ("high", "low")),
            ],
            outputs=[WanFrames.Output(display_name="frames", tooltip="The images so far.")],
        )

    @classmethod
    def execute(
        cls,
        image: torch.Tensor,
        frame: str,
        frames: tuple[Frame, ...] = (),
        strength_high: float = 1.0,
        strength_low: float = 1.0,
    ) -> io.NodeOutput:
        return io.NodeOutput((*frames, Frame(image, frame, strength_high, strength_low)))


def _strength(expert: str) -> io.Float.Input:
    return io.Float.Input(
        f"strength_{expert}",
        default=1.0,
        min=0.0,
        max=1.0,
        step=0.01,
        optional=True,
        tooltip=f"How firmly the {expert}-noise expert is told that the frame is given. 1: as it "
        "was trained. 0: it never sees the image. What lies between was never trained.",
    )


class FrameConditioning(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="WanDuet_FrameConditioning",
            display_name="Wan 2.2 Image To Video (Frame Conditioning)",
            category=CATEGORY,
            description="Tells an I2V pair, or TI2V-5B, which frames of the video are given. The report shows the "
            "latent frame that each image lands in.",
            search_aliases=["WanFirstLastFrameToVideo", "first last frame", "flf2v", "i2v"],
            inputs=[
                io.Conditioning.Input("positive", tooltip="What the video should show."),
                io.Conditioning.Input("negative", tooltip="What it should not."),
                io.Vae.Input("vae", tooltip="The Wan 2.1 VAE for an I2V pair, the Wan 2.2 VAE for TI2V-5B."),
                WanFrames.Input("frames", tooltip="The images, from Frame Image nodes."),
                io.Int.Input("width", default=832, min=16, max=16384, step=16, tooltip="In pixels."),
                io.Int.Input("height", default=480, min=16, max=16384, step=16, tooltip="In pixels."),
                io.Int.Input("length", default=81, min=1, max=16384, step=4, tooltip="Frames, of the form 4n+1."),
                WanExperts.Input(
                    "experts",
                    optional=True,
                    tooltip="If connected, experts that would ignore the images are refused before they are encoded.",
                ),
            ],
            outputs=[
                io.Conditioning.Output(display_name="positive", tooltip="The prompt with the frames."),
                io.Conditioning.Output(display_name="negative", tooltip="The negative prompt with the frames."),
                io.Latent.Output(display_name="latent", tooltip="An empty video of this size, for the sampler."),
                io.String.Output(display_name="report", tooltip="Where each image lands, and what was rounded."),
            ],
        )

    @classmethod
    def execute(
        cls,
        positive: list,
        negative: list,
        vae: Any,
        frames: tuple[Frame, ...],
        width: int,
        height: int,
        length: int,
        experts: Experts | None = None,
    ) -> io.NodeOutput:
        found = wan_vae(vae)
        if experts is not None:
            _check_pair(experts, found)
        size = on_grid(width, height, found.grid)
        whole = whole_length(length)
        placed = place(frames, whole)
        lines = [f"{size.width}x{size.height}, {whole} frames", *size.notes]
        lines += [f"{length} frames became {whole}: lengths are 4n+1."] * (whole != length)
        if found.starts_with_frames:
            model = variants_with(found.channels)[0].label
            images, notes = leading_images(placed, model)
            placed = [placed[0]._replace(image=replace(placed[0].image, images=images))]
            latent = Wan22ImageToVideoLatent.execute(vae, size.width, size.height, whole, 1, images).args[0]
            lines += notes
        else:
            high, low = given_frames(vae.encode, placed, size.width, size.height, whole)
            values = high if high is low else {**high, FOR_LOW: low}
            positive, negative = _with_values(positive, values), _with_values(negative, values)
            shape = (1, vae.latent_channels, latent_frames(whole), *high[FRAMES].shape[-2:])
            latent = {"samples": torch.zeros(shape, device=comfy.model_management.intermediate_device())}
        report = "\n".join([*lines, *placement_lines(placed, size.width, size.height)])
        return io.NodeOutput(positive, negative, latent, log_report(report))


def _check_pair(experts: Experts, vae: WanVae) -> None:
    fitting = experts.variant.vae
    if vae != fitting:
        raise ValueError(f"vae is not the one of {experts.variant.label}. Connect the {fitting.name} VAE.")
    if not vae.starts_with_frames:
        need_channels_for_frames(experts, "frames")


def _with_values(conditioning: list, values: dict[str, Any]) -> list:
    """The conditioning with `values`; frames that another node has given the low expert alone are gone."""
    kept = [
        (text, {name: value for name, value in options.items() if name != FOR_LOW}) for text, options in conditioning
    ]
    return [[text, {**options, **values}] for text, options in kept]
