"""The fuzzer's own judgement, on entries of a history made by hand."""

import os
from typing import Any

import pytest
from wan_duet.tests.fuzz.mutations import Case, chosen
from wan_duet.tests.fuzz.verdicts import LATER, OURS, PACK, RAW, SILENT, TAKEN, UNNAMED, is_deliberate, verdict

DOOR = f'  File "/host/{PACK}nodes{os.sep}door.py", line 9, in _check\n    raise ValueError(words)\n'
DEEP = f'  File "/host/{PACK}nodes{os.sep}video.py", line 9, in execute\n    return encode(images)\n'
TORCH = '  File "/host/site-packages/torch/_tensor.py", line 9, in __len__\n    raise TypeError("0-d")\n'


def entry(message: str = "", *frames: str) -> dict[str, Any]:
    said = {"node_type": "Node", "exception_type": "E", "exception_message": message, "traceback": list(frames)}
    return {"status": {"messages": [("execution_start", {}), *([("execution_error", said)] if frames else [])]}}


@pytest.mark.parametrize(
    ("outside", "ended", "wanted"),
    [
        (True, entry("steps is nan", DEEP, DOOR), OURS),
        (False, entry("no input is named", DEEP, DOOR), OURS),
        (True, entry("no input is named", DEEP, DOOR), UNNAMED),
        (True, entry("steps is nan", DOOR, DEEP), RAW),
        (True, entry("steps is nan", DEEP, TORCH), RAW),
        (True, entry("steps is nan", TORCH), LATER),
        (True, entry(), SILENT),
        (False, entry(), TAKEN),
    ],
)
def test_only_a_raise_of_the_packs_own_that_names_the_input_is_an_answer(
    outside: bool, ended: dict[str, Any], wanted: str
) -> None:
    assert verdict(Case("WanDuet_Node", "steps", "nan", outside, {}), ended)[0] == wanted


def test_a_raise_over_several_lines_is_one() -> None:
    assert is_deliberate(f'  File "{PACK}a.py", line 1, in b\n    raise ValueError(\n')
    assert not is_deliberate(f'  File "{PACK}a.py", line 1, in b\n    raised(\n')


def test_a_seed_draws_the_same_prompts_again_and_as_many_of_each_node() -> None:
    pool = [Case(node, "input", str(number), False, {}) for node in "abc" for number in range(50)]
    drawn = chosen(pool, 1, 30)
    assert drawn == chosen(pool, 1, 30) != chosen(pool, 2, 30)
    assert [sum(case.node == node for case in drawn) for node in "abc"] == [10, 10, 10]
    assert len(set(case.name for case in drawn)) == 30
    assert len(chosen(pool, 1, 1000)) == len(pool)
