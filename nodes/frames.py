"""Nodes of the shelf "Frames": how large and long a video is, and which of its frames are given."""

from dataclasses import replace
from typing import Any

import comfy.model_management
import torch
from comfy_api.latest import io
from comfy_extras.nodes_wan import Wan22ImageToVideoLatent

from ..conditioning.frame_images import FrameImage as Frame
from ..conditioning.frame_images import place, placement_lines, prefix_of_5b
from ..conditioning.given_frames import given_frames
from ..conditioning.lengths import TRAINED, TRAINED_5B, latent_frames, length_notes, length_of, whole_length
from ..conditioning.sizes import ASPECT_RATIOS, AUTO, FIXED, PATCH, PATCH_5B, RESOLUTIONS, chosen_size, on_grid
from ..conditioning.source import chosen_frames, chosen_lines, gather
from ..experts.kind import CHANNELS_5B, TI2V_5B
from ..experts.pair import Experts
from ..samplers.expert_conds import FOR_LOW, FRAMES, need_channels_for_frames
from .clips import clip_of
from .schema import advanced, schema
from .sockets import WanExperts, WanFrames
from .text import shown

SHELF = "Wan Duet/Frames"
FPS = 16.0  # of images, which have no frame rate of their own


class Size(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="WanDuet_Size",
            display_name="Video Size",
            category=SHELF,
            description="Width, height and length that Wan can make, from a resolution, an aspect ratio or an image, "
            "and a duration. The report says what was rounded.",
            search_aliases=["resolution", "aspect ratio", "dimensions", "frames", "duration", "empty latent"],
            inputs=[
                io.Combo.Input(
                    "resolution",
                    options=[*RESOLUTIONS, *FIXED],
                    default="480p",
                    tooltip="480p, 580p and 720p take any aspect ratio. The others are fixed: the image sizes of fal "
                    "and the sizes of Animate at Runware.",
                ),
                io.Combo.Input(
                    "aspect_ratio",
                    options=list(ASPECT_RATIOS),
                    default=AUTO,
                    tooltip="auto: that of the image, with the area of the resolution; 16:9 without an image.",
                ),
                io.Float.Input(
                    "duration",
                    default=5.0,
                    min=0.0,
                    max=600.0,
                    step=0.25,
                    tooltip="In seconds. 0 is a still. Wan was trained on 5 seconds.",
                ),
                io.Float.Input(
                    "fps",
                    default=16.0,
                    min=1.0,
                    max=240.0,
                    step=1.0,
                    tooltip="Frames a second: 16 for A14B and S2V, 24 for TI2V-5B, 30 for Animate.",
                ),
                io.Image.Input("image", optional=True, tooltip="Its aspect ratio is used when aspect_ratio is auto."),
                WanExperts.Input(
                    "experts", optional=True, tooltip="TI2V-5B needs multiples of 32 pixels, all others of 16."
                ),
            ],
            outputs=[
                io.Int.Output(display_name="width", tooltip="In pixels."),
                io.Int.Output(display_name="height", tooltip="In pixels."),
                io.Int.Output(display_name="length", tooltip="Frames, of the form 4n+1."),
                io.Float.Output(display_name="fps", tooltip="The frames a second, for the node that saves."),
                io.String.Output(display_name="report", tooltip="The result, and what was rounded."),
            ],
        )

    @classmethod
    def execute(
        cls,
        resolution: str,
        aspect_ratio: str,
        duration: float,
        fps: float,
        image: torch.Tensor | None = None,
        experts: Experts | None = None,
    ) -> io.NodeOutput:
        like = None if image is None else (image.shape[2], image.shape[1])
        patch, trained = (PATCH_5B, TRAINED_5B) if experts and experts.kind == TI2V_5B else (PATCH, TRAINED)
        size = chosen_size(resolution, aspect_ratio, like, patch)
        length = length_of(duration, fps)
        lines = [f"{size.width}x{size.height}, {length} frames at {fps:g} fps"]
        lines += [*size.notes, *length_notes(duration, fps, trained)]
        return io.NodeOutput(size.width, size.height, length, fps, shown("\n".join(lines)))


class FrameImage(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="WanDuet_FrameImage",
            display_name="Frame Image",
            category=SHELF,
            description="An image, and the frame of the video that it is for. Chain these nodes and end in "
            "Frame Conditioning.",
            search_aliases=["start image", "end image", "first frame", "last frame", "key frame", "image to video"],
            inputs=[
                io.Image.Input("image", tooltip="One image, or several for consecutive frames."),
                io.String.Input(
                    "frame",
                    default="auto",
                    tooltip="first, last, or a frame's index; -1 is the last. auto: first, or last if first is taken. "
                    "Wan was trained on the first; the last works well, those between are an experiment.",
                ),
                WanFrames.Input("frames", optional=True, tooltip="The images before this one."),
                *(
                    advanced(
                        io.Float.Input(
                            f"strength_{expert}",
                            default=1.0,
                            min=0.0,
                            max=1.0,
                            step=0.01,
                            optional=True,
                            tooltip=f"How firmly the {expert}-noise expert is told that the frame is given. 1: as it "
                            "was trained. 0: it never sees the image. What lies between was never trained.",
                        )
                    )
                    for expert in ("high", "low")
                ),
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


class FrameConditioning(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="WanDuet_FrameConditioning",
            display_name="Frame Conditioning",
            category=SHELF,
            description="Tells an I2V pair, or TI2V-5B, which frames of the video are given. The report shows the "
            "latent frame that each image lands in.",
            search_aliases=["WanImageToVideo", "WanFirstLastFrameToVideo", "first last frame", "flf2v", "i2v"],
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
        of_5b = vae.latent_channels == CHANNELS_5B
        if experts is not None:
            _check_pair(experts, of_5b)
        size = on_grid(width, height, PATCH_5B if of_5b else PATCH)
        whole = whole_length(length)
        placed = place(frames, whole)
        lines = [f"{size.width}x{size.height}, {whole} frames", *size.notes]
        lines += [f"{length} frames became {whole}: lengths are 4n+1."] * (whole != length)
        if of_5b:
            images, notes = prefix_of_5b(placed)
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
        return io.NodeOutput(positive, negative, latent, shown(report))


def _check_pair(experts: Experts, vae_of_5b: bool) -> None:
    if vae_of_5b != (experts.kind == TI2V_5B):
        fitting = "Wan 2.1" if vae_of_5b else "Wan 2.2"
        raise ValueError(f"vae is not the one of {experts.kind.label}. Connect the {fitting} VAE.")
    if not vae_of_5b:
        need_channels_for_frames(experts, "frames")


def _with_values(conditioning: list, values: dict[str, Any]) -> list:
    """The conditioning with `values`; frames that another node has given the low expert alone are gone."""
    kept = [
        (text, {name: value for name, value in options.items() if name != FOR_LOW}) for text, options in conditioning
    ]
    return [[text, {**options, **values}] for text, options in kept]


class VideoToLatent(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="WanDuet_VideoToLatent",
            display_name="Video To Latent",
            category=SHELF,
            description="A video, or an image, to start a run from: resampled, cut and cropped to what Wan can take, "
            "then encoded. Stage Plan's strength says how much of it is made anew.",
            search_aliases=["video to video", "v2v", "image to image", "i2i", "vae encode", "denoise"],
            inputs=[
                io.MultiType.Input("video", types=[io.Video, io.Image], tooltip="A video, or images of one."),
                io.Vae.Input("vae", tooltip="The VAE of the experts: Wan 2.1, or Wan 2.2 for TI2V-5B."),
                io.Int.Input("width", default=832, min=16, max=16384, step=16, tooltip="In pixels."),
                io.Int.Input("height", default=480, min=16, max=16384, step=16, tooltip="In pixels."),
                io.Int.Input(
                    "length",
                    default=81,
                    min=0,
                    max=16384,
                    step=1,
                    tooltip="Frames at most, of the form 4n+1. 0: the whole video. 1: the first frame, a still.",
                ),
                io.Float.Input(
                    "resample_fps",
                    default=16.0,
                    min=0.0,
                    max=240.0,
                    step=0.01,
                    tooltip="The frame rate to bring a video to; frames are left out or repeated. 0: take every frame. "
                    "Images are taken as they are.",
                ),
            ],
            outputs=[
                io.Latent.Output(display_name="latent", tooltip="The encoded video."),
                io.Float.Output(display_name="fps", tooltip="Its frame rate, for the node that saves."),
                io.String.Output(display_name="report", tooltip="Which frames were taken, and what was rounded."),
            ],
        )

    @classmethod
    def execute(cls, video: Any, vae: Any, width: int, height: int, length: int, resample_fps: float) -> io.NodeOutput:
        clip = clip_of(video, resample_fps or FPS)
        size = on_grid(width, height, PATCH_5B if vae.latent_channels == CHANNELS_5B else PATCH)
        given = (clip.count, float(clip.fps), resample_fps, length)
        chosen = chosen_frames(*given)
        images = gather(clip.frames(), chosen, size.width, size.height)
        lines = [f"{size.width}x{size.height}", *chosen_lines(chosen, *given), *clip.notes, *size.notes]
        if (clip.width, clip.height) != (size.width, size.height):
            lines.append(f"{clip.width}x{clip.height} scaled and cropped to {size.width}x{size.height}.")
        report = shown("\n".join(lines))
        return io.NodeOutput({"samples": vae.encode(images)}, resample_fps or float(clip.fps), report)
