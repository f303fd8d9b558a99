"""The door of every node: a value is what its schema says, or an error names the input and the value."""

import inspect
import math
import os
import re
from collections.abc import Callable, Iterable, Mapping
from numbers import Real
from typing import Any

import av
import numpy as np
import torch
from av.error import FFmpegError
from comfy_api.input_impl import VideoFromComponents, VideoFromFile
from comfy_api.latest import io

from ..animate.detect import Detector
from ..animate.pose import Pose
from ..conditioning.frame_images import FrameImage
from ..experts.lora.spec import LoraSpec
from ..experts.pair import Experts
from ..samplers.plan import Plan

LONGEST = 60  # letters of a value in a message
MOST_OPTIONS = 12
PARTS = ("samples", "waveform", "sample_rate")
OWN: Mapping[str, Callable[[Any], Any]] = {"INT": int, "FLOAT": float, "BOOLEAN": bool}
MOST_SAMPLES = 768_000  # a second, more than any sound has
# Half of a UTF-16 pair is no character: in a message it would end the host's worker, which can't log it
NO_TEXT = re.compile("[\0\ud800-\udfff]")
FILE = "FILE"  # a combo of files, which takes one that is not there

Test = Callable[[Any, Any], bool]
Words = Callable[[Any], str]

IMAGES = "images [frames, height, width, 3] of numbers from 0 to 1"
MASKS = "masks [frames, height, width] of numbers from 0 to 1"
SOUND = f"one sound, its waveform [1, channels, samples] of numbers and its sample_rate above 0, up to {MOST_SAMPLES}"
LATENTS = "a latent, its samples [batch, channels, frames, height, width]"
PROMPTS = "the output of a text encoder or of another conditioning node, [1, tokens, channels]"
VIDEOS = "a video that can be read"


def check_inputs(node: type[io.ComfyNode]) -> type[io.ComfyNode]:
    """Give a node the check; a file combo that `validate_inputs` opens to any name takes every name."""
    inside: Callable[..., Any] = node.execute.__func__  # pyright: ignore[reportFunctionMemberAccess]

    def execute(cls: Any, **values: Any) -> Any:
        return inside(cls, **_let_in(node, values))

    async def execute_async(cls: Any, **values: Any) -> Any:
        return await inside(cls, **_let_in(node, values))

    way_in = execute_async if inspect.iscoroutinefunction(inside) else execute  # the host asks which it is
    return type(node.__name__, (node,), {"execute": classmethod(way_in), "__module__": node.__module__})


def _let_in(node: type[io.ComfyNode], values: Mapping[str, Any]) -> dict[str, Any]:
    """The values, all looked at, numbers as Python's own; an optional input whose link brought None is left out."""
    schema, given = node.define_schema(), dict(values)
    any_name = inspect.signature(node.validate_inputs).parameters
    for declared in (declared for declared in schema.inputs if declared.id in values):
        kinds = [FILE] if declared.id in any_name else declared.get_io_type().split(",")
        several = given.pop(declared.id) if schema.is_input_list else [given.pop(declared.id)]
        if there := [value for value in several if value is not None or not declared.optional]:
            _check(declared, kinds, there)
            if len(kinds) == 1 and kinds[0] in OWN:
                there = [OWN[kinds[0]](value) for value in there]
            given[declared.id] = there if schema.is_input_list else there[0]
    return given


def _check(declared: Any, kinds: list[str], values: Iterable[Any]) -> None:
    """Raise ValueError for the first value that is none of the kinds that an input takes."""
    if not _KINDS.keys() >= set(kinds):
        return
    for value in values:
        if not any(_KINDS[kind][0](value, declared) for kind in kinds):
            wanted = " or ".join(_KINDS[kind][1](declared) for kind in kinds)
            raise ValueError(f"{declared.id} is {_shown(value)}. It takes {wanted}.")


def _shown(value: Any) -> str:
    if isinstance(value, torch.Tensor):
        return f"a tensor of shape {list(value.shape)} and type {str(value.dtype).removeprefix('torch.')}"
    if isinstance(value, Mapping):
        parts = ", ".join(f"{key}: {_shown(value[key])}" for key in PARTS if key in value)
        return f"a {type(value).__name__} of {parts or 'nothing that is known here'}"
    if isinstance(value, list | tuple) and value:
        return f"a list of {len(value)}, the first {_shown(value[0])}"
    if isinstance(value, VideoFromFile):
        source = value.get_stream_source()
        return os.path.basename(source) if isinstance(source, str) else "a file in memory"
    text = f"a {type(value).__name__}" if " object at 0x" in repr(value) else " ".join(repr(value).split())
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def _is_images(value: Any, _: Any) -> bool:
    return _is_pictures(value, (4,)) and value.shape[-1] in (1, 3, 4)


def _is_masks(value: Any, _: Any) -> bool:
    """Accept one channel as well, and true or false, as other packs make them."""
    if isinstance(value, torch.Tensor) and value.ndim == 4 and value.shape[1] == 1:
        value = value[:, 0]
    if isinstance(value, torch.Tensor) and value.dtype == torch.bool:
        value = value.float()
    return _is_pictures(value, (2, 3))


def _is_pictures(value: Any, dimensions: tuple[int, ...]) -> bool:
    is_float = isinstance(value, torch.Tensor) and value.is_floating_point()
    return is_float and value.ndim in dimensions and all(value.shape)


def _is_sound(value: Any, _: Any) -> bool:
    if not isinstance(value, Mapping):
        return False
    waveform = value.get("waveform")
    rate: Any = value.get("sample_rate")
    if not (isinstance(waveform, torch.Tensor) and waveform.is_floating_point() and waveform.ndim == 3):
        return False
    one = waveform.shape[0] == 1 and waveform.shape[1] > 0
    return one and _is_number(rate) and 0 < rate <= MOST_SAMPLES and bool(torch.isfinite(waveform).all())


def _is_latent(value: Any, _: Any) -> bool:
    samples = value.get("samples") if isinstance(value, Mapping) else None
    if not isinstance(samples, torch.Tensor):
        return False
    return samples.is_floating_point() and samples.ndim in (4, 5) and all(samples.shape)


def _is_prompts(value: Any, _: Any) -> bool:
    return isinstance(value, list | tuple) and all(
        isinstance(entry, list | tuple)
        and len(entry) >= 2
        and isinstance(entry[0], torch.Tensor)
        and entry[0].is_floating_point()
        and entry[0].ndim == 3
        and all(entry[0].shape)
        and isinstance(entry[1], dict)
        for entry in value
    )


def _is_video(value: Any, _: Any) -> bool:
    if isinstance(value, VideoFromFile):
        return _opens(value.get_stream_source())
    if isinstance(value, VideoFromComponents):
        parts = value.get_components()
        return _is_images(parts.images, _) and parts.frame_rate > 0 and (not parts.audio or _is_sound(parts.audio, _))
    return callable(getattr(value, "get_components", None))


def _opens(source: Any) -> bool:
    try:
        with av.open(source):
            return True
    except (OSError, FFmpegError):
        return False


def _is_within(value: Any, declared: Any) -> bool:
    least, most = _bounds(declared)
    return _is_number(value) and least <= value <= most


def _is_whole(value: Any, declared: Any) -> bool:
    return _is_within(value, declared) and value == int(value)


def _is_number(value: Any) -> bool:
    """`isfinite` fails of whole numbers past 1e308."""
    number: Any = value
    return isinstance(value, Real) and bool(-math.inf < number < math.inf)


def _bounds(declared: Any) -> tuple[float, float]:
    least, most = getattr(declared, "min", None), getattr(declared, "max", None)
    return -math.inf if least is None else least, math.inf if most is None else most


def _within(declared: Any) -> str:
    least, most = _bounds(declared)
    if math.isinf(least) or math.isinf(most):
        return "a number"
    return f"a number from {least:g} to {most:g}"


def _is_option(value: Any, declared: Any) -> bool:
    return not declared.options or value in declared.options


def _options(declared: Any) -> str:
    shown = ", ".join(map(str, declared.options[:MOST_OPTIONS]))
    return f"one of {shown}" + (", …" if len(declared.options) > MOST_OPTIONS else "")


def _is_text(value: Any, _: Any) -> bool:
    return isinstance(value, str) and not NO_TEXT.search(value)


def _is_name(value: Any, _: Any) -> bool:
    return _is_text(value, _) and bool(value.strip())


def _is_yes_or_no(value: Any, _: Any) -> bool:
    return isinstance(value, bool | np.bool_) or (_is_number(value) and value in (0, 1))


def _made_as(kind: type) -> Test:
    return lambda value, _: isinstance(value, kind)


def _list_of(kind: type) -> Test:
    return lambda value, _: isinstance(value, tuple) and all(isinstance(item, kind) for item in value)


def _with(*names: str) -> Test:
    """Recognise by its attributes a thing for which other packs have classes of their own."""
    return lambda value, _: all(hasattr(value, name) for name in names)


def _from(what: str) -> Words:
    return lambda _: what


_KINDS: dict[str, tuple[Test, Words]] = {
    "IMAGE": (_is_images, _from(IMAGES)),
    "MASK": (_is_masks, _from(MASKS)),
    "AUDIO": (_is_sound, _from(SOUND)),
    "LATENT": (_is_latent, _from(LATENTS)),
    "CONDITIONING": (_is_prompts, _from(PROMPTS)),
    "VIDEO": (_is_video, _from(VIDEOS)),
    "MODEL": (_with("model", "model_options", "clone"), _from("a MODEL, from a model loader")),
    "VAE": (_with("encode", "latent_channels"), _from("a VAE, from a VAE loader")),
    "SAMPLER": (_with("sample"), _from("a sampler, from a plan node or KSamplerSelect")),
    "WAN_EXPERTS": (_made_as(Experts), _from("experts, from Load Wan 2.2 Experts or Wan 2.2 Experts From Models")),
    "WAN_PLAN": (_made_as(Plan), _from("a plan, from Wan 2.2 Stage Plan or Plan Preset")),
    "WAN_LORAS": (_list_of(LoraSpec), _from("LoRAs, from Wan 2.2 LoRA")),
    "WAN_FRAMES": (_list_of(FrameImage), _from("frames, from Wan 2.2 Frame Image")),
    "WAN_POSE": (_made_as(Pose), _from("a pose, from Detect Pose or Keypoints To Pose")),
    "WAN_DETECTOR": (_made_as(Detector), _from("a detector, from Load Detector")),
    "INT": (_is_whole, _within),
    "FLOAT": (_is_within, _within),
    "BOOLEAN": (_is_yes_or_no, _from("true or false")),
    "COMBO": (_is_option, _options),
    "STRING": (_is_text, _from("text")),
    FILE: (_is_name, _from("the name of a file")),
}
