"""The outputs of a job: its videos or images, and a text that says what was paid for."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import folder_paths
import numpy as np
import torch
from comfy_api.input_impl import VideoFromFile
from comfy_api.latest import io, ui
from comfy_execution.graph_utils import ExecutionBlocker
from PIL import Image, ImageOps

from ...remote.errors import RemoteError
from ...remote.job import Job, State
from ...remote.jobs.collect import JobOutcome, delivered
from ...remote.jobs.journal import OVER
from ...remote.jobs.request import GenerationRequest
from ...remote.jobs.summary import summarize
from ..text import log_report

log = logging.getLogger("wan_duet")

ARCHIVES = (".zip",)
STILLS = (".png", ".jpg", ".jpeg", ".webp")


def opened(path: Path) -> Any:
    """A result as the host's VIDEO, or as its IMAGE `[1, H, W, 3]`."""
    if path.suffix not in STILLS:
        return VideoFromFile(str(path))
    with Image.open(path) as picture:
        pixels = np.asarray(ImageOps.exif_transpose(picture).convert("RGB"), dtype=np.float32)
    return torch.from_numpy(pixels / 255)[None]


def seen(files: Sequence[Path]) -> list[Path]:
    """Those that are videos or images; frames in a ZIP are only named."""
    return [path for path in files if path.suffix not in ARCHIVES]


def preview(files: Sequence[Path]) -> ui.SavedImages | dict[str, Any]:
    """The results as the node shows them; nothing if they lie outside the output folder."""
    output = Path(folder_paths.get_output_directory())
    inside = [path.relative_to(output) for path in seen(files) if path.is_relative_to(output)]
    saved = [ui.SavedResult(path.name, str(path.parent), io.FolderType.output) for path in inside]
    return ui.SavedImages(saved, is_animated=files[0].suffix not in STILLS) if saved else {}


def outputs(outcome: JobOutcome, generation: GenerationRequest | None = None) -> io.NodeOutput:
    """The outputs of a provider's node: the results as a list, and the text about them."""
    return io.NodeOutput(
        [opened(file) for file in seen(outcome.files)], told(outcome, generation), ui=preview(outcome.files)
    )


def set_aside(error: RemoteError) -> io.NodeOutput:
    """The outputs for a job of which nobody knows: the reason, and an end to what is connected to the result."""
    log.error("%s", error)
    text = log_report(str(error))
    return io.NodeOutput([ExecutionBlocker(str(error))], text, ui=ui.PreviewText(text))


def told(outcome: JobOutcome, generation: GenerationRequest | None = None) -> str:
    """The text about a job, with the names of its files."""
    return log_report("\n".join([summarize(outcome, generation), *(f"file: {file.name}" for file in outcome.files)]))


def is_whole(jobs: Sequence[Job], node_id: str) -> bool:
    """True if nothing of a node waits to be collected, and every result of its newest run is still there."""
    mine = [job for job in jobs if job.node_id.split("/")[0] == node_id and job.state not in OVER]
    waiting = any(job.state is State.REMOTE_DONE for job in mine)
    return not waiting and all(delivered(job) is not None for job in mine if job.prompt_id == mine[0].prompt_id)
