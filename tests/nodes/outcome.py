"""The outcome of a call of a node, flat: its outputs and all it has handed to the domain, each part by its path."""

import asyncio
import enum
import hashlib
import inspect
import types
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from comfy_api.latest import io

Outcome = dict[tuple[str, ...], Any]
PLAIN = (bool, int, float, str, bytes, type(None), Fraction, enum.Enum, Path, torch.device, torch.dtype, type)


def flat(value: Any, path: tuple[str, ...] = (), within: tuple[int, ...] = ()) -> Outcome:
    """Everything that a value is made of, by path; what cannot be looked into is known by its type."""
    if isinstance(value, PLAIN):
        return {path: value}
    if isinstance(value, torch.Tensor | np.ndarray):
        array = np.ascontiguousarray(value.detach().float().cpu().numpy() if isinstance(value, torch.Tensor) else value)
        return {path: (array.shape, str(value.dtype), hashlib.sha256(array.tobytes()).hexdigest())}
    if id(value) in within:
        return {path: "itself"}
    found: Outcome = {}
    for name, part in _parts(value):
        found |= flat(part, (*path, name), (*within, id(value)))
    return found or {path: _name(value)}


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        yield from ((str(name), part) for name, part in value.items())
    elif isinstance(value, list | tuple) and not hasattr(value, "_fields"):
        yield from ((str(place), part) for place, part in enumerate(value))
    elif isinstance(value, list | tuple):
        yield from zip(value._fields, value, strict=True)
    elif isinstance(value, partial):
        yield from {"function": value.func, "arguments": value.args, **value.keywords}.items()
    elif isinstance(value, torch.nn.Module):
        yield "identity", id(value)
    elif not isinstance(value, types.FunctionType | types.MethodType | types.GeneratorType | types.ModuleType):
        yield from getattr(value, "__dict__", {}).items()


def _name(value: Any) -> str:
    return f"{type(value).__name__} {getattr(value, '__qualname__', '')}"


class Calls(list[Outcome]):
    """The arguments that functions were given, by the names of their parameters, as it was when they were called."""

    def heard(self, name: str, function: Callable[..., Any], args: tuple[Any, ...], more: dict[str, Any]) -> None:
        """Keep one call."""
        try:
            given = inspect.signature(function).bind(*args, **more).arguments
        except (TypeError, ValueError):
            given = {"args": args, **more}
        self.append(flat(given, ("calls", str(len(self)), name)))

    @property
    def all(self) -> Outcome:
        """Those so far, in one."""
        return {path: value for call in self for path, value in call.items()}

    def spy(self, function: Callable[..., Any], name: str | None = None) -> Callable[..., Any]:
        """The function, with each call kept."""
        name = name or function.__name__

        def spied(*args: Any, **more: Any) -> Any:
            self.heard(name, function, args, more)
            return function(*args, **more)

        return spied


def watch_the_door(node: type[io.ComfyNode], calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep every call that a node's file makes of functions of the domain's packages."""
    module = inspect.getmodule(node)
    assert module is not None
    for name, found in list(vars(module).items()):
        if inspect.isfunction(found) and _is_domain(found.__module__):
            monkeypatch.setattr(module, name, calls.spy(found))
        elif inspect.ismodule(found) and _is_domain(found.__name__):
            for inner, function in list(vars(found).items()):
                if inspect.isfunction(function) and function.__module__ == found.__name__ and inner[0] != "_":
                    monkeypatch.setattr(found, inner, calls.spy(function))


def _is_domain(module: str) -> bool:
    return module.startswith("wan_duet.") and not module.startswith(("wan_duet.nodes", "wan_duet.tests"))


def outcome(node: type[io.ComfyNode], calls: Calls, given: Mapping[str, Any]) -> Outcome:
    """The outputs by their names, or the error, and the calls."""
    calls.clear()
    schema = node.define_schema()
    names = [output.display_name or str(place) for place, output in enumerate(schema.outputs)]
    try:
        made = node.execute(**given)
        made = asyncio.run(made) if inspect.iscoroutine(made) else made
    except (ValueError, FileNotFoundError) as error:
        return {("error",): f"{type(error).__name__}: {error}", **calls.all}
    values = made.args if isinstance(made, io.NodeOutput) else made
    return {**flat(dict(zip(names, values, strict=True))), **calls.all}


def changed(before: Outcome, after: Outcome) -> set[tuple[str, ...]]:
    """The paths whose part differs, or is in one of the two only."""
    return {path for path in before.keys() | after.keys() if not _same(before, after, path)}


def _same(before: Outcome, after: Outcome, path: tuple[str, ...]) -> bool:
    return path in before and path in after and before[path] == after[path]


def arrives(name: str, was: Any, value: Any, before: Outcome, after: Outcome) -> str:
    """The fault of an input that was changed from `was` to `value`; empty if nothing is.

    Something must change, and if any part bears the name, such a part: to the very value where it was what was given.
    """
    different = changed(before, after)
    if not different:
        return "changes nothing"
    own = tuple(name.split("."))
    if not any(_bears(path, own) for path in before.keys() | after.keys()):
        return ""
    if not any(_bears(path, own) for path in different):
        return f"changes {sorted(different)[:3]}, and nothing that bears its name"
    if not isinstance(was, PLAIN) or not isinstance(value, PLAIN):
        return ""
    copies = [path for path in before.keys() & after.keys() if path[-len(own) :] == own]
    leaves = [str(after[path]) for path in copies if path in different and str(before[path]) == str(was)]
    if leaves and str(value) not in leaves:
        return f"becomes {leaves}"
    return ""


def _bears(path: tuple[str, ...], name: tuple[str, ...]) -> bool:
    return any(path[start : start + len(name)] == name for start in range(len(path)))
