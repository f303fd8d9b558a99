"""Turn values of sockets into parts of a request and the files that are to be uploaded for them."""

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from comfy_api.latest import io

from ...conditioning.frame_images import AUTO, FIRST, LAST, FrameImage
from ...experts.lora.spec import Loras, LoraSpec
from ...experts.variant import HIGH, LOW
from ...remote.contract.contracts import Contract
from ...remote.media import Media, audio_media, image_media, video_media
from ...video.encode import write_video
from ...video.formats import QUALITIES, EncoderSettings
from ...video.identity import identity_of_clip, identity_of_file
from ...video.strip_metadata import strip_metadata
from ..clips import FPS_OF_IMAGES, clip_of, stop_if_interrupted, whole_file
from ..sockets import WanFrames, WanLoras
from .files import AS_PNG, Files, addresses

Fill = Callable[[Any, Files], Any]
"""The part of a request for a socket's value; the files that it names are added to the list."""


@dataclass(frozen=True)
class Socket:
    """An input for media: its types, what it is for, and how each path of a request is filled from it."""

    types: tuple[Any, ...]
    tooltip: str
    fills: Mapping[str, Fill]

    def input(self, name: str, *, optional: bool) -> Any:
        """The input of a node."""
        if len(self.types) == 1:
            return self.types[0].Input(name, tooltip=self.tooltip, optional=optional)
        return io.MultiType.Input(name, types=list(self.types), tooltip=self.tooltip, optional=optional)


def fill(
    contract: Contract, given: Mapping[str, Any], variant: str, large_images: str = AS_PNG
) -> tuple[dict[str, Any], Files]:
    """The parts of a request that sockets fill, by path, and the files in them.

    Raises ValueError for a socket that this contract has no place for, and for what can't be sent.
    """
    values: dict[str, Any] = {}
    files = Files(contract, large_images)
    for name, value in given.items():
        places = {path: put for path, put in SOCKETS[name].fills.items() if contract.parameter(path)}
        if not places:
            raise ValueError(
                f"{name} is connected, and {variant} takes none. Disconnect it, or choose another variant."
            )
        if name == "frames":
            _check_ends(value, variant, places)
        for path, put in places.items():
            part = put(value, files)
            if part is not None:
                values[path] = values[path] + part if path in values else part
    return values, files


def _check_ends(frames: Any, variant: str, places: Mapping[str, Fill]) -> None:
    ends = named_frames(frames)
    if list(places) == ["image_url"] and LAST in ends:
        raise ValueError(f"frames has an image for the last frame, and {variant} takes a first one only.")
    if "image_url" in places and FIRST not in ends:
        raise ValueError(f"frames has no image for the first frame, and {variant} needs one. Add it with Frame Image.")


def _one(name: str, make: Callable[[Any], Media]) -> Fill:
    """The placeholder of the file that is made of a value; of a text, the address in it."""
    return lambda value, files: _file(addresses(value, name)[0] if isinstance(value, str) else make(value), files)


def _file(media: Media | str, files: Files) -> str:
    """The text that stands for a file: its placeholder, or its address if it is on the web."""
    return media if isinstance(media, str) else files.add(media).placeholder


# The same bytes from run to run, so that a file is uploaded once
SENT = EncoderSettings("mp4", QUALITIES["high"], "balanced", threads=4)


def picture(image: torch.Tensor, name: str = "image") -> Media:
    """The only picture of an IMAGE `[1, H, W, C]`."""
    if len(image) != 1:
        raise ValueError(f"{name} is a batch of {len(image)} images, and one is taken. Pick one, with ImageFromBatch.")
    return image_media(image[0])


def pictures(images: torch.Tensor | str, files: Files) -> list[str]:
    """The text that stands for each picture of an IMAGE, or for one that is on the web."""
    made = addresses(images, "image") if isinstance(images, str) else map(image_media, images)
    return [_file(one, files) for one in made]


def sound(audio: Mapping[str, Any]) -> Media:
    """The only sound of an AUDIO."""
    waveform = audio["waveform"]
    if len(waveform) != 1:
        raise ValueError(f"audio is a batch of {len(waveform)} sounds, and one is taken.")
    return audio_media(waveform[0], audio["sample_rate"])


def film(video: Any) -> Media:
    """A VIDEO as a file that holds pictures and sound and nothing else: a saved one also holds its graph."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "film.mp4")
        source = whole_file(video)
        clip = clip_of(video, FPS_OF_IMAGES)
        if source is None or not strip_metadata(source, path):
            write_video(path, clip, SENT, {}, stop_if_interrupted)
        known = (identity_of_clip(clip),) if source is None else identity_of_file(source)
        return video_media(path, *known)


def named_frames(frames: Any) -> dict[str, torch.Tensor | str]:
    """The images for `first` and `last`; ValueError for any other frame: the providers take no more than these."""
    if isinstance(frames, str):
        return dict(zip((FIRST, LAST), addresses(frames, "frames", most=2), strict=False))
    if isinstance(frames, torch.Tensor):
        return {FIRST: frames}
    named: dict[str, torch.Tensor | str] = {}
    for image in frames:
        name = _end_of(image, taken=named)
        if name in named:
            raise ValueError(f"frames has two images for the {name} frame. Keep one.")
        if image.strength_high != 1 or image.strength_low != 1:
            raise ValueError(f"frames has a strength other than 1 for the {name} frame, which no provider takes.")
        named[name] = image.images
    return dict(sorted(named.items()))


def _frame(image: torch.Tensor | str) -> Media | str:
    return image if isinstance(image, str) else picture(image, "frames")


def _end_of(image: FrameImage, taken: Mapping[str, Any]) -> str:
    text = image.frame.strip().lower() or AUTO
    if text == AUTO:
        text = LAST if FIRST in taken else FIRST
    name = {"0": FIRST, "-1": LAST}.get(text, text)
    if name not in (FIRST, LAST):
        raise ValueError(f"frames has an image for frame {image.frame}. A provider takes first and last only.")
    return name


def _runware_frames(frames: Any, files: Files) -> list[dict[str, str]]:
    named = named_frames(frames).items()
    return [{"image": _file(_frame(image), files), "frame": name} for name, image in named]


def _fal_frame(end: str) -> Fill:
    def put(frames: Any, files: Files) -> str | None:
        image = named_frames(frames).get(end)
        return None if image is None else _file(_frame(image), files)

    return put


def _item(make: Callable[[Any], Media], kind: str) -> Fill:
    def put(value: Any, files: Files) -> list[dict[str, str]]:
        if isinstance(value, str):
            return [{"url": addresses(value, kind)[0], "kind": kind}]
        media = files.add(make(value))
        return [{"url": media.placeholder, "kind": kind, "name": media.name, "mimeType": media.mime}]

    return put


def _weights(row: LoraSpec) -> dict[str, float]:
    """The strength for each transformer; ValueError for one that changes within a stage."""
    if (weight := row.strengths.constant) is not None:
        return {row.expert: weight}
    weights = {role: row.strength_on(role).constant for role in row.roles}
    if None in weights.values():
        raise ValueError(f"LoRA {row.file}: the schedule '{row.schedule}' changes within a stage, and no provider can.")
    return {role: weight for role, weight in weights.items() if role in (HIGH, LOW) and weight is not None}


def _loras(loras: Loras, make: Callable[[str], dict[str, str]], weight: str, where: str) -> list[dict[str, Any]]:
    entries = []
    for row in loras:
        if not row.remote_id.strip():
            raise ValueError(
                f"LoRA {row.file} is a file on this machine only. Write its remote_id in Wan 2.2 LoRA: {where}."
            )
        id = make(row.remote_id.strip())
        entries += [{**id, weight: value, "transformer": role} for role, value in _weights(row).items() if value]
    return entries


def _fal_id(id: str) -> dict[str, str]:
    """A URL, or a Hugging Face repository and, after its two names, a file in it."""
    owner, *rest = id.split("/", 2)
    if "://" in id or len(rest) < 2:
        return {"path": id}
    return {"path": f"{owner}/{rest[0]}", "weight_name": rest[1]}


def _fal_loras(loras: Loras, files: Files) -> list[dict[str, Any]] | None:
    where = "for fal a URL, or owner/repository/file.safetensors at Hugging Face"
    return _loras(loras, _fal_id, "scale", where) or None


def _runware_loras(loras: Loras, files: Files) -> list[dict[str, Any]] | None:
    return _loras(loras, lambda id: {"model": id}, "weight", "for Runware an AIR, such as civitai:1@2") or None


HOSTED = "Or a text with the https address of one that is on the web, which is not uploaded."
SOCKETS: Mapping[str, Socket] = {
    "frames": Socket(
        (WanFrames, io.Image, io.String),
        f"Frame images for the first and last frame, from Frame Image; or one image for the first. {HOSTED} A second "
        "line is the last frame.",
        {"image_url": _fal_frame(FIRST), "end_image_url": _fal_frame(LAST), "inputs.frameImages": _runware_frames},
    ),
    "image": Socket(
        (io.Image, io.String),
        f"The image to start from, or of the person. It is cut and scaled there if its shape doesn't fit. {HOSTED}",
        {
            "image_url": _one("image", picture),
            "inputs.referenceImages": lambda images, files: pictures(images, files),
            "params.referenceMediaItems": _item(picture, "image"),
        },
    ),
    "video": Socket(
        (io.Video, io.String),
        f"The video to change or to follow. The graph and other texts in the file are not sent. {HOSTED}",
        {
            "video_url": _one("video", film),
            "inputs.referenceVideos": lambda video, files: [_one("video", film)(video, files)],
        },
    ),
    "audio": Socket(
        (io.Audio, io.String),
        f"The sound to speak or sing to. {HOSTED}",
        {
            "audio_url": _one("audio", sound),
            "inputs.audio": _one("audio", sound),
            "params.referenceMediaItems": _item(sound, "audio"),
        },
    ),
    "loras": Socket(
        (WanLoras,),
        "Rows of Wan 2.2 LoRA, each with its remote_id: a file on this machine can't be sent.",
        {"loras": _fal_loras, "lora": _runware_loras},
    ),
}
FILLED = {path for socket in SOCKETS.values() for path in socket.fills}
