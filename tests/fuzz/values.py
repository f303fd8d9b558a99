"""A node that puts out what a prompt can't write down: tensors, sounds and videos, right and wrong ones.

Copied into a server's custom_nodes folder; read by the fuzzer for the names.
"""

import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from io import BytesIO
from typing import Any

import torch
from comfy_api.input_impl import VideoFromComponents, VideoFromFile
from comfy_api.util import VideoComponents

FRAMES, SIDE = 5, 64
STANDING = [number for joint in range(18) for number in (8.0 + 7 * (joint % 5), 8.0 + 2.5 * joint, 1.0)]
FACE = {"face_keypoints_2d": STANDING * 4}
Make = Callable[[], Any]


def images(*shape: int, dtype: torch.dtype = torch.float32) -> Make:
    return lambda: torch.linspace(0, 1, math.prod(shape)).reshape(shape).to(dtype)


def filled(value: float, *shape: int) -> Make:
    return lambda: torch.full(shape, value)


def sound(*shape: int, rate: Any = 8000, dtype: torch.dtype = torch.float32) -> Make:
    return lambda: {"waveform": torch.zeros(shape, dtype=dtype), "sample_rate": rate}


def latent(*shape: int, dtype: torch.dtype = torch.float32, **more: Any) -> Make:
    return lambda: {"samples": torch.zeros(shape, dtype=dtype), **more}


def prompts(*shape: int, dtype: torch.dtype = torch.float32) -> Make:
    return lambda: [[torch.zeros(shape, dtype=dtype), {}]]


def film(frames: Make, audio: Any = None, rate: Any = Fraction(16)) -> Make:
    return lambda: VideoFromComponents(VideoComponents(images=frames(), audio=audio, frame_rate=rate))


def people(*points: float, width: Any = SIDE, height: Any = SIDE) -> Make:
    person = {"pose_keypoints_2d": list(points) or STANDING}
    return lambda: [{"people": [person], "canvas_width": width, "canvas_height": height}] * FRAMES


FILM = (FRAMES, SIDE, SIDE, 3)

# By kind of socket: what it may take, and what it must not
MAY: Mapping[str, Mapping[str, Make]] = {
    "IMAGE": {
        "film": images(*FILM),
        "image": images(1, SIDE, SIDE, 3),
        "grey": images(1, SIDE, SIDE, 1),
        "with alpha": images(1, SIDE, SIDE, 4),
        "half": images(*FILM, dtype=torch.float16),
        "double": images(*FILM, dtype=torch.float64),
        "NaN": filled(math.nan, *FILM),
        "bright": filled(1e30, *FILM),
        "one pixel": images(1, 1, 1, 3),
        "wide": images(1, 8, 2000, 3),
    },
    "MASK": {
        "masks": filled(1.0, *FILM[:3]),
        "plain": filled(1.0, SIDE, SIDE),
        "one channel": filled(1.0, FRAMES, 1, SIDE, SIDE),
        "yes": lambda: torch.ones(FILM[:3]) > 0,
        "other size": filled(1.0, 1, 7, 9),
        "NaN": filled(math.nan, *FILM[:3]),
        "half": images(*FILM[:3], dtype=torch.float16),
    },
    "AUDIO": {
        "sound": sound(1, 2, 4000),
        "loud": lambda: {"waveform": torch.full((1, 1, 4000), 1e30), "sample_rate": 8000},
        "short": sound(1, 1, 1),
        "fast": sound(1, 1, 100, rate=1),
        "no samples": sound(1, 1, 0),
        "rate of a fraction": sound(1, 1, 4000, rate=8000.5),
        "rate 768000": sound(1, 1, 4000, rate=768_000),
    },
    "LATENT": {
        "latent": latent(1, 16, 2, 8, 8),
        "two": latent(2, 16, 2, 8, 8),
        "of an image": latent(1, 16, 8, 8),
        "four channels": latent(1, 4, 8, 8),
        "odd sides": latent(1, 16, 2, 7, 5),
        "one cell": latent(1, 16, 1, 1, 1),
        "NaN": lambda: {"samples": torch.full((1, 16, 2, 8, 8), math.nan)},
        "half": latent(1, 16, 2, 8, 8, dtype=torch.float16),
    },
    "CONDITIONING": {
        "prompt": prompts(1, 8, 4096),
        "none": list,
        "twice": lambda: prompts(1, 8, 4096)() * 2,
        "NaN": lambda: [[torch.full((1, 8, 4096), math.nan), {}]],
        "two": prompts(2, 8, 4096),
        "narrow": prompts(1, 8, 768),
        "half": prompts(1, 8, 4096, dtype=torch.float16),
    },
    "VIDEO": {
        "video": film(images(*FILM), sound(1, 2, 4000)()),
        "slow": film(images(*FILM), rate=Fraction(1, 100_000)),
    },
    "POSE_KEYPOINT": {
        "people": people(),
        "nobody": lambda: [{"people": [], "canvas_width": 8, "canvas_height": 8}],
        "NaN": people(*[math.nan] * 54),
        "canvas in text": people(width="64"),
        "no people": lambda: [{"canvas_width": SIDE, "canvas_height": SIDE}],
    },
    "BOUNDING_BOX": {
        "boxes": lambda: [[{"x": 8, "y": 8, "width": 40, "height": 40}]] * FRAMES,
        "box": lambda: {"x": 8, "y": 8, "width": 40, "height": 40},
        "negative": lambda: [[{"x": 8, "y": 8, "width": -40, "height": 40}]] * FRAMES,
    },
}
MUST_NOT: Mapping[str, Mapping[str, Make]] = {
    "IMAGE": {
        "2 dimensions": images(SIDE, SIDE),
        "3 dimensions": images(SIDE, SIDE, 3),
        "5 dimensions": images(1, *FILM),
        "no frames": images(0, SIDE, SIDE, 3),
        "height 0": images(1, 0, SIDE, 3),
        "width 0": images(1, SIDE, 0, 3),
        "2 channels": images(1, SIDE, SIDE, 2),
        "5 channels": images(1, SIDE, SIDE, 5),
        "bytes": images(*FILM, dtype=torch.uint8),
        "whole numbers": images(*FILM, dtype=torch.int64),
        "complex": images(*FILM, dtype=torch.complex64),
        "list": lambda: [images(1, SIDE, SIDE, 3)()],
        "array": lambda: images(*FILM)().numpy(),
    },
    "MASK": {
        "1 dimension": filled(1.0, SIDE),
        "5 dimensions": filled(1.0, 1, 1, *FILM[:3]),
        "3 channels": filled(1.0, 1, 3, SIDE, SIDE),
        "none": filled(1.0, 0, SIDE, SIDE),
        "height 0": filled(1.0, 1, 0, SIDE),
        "bytes": images(*FILM[:3], dtype=torch.uint8),
    },
    "AUDIO": {
        "2 dimensions": sound(2, 4000),
        "4 dimensions": sound(1, 1, 2, 4000),
        "several": sound(2, 1, 4000),
        "no channels": sound(1, 0, 4000),
        "whole numbers": sound(1, 1, 4000, dtype=torch.int16),
        "NaN": lambda: {"waveform": torch.full((1, 1, 4000), math.nan), "sample_rate": 8000},
        "inf": lambda: {"waveform": torch.full((1, 1, 4000), math.inf), "sample_rate": 8000},
        "no rate": lambda: {"waveform": torch.zeros(1, 1, 4000)},
        "no waveform": lambda: {"sample_rate": 8000},
        **{f"rate {rate}": sound(1, 1, 4000, rate=rate) for rate in (0, -8000, math.nan, None, "8000", 10**12)},
    },
    "LATENT": {
        "batch 0": latent(0, 16, 2, 8, 8),
        "no frames": latent(1, 16, 0, 8, 8),
        "3 dimensions": latent(16, 8, 8),
        "6 dimensions": latent(1, 1, 16, 2, 8, 8),
        "bytes": latent(1, 16, 2, 8, 8, dtype=torch.uint8),
        "nothing": dict,
        "bare": lambda: torch.zeros(1, 16, 2, 8, 8),
    },
    "CONDITIONING": {
        "no text": lambda: [[None, {}]],
        "no options": lambda: [[torch.zeros(1, 8, 4096)]],
        "options of another kind": lambda: [[torch.zeros(1, 8, 4096), 7]],
        "2 dimensions": prompts(8, 4096),
        "4 dimensions": prompts(1, 1, 8, 4096),
        "no tokens": prompts(1, 0, 4096),
        "batch 0": prompts(0, 8, 4096),
        "whole numbers": prompts(1, 8, 4096, dtype=torch.int64),
        "bare": lambda: torch.zeros(1, 8, 4096),
    },
    "VIDEO": {
        "no video": lambda: VideoFromFile(BytesIO(b"this is no video" * 100)),
        "empty file": lambda: VideoFromFile(BytesIO(b"")),
        "no such file": lambda: VideoFromFile("/nowhere/film.mp4"),
        "no frames": film(images(0, SIDE, SIDE, 3)),
        "bytes": film(images(*FILM, dtype=torch.uint8)),
        "2 dimensions": film(images(SIDE, SIDE)),
        "rate 0": film(images(*FILM), rate=Fraction(0)),
        "rate -16": film(images(*FILM), rate=Fraction(-16)),
        "path": lambda: "film.mp4",
    },
    "POSE_KEYPOINT": {
        "none": list,
        "no canvas": lambda: [{"people": []}],
        "large canvas": people(width=10**9),
        "canvas 0": people(width=0),
        "canvas -64": people(width=-SIDE),
        "canvas NaN": people(width=math.nan),
        "text": lambda: [{"people": [{"pose_keypoints_2d": "nope"}], "canvas_width": SIDE, "canvas_height": SIDE}],
        "two numbers": people(1.0, 2.0),
    },
    "BOUNDING_BOX": {
        "other frames": lambda: [[{"x": 8, "y": 8, "width": 40, "height": 40}]] * 3,
        "no numbers": lambda: [[{}]] * FRAMES,
        "NaN": lambda: [[{"x": math.nan, "y": 8, "width": 40, "height": 40}]] * FRAMES,
    },
}

# What comes over a link of any type, and the kinds that may take it
ANYTHING: Mapping[str, tuple[Make, set[str]]] = {
    "None": (lambda: None, set()),
    "NaN": (lambda: math.nan, set()),
    "inf": (lambda: math.inf, set()),
    "-inf": (lambda: -math.inf, set()),
    "whole": (lambda: 1, {"INT", "FLOAT", "BOOLEAN"}),
    "half": (lambda: 0.5, {"FLOAT"}),
    "huge": (lambda: 10**400, set()),
    "true": (lambda: True, {"INT", "FLOAT", "BOOLEAN"}),
    "text": (lambda: "nope", {"STRING"}),
    "no text": (lambda: "", {"STRING"}),
    "text with a zero byte": (lambda: "a\0b", set()),
    "bytes": (lambda: b"nope", set()),
    "list": (lambda: [1, 2], set()),
    "empty list": (list, {"CONDITIONING"}),
    "dict": (lambda: {"a": 1}, set()),
    "tensor": (lambda: torch.zeros(3), set()),
    "object": (object, set()),
}
# Of what takes minutes, to interrupt it
LONG: Mapping[str, Make] = {
    "film": lambda: torch.rand(1, 240, 320, 3).expand(20_000, -1, -1, -1),
    "picture": lambda: torch.rand(1, 6000, 200, 3),
    "people": lambda: [{**frame, "people": [FACE | frame["people"][0]]} for frame in people()() * 800],
    "masks": lambda: torch.ones(1, 240, 320).expand(20_000, -1, -1),
}
VALUES: Mapping[str, Make] = {
    **{f"long/{name}": make for name, make in LONG.items()},
    **{f"{kind}/{name}": make for side in (MAY, MUST_NOT) for kind, all in side.items() for name, make in all.items()},
    **{f"anything/{name}": make for name, (make, _) in ANYTHING.items()},
}


class Anything(str):
    """A type that fits every input."""

    __slots__ = ()
    __hash__ = str.__hash__

    def __ne__(self, other: object) -> bool:
        return False


class Value:
    """One of the values, by its name."""

    RETURN_TYPES = (Anything("*"),)
    FUNCTION = "value"
    CATEGORY = "test"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"name": ("STRING", {})}}

    def value(self, name: str) -> tuple[Any]:
        return (VALUES[name](),)


class End(Value):
    """Takes anything, does nothing with it, and lets what is before it run."""

    RETURN_TYPES = ()
    OUTPUT_NODE = True
    FUNCTION = "end"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"value": (Anything("*"), {})}}

    def end(self, value: Any) -> dict[str, Any]:
        return {}


NODE_CLASS_MAPPINGS = {"Test_Value": Value, "Test_End": End}
