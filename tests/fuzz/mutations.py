"""Mutations of a good prompt: one input at a time, every kind of wrong value that the schema knows of."""

import math
import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from wan_duet.dev.client import Prompt
from wan_duet.tests.data.object_info import Info, choices, inputs, options

from .prompts import Give, Good, Left
from .values import ANYTHING, MAY, MUST_NOT

CHEAP = 100  # the largest maximum that a test can afford
HUGE = 10**40
TEXTS = ("", " ", "\0", "a\0b", "ü" * 300, "../../x", "雪\u200b🦊\u202e", "%date:yyyy%\r\n\t", "{}[]\\\"'", "\ud800")


@dataclass(frozen=True)
class Case:
    """A mutated prompt; one that is `outside` must be refused by somebody, with the name of the `input`."""

    node: str
    input: str
    what: str
    outside: bool
    prompt: Prompt

    @property
    def name(self) -> str:
        return f"{self.node.removeprefix('WanDuet_')}.{self.input} = {self.what}"


def cases(goods: Sequence[Good], info: Info) -> list[Case]:
    """Every mutation of every input of every node."""
    return [case for good in goods for case in _of_node(good, info)]


def chosen(all_cases: Sequence[Case], seed: int, count: int) -> list[Case]:
    """`count` of them, as many of each node as of every other, in an order of their own for each seed."""
    drawn, of_node = random.Random(seed), defaultdict(list)
    for case in all_cases:
        of_node[case.node].append(case)
    for pool in of_node.values():
        drawn.shuffle(pool)
    taken: list[Case] = []
    while any(of_node.values()) and len(taken) < count:
        for node in list(of_node):
            if of_node[node] and len(taken) < count:
                taken.append(of_node[node].pop())
    return taken


def _of_node(good: Good, info: Info) -> Iterator[Case]:
    node = info[good.kind]
    for name, declared in inputs(node).items():
        required = name in node["input"].get("required", {})
        for what, value, outside in _changes(declared, required):
            shown = f"a {value.name}" if isinstance(value, Give) else what
            yield Case(good.kind, name, shown, outside, good.changed(**{name: value}).prompt)
    yield Case(good.kind, "nothing_of_ours", "extra", False, good.changed(nothing_of_ours=1).prompt)


def _changes(declared: list[Any], required: bool) -> Iterator[tuple[str, Any, bool]]:
    """A value to put in place of an input's: its name, itself, and whether the input must refuse it."""
    kinds = ["COMBO"] if choices(declared) is not None else declared[0].split(",")
    yield "left out", Left(), required
    for value, outside in _widget_values(kinds, declared):
        yield repr(value)[:60], value, outside and (required or value is not None)
    may = {name for kind in kinds for name in MAY.get(kind, {})}
    for kind in kinds:
        for name in MAY.get(kind, {}):
            yield name, Give(f"{kind}/{name}"), False
        for name in MUST_NOT.get(kind, {}).keys() - may:
            yield name, Give(f"{kind}/{name}"), True
    for name, (_, suits) in ANYTHING.items():
        absent = name == "None" and not required
        yield name, Give(f"anything/{name}"), not (absent or suits & set(kinds) or "*" in kinds)


def _widget_values(kinds: Sequence[str], declared: list[Any]) -> Iterator[tuple[Any, bool]]:
    """Values that stand in a prompt as they are; `outside` marks those that stay wrong once the host converts them."""
    if len(kinds) > 1 or not {*kinds} & {"COMBO", "INT", "FLOAT", "STRING", "BOOLEAN"}:
        yield from ((value, True) for value in (7, None, {"a": 1}, True))
        yield from ((text, "STRING" not in kinds) for text in TEXTS)
    elif "COMBO" in kinds:
        yield from ((value, True) for value in ("nope", "", 17, None, True, math.nan, {"a": 1}, "x" * 300, 0.5))
    elif "INT" in kinds or "FLOAT" in kinds:
        yield from ((value, _is_outside(value, kinds[0], options(declared))) for value in _numbers(options(declared)))
    elif "STRING" in kinds:
        yield from ((text, "\0" in text or "\ud800" in text) for text in TEXTS)
        yield from ((value, False) for value in (7, None, math.nan, {"__value__": [1]}))
    else:
        yield from ((value, False) for value in ("nope", None, 7, math.nan))


def _numbers(said: dict[str, Any]) -> list[Any]:
    least, most = said.get("min", 0), said.get("max", CHEAP)
    ends = [least, most] if most <= CHEAP else [least]
    texts = ("nope", "", "nan", "8", "1e400", "0x10")
    beyond = (least - 1, most + 1, HUGE, -HUGE, 1e308)
    return [*ends, *beyond, math.nan, math.inf, -math.inf, 8.5, True, None, {"a": 1}, {"__value__": [1]}, *texts]


def _is_outside(value: Any, kind: str, said: dict[str, Any]) -> bool:
    try:
        number = (int if kind == "INT" else float)(value)
    except (TypeError, ValueError, OverflowError):
        return True
    return not said.get("min", -math.inf) <= number <= said.get("max", math.inf)
