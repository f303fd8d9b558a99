"""Whatever comes in that a schema does not mean is refused by name, before a node looks at it."""

import asyncio
import inspect
import math
from collections.abc import Sequence
from fractions import Fraction
from io import BytesIO
from types import SimpleNamespace
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
TEXT = torch.zeros(1, 4, 4096)
NODES = [*LOCAL_NODES, *REMOTE_NODES]


def film(images: torch.Tensor, audio: Any = None, fps: int = 16) -> VideoFromComponents:
    return VideoFromComponents(VideoComponents(images=images, audio=audio, frame_rate=Fraction(fps)))


class TornFile(BytesIO):
    """One that the disk fails to read."""

    def read(self, size: int | None = -1) -> bytes:
        raise OSError("Input/output error")


def without_one(*names: str) -> list[SimpleNamespace]:
    """Objects that have all of these attributes but one."""
    return [SimpleNamespace(**dict.fromkeys(name for name in names if name != gone)) for gone in names]


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
    "MASK": [
        *(torch.zeros(shape) for shape in [(4,), (1, 3, 4, 4), (1, 1, 1, 4, 4), (0, 4, 4)]),
        torch.zeros(1, 4, 4, dtype=torch.uint8),
    ],
    "AUDIO": [
        *(
            {"waveform": wave, "sample_rate": 8000}
            for wave in [
                *(torch.zeros(shape) for shape in [(1, 100), (1, 2, 100, 1), (0, 2, 100), (2, 1, 100), (1, 0, 100)]),
                *(WAVE.short(), WAVE.index_fill(2, torch.tensor(7), NAN), WAVE + INF),
            ]
        ),
        *({"waveform": WAVE, "sample_rate": rate} for rate in [0, -8000, NAN, None, 768_001]),
        *({}, "sound.mp3"),
    ],
    "LATENT": [
        *(
            {"samples": torch.zeros(shape)}
            for shape in [(0, 16, 1, 8, 8), (16, 8, 8), (1, 16, 0, 8, 8), (1, 1, 16, 1, 8, 8)]
        ),
        *({"samples": torch.zeros(1, 16, 1, 8, 8, dtype=torch.int64)}, {}, "latent"),
    ],
    "CONDITIONING": [
        *([[torch.zeros(shape), {}]] for shape in [(4, 4096), (1, 0, 4096), (0, 4, 4096), (1, 1, 4, 4096)]),
        *([[TEXT.long(), {}]], [[None, {}]], [TEXT], [[TEXT]], [[TEXT, None]], [{0: TEXT, 1: {}}]),
        *([[TEXT, {}], [TEXT, None]], {}, "a red circle"),
    ],
    "VIDEO": [
        *("film.mp4", torch.zeros(3)),
        *(
            VideoFromFile(file)
            for file in (BytesIO(b""), BytesIO(b"this is no video" * 99), TornFile(), "/nowhere/film.mp4")
        ),
        SimpleNamespace(get_components=None),
        *(film(torch.zeros(shape)) for shape in [(0, 4, 4, 3), (1, 0, 4, 3), (4, 4, 3)]),
        film(torch.zeros(1, 4, 4, 3), fps=0),
        film(torch.zeros(1, 4, 4, 3), {"waveform": torch.zeros(2, 100), "sample_rate": 8000}),
    ],
    "MODEL": [*OBJECTS, *without_one("model", "model_options", "clone")],
    "VAE": [*OBJECTS, *without_one("encode", "latent_channels")],
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


def received(inputs: Sequence[io.Input], *, lists: bool = False, **values: Any) -> dict[str, Any]:
    """The values that a node with these inputs, or lists of them, is called with."""
    calls: list[dict[str, Any]] = []

    class Node(io.ComfyNode):
        @classmethod
        def define_schema(cls) -> io.Schema:
            return io.Schema("Test_Inputs", inputs=[*inputs], is_input_list=lists)

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


GOOD: list[tuple[Any, list[Any]]] = [
    (io.Image, [torch.zeros(2, 4, 4, channels) for channels in (1, 3, 4)]),
    (io.Audio, [{"waveform": WAVE, "sample_rate": rate} for rate in (1, 44_100, 768_000)]),
    (io.Latent, [{"samples": torch.zeros(shape)} for shape in [(1, 16, 8, 8), (1, 16, 1, 8, 8)]]),
    (io.Conditioning, [[[TEXT, {}]], ((TEXT, {}),), [[TEXT, {}, "more"]]]),
    (io.Video, [SimpleNamespace(get_components=dict)]),
    (io.Model, [SimpleNamespace(model=None, model_options=None, clone=None)]),
    (io.Vae, [SimpleNamespace(encode=None, latent_channels=None)]),
    (io.Float, [-5.5, 1e300]),
]


@pytest.mark.parametrize(
    ("kind", "value"),
    [pytest.param(kind, it, id=f"{kind.__name__}-{n}") for kind, those in GOOD for n, it in enumerate(those)],
)
def test_each_form_of_a_kind_comes_in_as_it_is(kind: Any, value: Any) -> None:
    assert received([kind.Input("it")], it=value)["it"] is value


def test_each_value_of_a_list_is_looked_at() -> None:
    steps = [io.Int.Input("steps", optional=True)]
    assert received(steps, lists=True, steps=[1, None, 2.0]) == {"steps": [1, 2]}
    assert received(steps, lists=True, steps=[None]) == {}
    with pytest.raises(ValueError, match=r"^steps is 'many'\. "):
        received(steps, lists=True, steps=[1, "many"])


def test_an_input_of_several_kinds_takes_each_as_it_is_and_names_them_all() -> None:
    inputs = [io.MultiType.Input("it", types=[io.Int, io.Float, io.Boolean])]
    assert received(inputs, it=1.5) == {"it": 1.5}
    with pytest.raises(ValueError, match=r"^it is 'x'\. It takes a number or a number or true or false\.$"):
        received(inputs, it="x")


@pytest.mark.parametrize("types", [[io.Custom("OTHER")], [io.Int, io.Custom("OTHER")]], ids=["alone", "beside"])
def test_a_kind_that_is_not_ours_takes_anything(types: list[Any]) -> None:
    assert received([io.MultiType.Input("it", types=types)], it="x") == {"it": "x"}


def test_a_node_that_waits_is_still_one_for_the_host() -> None:
    for node in NODES:
        assert inspect.iscoroutinefunction(check_inputs(node).execute) == inspect.iscoroutinefunction(node.execute)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (torch.zeros(3, dtype=torch.uint8), r"a tensor of shape \[3\] and type uint8"),
        ({"samples": torch.zeros(2)}, r"a dict of samples: a tensor of shape \[2\] and type float32"),
        ({"a": 1}, "a dict of nothing that is known here"),
        ([torch.zeros(2)] * 3, r"a list of 3, the first a tensor of shape \[2\] and type float32"),
        (object(), "a object"),
        (np.zeros((2, 1)), r"array\(\[\[0\.\], \[0\.\]\]\)"),
        (VideoFromFile(BytesIO(b"")), "a file in memory"),
    ],
)
def test_the_message_shows_a_value_on_one_line(value: Any, shown: str) -> None:
    with pytest.raises(ValueError, match=rf"^mask is {shown}\. It takes masks"):
        received([io.Mask.Input("mask")], mask=value)


def test_a_number_may_be_the_least_or_the_most_of_its_range() -> None:
    assert [received([io.Int.Input("steps", min=1, max=8)], steps=steps)["steps"] for steps in (1, 8)] == [1, 8]


@pytest.mark.parametrize("value", [INF, -INF, NAN])
def test_a_number_without_a_range_is_still_a_number(value: float) -> None:
    with pytest.raises(ValueError, match=r"^share is -?(inf|nan)\. It takes a number\.$"):
        received([io.Float.Input("share")], share=value)


def test_a_combo_without_options_takes_any_and_one_of_many_shows_the_first() -> None:
    assert received([io.Combo.Input("file", options=[])], file="a.mp4") == {"file": "a.mp4"}
    with pytest.raises(ValueError, match=r"^it is 'z'\. It takes one of 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, …\.$"):
        received([io.Combo.Input("it", options=[str(n) for n in range(13)])], it="z")
    with pytest.raises(ValueError, match=r"10, 11\.$"):
        received([io.Combo.Input("it", options=[str(n) for n in range(12)])], it="z")


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
