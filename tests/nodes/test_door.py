"""Whatever comes in that a schema does not mean is refused by name, before a node looks at it."""

import asyncio
import math
from typing import Any

import numpy as np
import pytest
import torch
from comfy_api.latest import io
from wan_duet.nodes import LOCAL_NODES
from wan_duet.nodes.door import checked

NAN, INF = math.nan, math.inf
WAVE = torch.zeros(1, 2, 100)
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
        *({"waveform": WAVE, "sample_rate": rate} for rate in [0, -8000, NAN, None]),
        {},
    ],
    "LATENT": [{"samples": torch.zeros(shape)} for shape in [(0, 16, 1, 8, 8), (16, 8, 8), (1, 16, 0, 8, 8)]] + [{}],
    "CONDITIONING": [[[None, {}]], [[torch.zeros(4, 4096), {}]], [torch.zeros(1, 4, 4096)], "a red circle"],
    "VIDEO": ["film.mp4", torch.zeros(3)],
    "INT": [NAN, INF, -INF, 8.5],
    "FLOAT": [NAN, INF, -INF],
    "COMBO": ["nope", "", 17],
    "STRING": ["a\0b"],
}
# Files that are not there are data, and told where their weights are needed
ANY_NAME = {("WanDuet_LoadExperts", "high"), ("WanDuet_LoadExperts", "low")}
ANY_NAME |= {("WanDuet_Lora", "file"), ("WanDuet_Lora", "low_file")}
ANY_NAME |= {("WanDuet_LoadDetector", "pose_model"), ("WanDuet_LoadDetector", "person_model")}


def inputs() -> list[Any]:
    """Every input of every node of which the door knows what it takes, with something that none of its kinds is."""
    found = []
    for node in LOCAL_NODES:
        schema = node.define_schema()
        for declared in schema.inputs:
            kinds = declared.get_io_type().split(",")
            if (schema.node_id, declared.id) in ANY_NAME or not set(kinds) <= BAD.keys():
                continue
            bad = [value for value in BAD[kinds[0]] if not ("IMAGE" in kinds[1:] and isinstance(value, torch.Tensor))]
            found.append(pytest.param(node, declared, bad, id=f"{schema.node_id}-{declared.id}"))
    return found


def call(node: type[io.ComfyNode], **values: Any) -> Any:
    result = checked(node).execute(**values)
    return asyncio.run(result) if asyncio.iscoroutine(result) else result


@pytest.mark.parametrize(("node", "declared", "bad"), inputs())
def test_every_input_is_looked_at(node: type[io.ComfyNode], declared: Any, bad: list[Any]) -> None:
    as_host_gives_it = (lambda value: [value]) if node.define_schema().is_input_list else lambda value: value
    for value in bad:
        with pytest.raises(ValueError, match=rf"^{declared.id} is .*\. It takes "):
            call(node, **{declared.id: as_host_gives_it(value)})


def test_numbers_outside_their_range_are_refused_with_it() -> None:
    (steps,) = (declared for declared in _plan().inputs if declared.id == "steps")
    with pytest.raises(ValueError, match=rf"^steps is 0\. It takes a number from {steps.min} to {steps.max}\."):
        call(next(node for node in LOCAL_NODES if node.__name__ == "StagePlan"), steps=0)


@pytest.mark.parametrize("mask", [torch.ones(4, 4), torch.ones(1, 1, 4, 4), torch.ones(1, 4, 4) > 0], ids=str)
def test_masks_as_other_packs_make_them_come_in(mask: torch.Tensor) -> None:
    node = next(node for node in LOCAL_NODES if node.__name__ == "MaskShape")
    with pytest.raises(TypeError, match="required positional"):  # the others are missing
        call(node, mask=mask)


@pytest.mark.parametrize("steps", [np.int64(8), np.float32(8), True])
def test_numbers_of_other_packs_come_in(steps: Any) -> None:
    node = next(node for node in LOCAL_NODES if node.__name__ == "StagePlan")
    with pytest.raises(TypeError, match="required positional"):
        call(node, steps=steps)


def test_a_long_value_is_cut() -> None:
    node = next(node for node in LOCAL_NODES if node.__name__ == "StagePlan")
    with pytest.raises(ValueError) as refused:
        call(node, sampler="x" * 10_000)
    assert len(str(refused.value)) < 400


def _plan() -> io.Schema:
    return next(node for node in LOCAL_NODES if node.__name__ == "StagePlan").define_schema()


def test_there_is_no_kind_that_nothing_is_tried_on() -> None:
    kinds = {kind for param in inputs() for kind in param.values[1].get_io_type().split(",")}
    assert kinds == BAD.keys()
