"""The node that works out how large and how long a video is."""

from typing import Any

from comfy_api.latest import io

from ...conditioning.lengths import TRAINED, length_notes, length_of
from ...conditioning.sizes import ASPECT_RATIOS, AUTO, CUSTOM, FIXED, PATCH, RESOLUTIONS, choose_size
from ...experts.pair import Experts
from ..clips import clip_of
from ..schema import advanced, schema
from ..sockets import WanExperts
from ..text import log_report
from .images import CATEGORY

LARGEST = 4096  # pixels a side


class SizeNode(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="WanDuet_Size",
            display_name="Wan 2.2 Video Size",
            category=CATEGORY,
            description="Width, height and length that Wan can make, from a resolution, an aspect ratio or an image, "
            "and a duration. The report says what was rounded.",
            search_aliases=["resolution", "aspect ratio", "dimensions", "frames", "duration", "empty latent"],
            inputs=[
                *_shape(),
                *_time(),
                *_custom(),
                io.MultiType.Input(
                    "image",
                    types=[io.Image, io.Video],
                    optional=True,
                    tooltip="An image or a video, whose aspect ratio is used when aspect_ratio is auto.",
                ),
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
        width: int = 832,
        height: int = 480,
        image: Any = None,
        experts: Experts | None = None,
    ) -> io.NodeOutput:
        clip = None if image is None else clip_of(image, fps)
        like = None if clip is None else (clip.width, clip.height)
        variant = experts.variant if experts else None
        patch, trained = (variant.vae.grid, variant.trained_length) if variant else (PATCH, TRAINED)
        size = choose_size(resolution, aspect_ratio, like, patch, (width, height))
        length = length_of(duration, fps)
        lines = [f"{size.width}x{size.height}, {length} frames at {fps:g} fps"]
        lines += [*size.notes, *length_notes(duration, fps, trained)]
        return io.NodeOutput(size.width, size.height, length, fps, log_report("\n".join(lines)))


def _shape() -> list[io.Input]:
    return [
        io.Combo.Input(
            "resolution",
            options=[*RESOLUTIONS, CUSTOM, *FIXED],
            default="480p",
            tooltip="480p, 580p, 720p and, for a quick look, 240p take any aspect ratio. custom: the width and height "
            "below. The others are fixed: fal's image sizes, and those of Animate at Runware.",
        ),
        io.Combo.Input(
            "aspect_ratio",
            options=list(ASPECT_RATIOS),
            default=AUTO,
            tooltip="auto: that of the image, with the area of the resolution; 16:9 without an image.",
        ),
    ]


def _time() -> list[io.Input]:
    return [
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
    ]


def _custom() -> list[io.Input]:
    return [
        advanced(
            io.Int.Input(
                side,
                default=default,
                min=PATCH,
                max=LARGEST,
                step=PATCH,
                optional=True,
                tooltip=f"For custom: the {side} in pixels, rounded down to what the model can make.",
            )
        )
        for side, default in (("width", 832), ("height", 480))
    ]
