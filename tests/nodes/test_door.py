"""Whatever comes in that a schema does not mean is refused by name, before a node looks at it."""

import asyncio
import math
from fractions import Fraction
from io import BytesIO
from typing import Any

import numpy as np
import pytest
import torch
from comfy_api.input_impl import VideoFromComponents, VideoFromFile
from comfy_api.latest import io
from comfy_api.util import VideoComponents
from wan_duet.nodes import LOCAL_NODES, REMOTE_NODES
from wan_duet.nodes.door import FILE, check_inputs

NAN, INF = math.nan, math.inf
WAVE = torch.zeros(1, 2, 100)
NODES = [*LOCAL_NODES, *REMOTE_NODES]


def film(images: torch.Tensor, audio: Any = None, fps: int = 16) -> VideoFromComponents:
    return VideoFromComponents(VideoComponents(images=images, audio=audio, frame_rate=Fraction(fps)))


OBJECTS = [None, 7, "nope", [], {}, (7,), torch.zeros(3)]  # what none of our own sockets takes
BAD: dict[str, list[Any]] = {
    "IMAGE": [
        *(
            torch.zeros(shape)
            for shape in [(4, 4), (4, 4, 3), (1, 1, 4, 4, 3), (0, 4, 4, 3), (1, 0, 4, 3), (1, 4, 4, 2)]
        ),
        torch.zeros(1, 4, 4, 3, dtype=torch.uint8),
        {"samples": torch.zeros(1, 16, 1, 8, 8)},
    ],
    "MASK": [torch.zeros(4), torch.zeros(1, 1, 1, 4, 4), torch.zeros(0, 4, 4), torch.zeros(1, 4, 4, dtype=torch.uint8)],
    "AUDIO": [
        *(
            {"waveform": wave, "sample_rate": 8000}
            for wave in [torch.zeros(2, 100), torch.zeros(1, 0, 100), WAVE * NAN]
        ),
        {"waveform": torch.zeros(2, 1, 100), "sample_rate": 8000},
        *({"waveform": WAVE, "sample_rate": rate} for rate in [0, -8000, NAN, None, 10**12]),
        {},
    ],
    "LATENT": [{"samples": torch.zeros(shape)} for shape in [(0, 16, 1, 8, 8), (16, 8, 8), (1, 16, 0, 8, 8)]] + [{}],
    "CONDITIONING": [
        *([[torch.zeros(shape), {}]] for shape in [(4, 4096), (1, 0, 4096), (0, 4, 4096)]),
        [[torch.zeros(1, 4, 4096, dtype=torch.int64), {}]],
        *([[None, {}]], [torch.zeros(1, 4, 4096)], "a red circle"),
    ],
    "VIDEO": [
        *("film.mp4", torch.zeros(3)),
        *(VideoFromFile(file) for file in (BytesIO(b""), BytesIO(b"this is no video" * 99), "/nowhere/film.mp4")),
        *(film(torch.zeros(shape)) for shape in [(0, 4, 4, 3), (1, 0, 4, 3), (4, 4, 3)]),
        film(torch.zeros(1, 4, 4, 3), fps=0),
        film(torch.zeros(1, 4, 4, 3), {"waveform": torch.zeros(2, 100), "sample_rate": 8000}),
    ],
    "MODEL": OBJECTS,
    "VAE": OBJECTS,
    "SAMPLER": OBJECTS,
    "WAN_EXPERTS": OBJECTS,
    "WAN_PLAN": OBJECTS,
    "WAN_LORAS": OBJECTS,
    "WAN_FRAMES": OBJECTS,
    "WAN_POSE": OBJECTS,
    "WAN_DETECTOR": OBJECTS,
    "INT": [None, "8", NAN, INF, -INF, 8.5, 10**400],
    "FLOAT": [None, "8", NAN, INF, -INF, 10**400],
    "BOOLEAN": [None, "no", NAN, 2, 10**400, torch.zeros(3)],
    "COMBO": [None, "nope", "", 17, torch.zeros(3)],
    "STRING": [None, 17, "a\0b", "a\ud800b", torch.zeros(3)],
    FILE: [None, 17, "", " ", "a\0b", "a\ud800b", torch.zeros(3)],
}
# Files that are not there are data, and told where their weights are needed
ANY_NAME = {("WanDuet_LoadExperts", "high"), ("WanDuet_LoadExperts", "low")}
ANY_NAME |= {("WanDuet_Lora", "file"), ("WanDuet_Lora", "low_file")}
ANY_NAME |= {("WanDuet_LoadDetector", "pose_model"), ("WanDuet_LoadDetector", "person_model")}


def inputs() -> list[Any]:
    """Every input of every node of which the door knows what it takes, with something that none of its kinds is."""
    found = []
    for node in NODES:
        schema = node.define_schema()
        for declared in schema.inputs:
            kinds = [FILE] if (schema.node_id, declared.id) in ANY_NAME else declared.get_io_type().split(",")
            if set(kinds) <= BAD.keys():
                bad = [value for value in BAD[kinds[0]] if _is_bad(value, kinds[1:], declared.optional)]
                some = bad if node in LOCAL_NODES else bad[:1]  # which are checked by the same code
                found.append(pytest.param(node, declared, some, id=f"{schema.node_id}-{declared.id}"))
    return found


def _is_bad(value: Any, other_kinds: list[str], optional: bool) -> bool:
    """Say whether a value that its first kind refuses is none of the others either, nor stands for no value."""
    if value is None:
        return not optional
    of_kind = {"IMAGE": torch.Tensor, "STRING": str}
    return not any(isinstance(value, of_kind[kind]) for kind in other_kinds if kind in of_kind)


def call(node: type[io.ComfyNode], **values: Any) -> Any:
    result = check_inputs(node).execute(**values)
    return asyncio.run(result) if asyncio.iscoroutine(result) else result


@pytest.mark.parametrize(("node", "declared", "bad"), inputs())
def test_every_input_is_looked_at(node: type[io.ComfyNode], declared: Any, bad: list[Any]) -> None:
    as_host_gives_it = (lambda value: [value]) if node.define_schema().is_input_list else lambda value: value
    for value in bad:
        with pytest.raises(ValueError, match=rf"^{declared.id} is .*\. It takes "):
            call(node, **{declared.id: as_host_gives_it(value)})


def received(inputs: list[io.Input], **values: Any) -> dict[str, Any]:
    """The values that a node with these inputs is called with."""
    calls: list[dict[str, Any]] = []

    class Node(io.ComfyNode):
        @classmethod
        def define_schema(cls) -> io.Schema:
            return io.Schema("Test_Inputs", inputs=inputs)

        @classmethod
        def execute(cls, **values: Any) -> io.NodeOutput:
            calls.append(values)
            return io.NodeOutput()

    call(Node, **values)
    (given,) = calls
    return given


def test_what_is_connected_to_no_value_is_as_if_it_were_not_connected() -> None:
    inputs = [io.Int.Input("steps", optional=True), io.Mask.Input("mask")]
    assert received(inputs, steps=None, mask=torch.ones(4, 4)).keys() == {"mask"}
    with pytest.raises(ValueError, match=r"^mask is None\. It takes masks"):
        received(inputs, steps=1, mask=None)


def test_a_film_that_can_be_read_comes_in() -> None:
    sound = {"waveform": WAVE, "sample_rate": 8000}
    for video in (film(torch.zeros(1, 4, 4, 3)), film(torch.zeros(1, 4, 4, 3), sound)):
        with pytest.raises(TypeError, match="required positional"):
            call(next(node for node in LOCAL_NODES if node.__name__ == "SaveVideo"), video=video)


def test_the_file_that_can_not_be_read_is_named() -> None:
    node = next(node for node in LOCAL_NODES if node.__name__ == "SaveVideo")
    with pytest.raises(ValueError, match=r"^video is film\.mp4\. It takes a video that can be read"):
        call(node, video=VideoFromFile("/nowhere/film.mp4"))


def test_numbers_outside_their_range_are_refused_with_it() -> None:
    (steps,) = (declared for declared in _plan().inputs if declared.id == "steps")
    with pytest.raises(ValueError, match=rf"^steps is 0\. It takes a number from {steps.min} to {steps.max}\."):
        call(next(node for node in LOCAL_NODES if node.__name__ == "StagePlan"), steps=0)


@pytest.mark.parametrize("mask", [torch.ones(4, 4), torch.ones(1, 1, 4, 4), torch.ones(1, 4, 4) > 0], ids=str)
def test_masks_as_other_packs_make_them_come_in(mask: torch.Tensor) -> None:
    node = next(node for node in LOCAL_NODES if node.__name__ == "MaskShape")
    with pytest.raises(TypeError, match="required positional"):  # the others are missing
        call(node, mask=mask)


@pytest.mark.parametrize("one", [np.int64(1), np.float32(1), True, np.bool_(True), 1])
def test_numbers_of_other_packs_come_in_as_pythons_own(one: Any) -> None:
    inputs = [io.Int.Input("whole"), io.Float.Input("share"), io.Boolean.Input("yes")]
    given = received(inputs, whole=1 if isinstance(one, np.bool_) else one, share=float(one), yes=one)
    assert [(value, type(value)) for value in given.values()] == [(1, int), (1.0, float), (True, bool)]


def test_what_no_log_can_hold_is_not_in_the_message() -> None:
    node = next(node for node in LOCAL_NODES if node.__name__ == "SaveVideo")
    with pytest.raises(ValueError, match=r"^filename_prefix is .*It takes text") as refused:
        call(node, filename_prefix="film\udcff")
    assert str(refused.value).encode()


def test_a_long_value_is_cut() -> None:
    node = next(node for node in LOCAL_NODES if node.__name__ == "StagePlan")
    with pytest.raises(ValueError) as refused:
        call(node, sampler="x" * 10_000)
    assert len(str(refused.value)) < 400


def _plan() -> io.Schema:
    return next(node for node in LOCAL_NODES if node.__name__ == "StagePlan").define_schema()


def test_there_is_no_kind_that_nothing_is_tried_on() -> None:
    kinds = {kind for param in inputs() for kind in param.values[1].get_io_type().split(",")}
    assert kinds | {FILE} == BAD.keys()
