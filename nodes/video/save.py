"""Nodes of the shelf "Video": the file at the end."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import comfy.utils
import comfyui_version
import folder_paths
from comfy_api.latest import io, ui
from comfy_execution.utils import get_executing_context

from ...experts.pair import Experts
from ...generate.receipt import receipt
from ...host.settings import writes_metadata
from ...samplers.plan import Plan
from ...video.clip import Clip, clip_of_images, exact_fps, reversed_clip
from ...video.encode import write_still, write_video, written_size
from ...video.formats import FORMATS, LEAST, MOST, QUALITIES, STILLS, WRITE_MODES, EncoderSettings
from ...video.metadata import RECEIPT, texts
from ...video.plain_frames import PlainFrames
from ...video.whole import reserve_name
from ..clips import FPS_OF_IMAGES, clip_of, images_of, sound_of, stop_if_interrupted
from ..remote.job_manager import manager
from ..schema import advanced, schema
from ..sockets import WanExperts, WanPlan
from ..text import log_report
from .interpolation import INTERPOLATIONS, NONE, interpolate
from .upload import upload

CATEGORY = "Wan Duet/Video"


class SaveVideo(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="WanDuet_SaveVideo",
            display_name="Save Wan 2.2 Video",
            category=CATEGORY,
            description="Saves a video, or one image, frame by frame as it is encoded. Dropping the file on the canvas "
            "brings the graph back, and a receipt in it says what it was made with.",
            search_aliases=["save video", "video combine", "export mp4", "webm", "mov", "save image"],
            inputs=[
                io.MultiType.Input("video", types=[io.Video, io.Image], tooltip="A video, or images."),
                *_file(),
                *_playback(),
                io.MultiType.Input(
                    "audio",
                    types=[io.Audio, io.Video],
                    optional=True,
                    tooltip="Sound in place of the video's own: an AUDIO, or a VIDEO to take it from.",
                ),
                *_for_the_receipt(),
                *_rarely_needed(),
            ],
            outputs=[
                io.String.Output(display_name="file", tooltip="The file's name below the output folder."),
                io.String.Output(display_name="report", tooltip="What was written."),
            ],
            hidden=[io.Hidden.prompt, io.Hidden.extra_pnginfo, io.Hidden.unique_id],
            is_output_node=True,
        )

    @classmethod
    def execute(
        cls,
        video: Any,
        filename_prefix: str,
        format: str,
        quality: str,
        write_mode: str,
        fps: float,
        reverse: bool,
        audio: Any = None,
        experts: Experts | None = None,
        plan: Plan | None = None,
        ran: str | None = None,
        exact_quality: int = 0,
        interpolation: str = NONE,
        interpolated_frames: int = 1,
        adjust_fps: bool = True,
        upload_profile: str = "",
    ) -> io.NodeOutput:
        settings = EncoderSettings(
            format, max(exact_quality, LEAST) if exact_quality else QUALITIES[quality], write_mode
        )
        between = interpolated_frames if interpolation != NONE else 0
        clip = _interpolated(video, interpolation, between, adjust_fps) if between else clip_of(video, FPS_OF_IMAGES)
        clip = _played(clip, fps * (between + 1 if adjust_fps else 1), reverse, audio)
        made_with = {"experts": experts, "plan": plan, "ran": ran}
        plain = PlainFrames()
        with _new_file(filename_prefix, clip, settings.extension) as (path, subfolder):
            count = _write(path, plain.watching(clip), settings, _metadata(cls.hidden, made_with))
        lines = [*_report(path, clip, settings, count), *plain.notes()]
        if upload_profile:
            lines.append(_sent(path, upload_profile))
        report = log_report("\n".join(lines))
        saved = ui.SavedResult(path.name, subfolder, io.FolderType.output)
        preview = ui.SavedImages([saved], is_animated=format not in STILLS)
        return io.NodeOutput(str(Path(subfolder, path.name)), report, ui=preview)


def _file() -> list[io.Input]:
    return [
        io.String.Input(
            "filename_prefix",
            default="video/wan_duet",
            tooltip="Folder and start of the name, below the output folder. %date:yyyy-MM-dd% is filled in.",
        ),
        io.Combo.Input(
            "format",
            options=list(FORMATS),
            default="mp4",
            tooltip="mp4 and mov hold H.264, webm VP9. png and jpeg are for a single frame.",
        ),
        io.Combo.Input("quality", options=list(QUALITIES), default="high", tooltip="Fidelity to the generated frames."),
        io.Combo.Input(
            "write_mode",
            options=list(WRITE_MODES),
            default="balanced",
            tooltip="fast writes quickly, small takes several times as long for a smaller file.",
        ),
    ]


def _playback() -> list[io.Input]:
    return [
        io.Float.Input(
            "fps",
            default=0.0,
            min=0.0,
            max=240.0,
            step=0.01,
            tooltip="Frames a second. 0: those of the video; 16 for images. Another value plays it faster or slower.",
        ),
        io.Boolean.Input(
            "reverse", default=False, tooltip="From the end to the start, with its own sound; audio is kept as it is."
        ),
    ]


def _for_the_receipt() -> list[io.Input]:
    return [
        WanExperts.Input("experts", optional=True, tooltip="For the receipt: their files and LoRAs."),
        WanPlan.Input("plan", optional=True, tooltip="For the receipt: the plan of the run."),
        io.String.Input(
            "ran", optional=True, force_input=True, tooltip="For the receipt: the report of Wan 2.2 Video Sampler."
        ),
    ]


def _rarely_needed() -> list[io.Input]:
    exact_quality = io.Int.Input(
        "exact_quality",
        default=0,
        min=0,
        max=MOST,
        optional=True,
        tooltip=f"From {LEAST} to {MOST}, in place of quality. 0: not used.",
    )
    interpolation = io.Combo.Input(
        "interpolation",
        options=list(INTERPOLATIONS),
        default=NONE,
        optional=True,
        tooltip="New frames between the generated ones. Needs a ComfyUI of 2026 and a model file in "
        "models/frame_interpolation.",
    )
    interpolated_frames = io.Int.Input(
        "interpolated_frames", default=1, min=0, max=4, optional=True, tooltip="New frames in each gap."
    )
    adjust_fps = io.Boolean.Input(
        "adjust_fps",
        default=True,
        optional=True,
        tooltip="Raise fps with the interpolated frames, so that the duration stays. Off: slow motion.",
    )
    upload_profile = io.String.Input(
        "upload_profile",
        default="",
        optional=True,
        tooltip="A profile of keys.json whose signed address the file is also sent to. Empty: it stays here.",
    )
    widgets = (exact_quality, interpolation, interpolated_frames, adjust_fps, upload_profile)
    return [advanced(widget) for widget in widgets]


def _interpolated(video: Any, model: str, between: int, adjust_fps: bool) -> Clip:
    """The clip of a video, or of images, with new frames in each gap."""
    images, rate, sound = images_of(video, FPS_OF_IMAGES)
    rate = rate * (between + 1) if adjust_fps else rate
    return clip_of_images(interpolate(images, model, between), rate, sound, stop_if_interrupted)


def _played(clip: Clip, fps: float, reverse: bool, audio: Any) -> Clip:
    """The clip as the settings want it: backwards with its own sound, and only then at another rate or sound."""
    if reverse:
        clip = reversed_clip(clip)
    sound = clip.sound if audio is None else sound_of(audio)
    return replace(clip, fps=exact_fps(fps) if fps else clip.fps, sound=sound)


@contextmanager
def _new_file(prefix: str, clip: Clip, extension: str) -> Iterator[tuple[Path, str]]:
    """Reserve a name for the length of the block; yields the path and its folder below the output folder."""
    if not Path(prefix).name or "\0" in prefix:
        raise ValueError(f"filename_prefix is {prefix!r}, which names no file. Write one such as 'video/wan_duet'.")
    output = folder_paths.get_output_directory()
    try:
        folder, name, counter, subfolder, _ = folder_paths.get_save_image_path(prefix, output, clip.width, clip.height)
        with reserve_name(lambda number: Path(folder, f"{name}_{number:05}_.{extension}"), counter) as path:
            yield path, subfolder
    except OSError as error:
        if error.errno not in (errno.ENAMETOOLONG, errno.EINVAL):
            raise
        raise ValueError(f"filename_prefix is {prefix[:40]!r}…, which is no name here: {error.strerror}.") from error


def _metadata(hidden: Any, made_with: dict[str, Any]) -> dict[str, str]:
    """Texts to embed: none under --disable-metadata."""
    if not writes_metadata():
        return {}
    graph = {"prompt": hidden.prompt, "node_id": hidden.unique_id, "result": _result()}
    found = receipt(comfyui_version.__version__, **graph, **made_with)
    values = {**(hidden.extra_pnginfo or {}), RECEIPT: found}
    return texts({**values, "prompt": hidden.prompt} if hidden.prompt else values)


def _result() -> int:
    """Number of the result that the node is at, from 0 on, where a run has made several."""
    running = get_executing_context()
    return (running.list_index or 0) if running else 0


def _sent(path: Path, profile: str) -> str:
    """Send the file; a signed address takes one, and the next would take its place."""
    if _result():
        return f"Not sent: the address of profile '{profile}' has the first result."
    return upload(path, profile, manager())


def _write(path: Path, clip: Clip, settings: EncoderSettings, metadata: dict[str, str]) -> int:
    """Write the file and return the number of frames."""
    if settings.format in STILLS:
        if clip.count != 1:
            raise ValueError(f"{settings.format} holds one frame, the video has {clip.count}. Choose mp4, webm or mov.")
        write_still(path, next(clip.frames()), settings, metadata)
        return 1
    progress = comfy.utils.ProgressBar(clip.count)
    return write_video(path, clip, settings, metadata, partial(progress.update, 1))


def _report(path: Path, clip: Clip, settings: EncoderSettings, count: int) -> list[str]:
    """Report lines on what was written, and on what was changed in a file as it was read."""
    width, height = written_size(clip, settings)
    what = "an image"
    if settings.format not in STILLS:
        what = f"{count} frames at {float(clip.fps):g} fps, {float(count / clip.fps):.2f} s"
    size = f"{path.stat().st_size / 1e6:.2f} MB"
    return [f"{path.name}: {width}x{height}, {what}, {size} ({settings})", *clip.notes]
