"""The node that makes another video, or an image, the start of a run."""

from typing import Any

from comfy_api.latest import io

from ...conditioning.sizes import on_grid
from ...conditioning.video_latent import choose_frames, gather, report_lines
from ..clips import FPS_OF_IMAGES, clip_of, watch
from ..schema import schema
from ..text import log_report
from .images import CATEGORY
from .vae import wan_vae


class VideoToLatent(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="WanDuet_VideoToLatent",
            display_name="Wan 2.2 Video To Latent (Video To Video)",
            category=CATEGORY,
            description="A video, or an image, to start a run from: resampled, cut and cropped to what Wan can take, "
            "then encoded. Stage Plan's strength says how much of it is regenerated.",
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
        clip = clip_of(video, resample_fps or FPS_OF_IMAGES)
        size = on_grid(width, height, wan_vae(vae).grid)
        given = (clip.count, float(clip.fps), resample_fps, length)
        chosen = choose_frames(*given)
        images = gather(watch(clip.frames(), clip.count), chosen, size.width, size.height)
        lines = [f"{size.width}x{size.height}", *report_lines(chosen, *given), *clip.notes, *size.notes]
        if (clip.width, clip.height) != (size.width, size.height):
            lines.append(f"{clip.width}x{clip.height} scaled and cropped to {size.width}x{size.height}.")
        report = log_report("\n".join(lines))
        return io.NodeOutput({"samples": vae.encode(images)}, resample_fps or float(clip.fps), report)
