"""The door of every local node: a value is what its schema says, or an error names the input and the value."""

import inspect
import math
from collections.abc import Callable, Iterable, Mapping
from numbers import Real
from typing import Any

import torch
from comfy_api.latest import io

LONGEST = 60  # letters of a value in a message
MOST_OPTIONS = 12
PARTS = ("samples", "waveform", "sample_rate")

IMAGES = "images [frames, height, width, 3] of numbers from 0 to 1"
MASKS = "masks [frames, height, width] of numbers from 0 to 1"
SOUND = "one sound, its waveform [1, channels, samples] of numbers and its sample_rate above 0"
LATENTS = "a latent, its samples [batch, channels, frames, height, width]"
PROMPTS = "the output of a text encoder or of another conditioning node, [1, tokens, channels]"
VIDEOS = "a video"


def checked(node: type[io.ComfyNode]) -> type[io.ComfyNode]:
    """Give a node the check; a file combo that accepts any name in `validate_inputs` keeps its own."""
    accepted = set(inspect.signature(node.validate_inputs).parameters)

    def execute(cls: Any, **values: Any) -> Any:
        schema = node.define_schema()
        for declared in schema.inputs:
            value = values.get(declared.id)
            if value is not None and declared.id not in accepted:
                _check(declared, value if schema.is_input_list else [value])
        return node.execute.__func__(cls, **values)  # pyright: ignore[reportFunctionMemberAccess]

    return type(node.__name__, (node,), {"execute": classmethod(execute), "__module__": node.__module__})


def _check(declared: Any, values: Iterable[Any]) -> None:
    """Raise ValueError for the first value that is none of the kinds that an input takes."""
    kinds = declared.get_io_type().split(",")
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
    text = " ".join(repr(value).split())
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
    return one and _is_number(rate) and rate > 0 and bool(torch.isfinite(waveform).all())


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
        and entry[0].ndim == 3
        and isinstance(entry[1], dict)
        for entry in value
    )


def _is_video(value: Any, _: Any) -> bool:
    return callable(getattr(value, "get_components", None))


def _is_within(value: Any, declared: Any) -> bool:
    least, most = _bounds(declared)
    return _is_number(value) and least <= value <= most


def _is_whole(value: Any, declared: Any) -> bool:
    return _is_within(value, declared) and value == int(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and math.isfinite(value)


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
    return isinstance(value, str) and "\0" not in value


Test = Callable[[Any, Any], bool]
_KINDS: dict[str, tuple[Test, Callable[[Any], str]]] = {
    "IMAGE": (_is_images, lambda _: IMAGES),
    "MASK": (_is_masks, lambda _: MASKS),
    "AUDIO": (_is_sound, lambda _: SOUND),
    "LATENT": (_is_latent, lambda _: LATENTS),
    "CONDITIONING": (_is_prompts, lambda _: PROMPTS),
    "VIDEO": (_is_video, lambda _: VIDEOS),
    "INT": (_is_whole, _within),
    "FLOAT": (_is_within, _within),
    "COMBO": (_is_option, _options),
    "STRING": (_is_text, lambda _: "text"),
}
