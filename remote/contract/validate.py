"""Check a request against its contract: every violation has path, rule, value and what is allowed."""

import math
import re
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from .contracts import Contract, Parameter
from .rules import Violation, broken_rules

URI = re.compile(r"https?://\S+\Z")
AIR = re.compile(r"[\w.-]+:[\w.@:/-]+\Z")
DATA_URI = re.compile(r"data:[\w.+-]+/[\w.+-]+;base64,", re.ASCII)
BASE64 = re.compile(r"[A-Za-z0-9+/]{16,}={0,2}\Z")
PLACEHOLDER = re.compile(
    r"(media:[0-9a-f]{64}|profile:[^\s\"\\]+)\Z"
)  # still to be uploaded, see media.py; or in keys.json
TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "float": (int, float),
    "number": (int, float),
    "boolean": (bool,),
    "object": (dict,),
    "array": (list,),
}


@dataclass(frozen=True)
class _Field:
    """A value of the request beside the parameter it belongs to (None: no such parameter)."""

    path: str
    value: Any
    parameter: Parameter | None


def violations(contract: Contract, request: Mapping[str, Any]) -> list[Violation]:
    """Everything about a request that the documents do not allow; empty if it may be sent."""
    found: list[Violation] = []
    for field in _fields(contract, request, "", ""):
        found += _field_violations(field)
    blamed = tuple(f"{violation.path}." for violation in found)
    found += [violation for violation in _missing(contract, request) if not violation.path.startswith(blamed)]
    return found or list(broken_rules(contract, request))


def _fields(contract: Contract, value: Any, path: str, pattern: str) -> Iterator[_Field]:
    """Walk the request: `path` counts list items, `pattern` has `[]` for each of them."""
    if isinstance(value, dict):
        dot = "." if path else ""
        for key, child in value.items():
            name = f"{pattern}{dot}{key}"
            yield from _walk(contract, _Field(f"{path}{dot}{key}", child, contract.parameter(name)), name)
    elif isinstance(value, list):
        item = _item_of(contract, pattern)
        for index, child in enumerate(value):
            yield from _walk(contract, _Field(f"{path}[{index}]", child, item), f"{pattern}[]")


def _walk(contract: Contract, field: _Field, pattern: str) -> Iterator[_Field]:
    """A field, and what is in it if it may have something in it."""
    yield field
    if field.parameter is not None and _has_type(field.value, field.parameter.types):
        yield from _fields(contract, field.value, field.path, pattern)


def _item_of(contract: Contract, pattern: str) -> Parameter:
    """The parameter of a list's items: as documented, objects if they have fields, else texts of its own format."""
    path, described = f"{pattern}[]", contract.parameter(pattern)
    item = contract.parameter(path)
    objects = any(parameter.path.startswith(f"{path}.") for parameter in contract.parameters)
    if item is None and not objects:
        return Parameter(path, ("string",), format=described.format if described else None)
    types = (*(item.types if item else ()), *(("object",) if objects else ()))
    return replace(item or Parameter(path, ()), types=types)


def _field_violations(field: _Field) -> Iterator[Violation]:
    parameter, value = field.parameter, field.value
    if parameter is None:
        yield Violation(field.path, "unknown", value, "no such parameter")
        return
    if not _has_type(value, parameter.types):
        yield Violation(field.path, "type", value, " or ".join(parameter.types))
        return
    if parameter.const is not None and value != parameter.const:
        yield Violation(field.path, "const", value, parameter.const)
    if parameter.enum is not None and not isinstance(value, dict) and value not in parameter.enum:
        yield Violation(field.path, "enum", value, list(parameter.enum))
    yield from _bounds(field.path, value, parameter)
    if isinstance(value, str) and parameter.format and not PLACEHOLDER.match(value):
        formats = parameter.format.split("|")
        if not any(_has_format(value, name) for name in formats):
            yield Violation(field.path, "format", value, " or ".join(formats))


def _bounds(path: str, value: Any, parameter: Parameter) -> Iterator[Violation]:
    if isinstance(value, int | float) and not isinstance(value, bool):
        if parameter.min is not None and value < parameter.min:
            yield Violation(path, "min", value, parameter.min)
        if parameter.max is not None and value > parameter.max:
            yield Violation(path, "max", value, parameter.max)
        grid = parameter.multiple_of or parameter.step
        if grid is not None and Fraction(str(value)) % Fraction(str(grid)):
            yield Violation(path, "multiple_of", value, grid)
    size = len(value) if isinstance(value, str | list) else 0
    low, high, unit = (
        (parameter.min_length, parameter.max_length, "length")
        if isinstance(value, str)
        else (parameter.min_items, parameter.max_items, "items")
    )
    if isinstance(value, str | list) and low is not None and size < low:
        yield Violation(path, f"min_{unit}", size, low)
    if isinstance(value, str | list) and high is not None and size > high:
        yield Violation(path, f"max_{unit}", size, high)


def _has_type(value: Any, types: tuple[str, ...]) -> bool:
    if isinstance(value, bool):
        return "boolean" in types
    if isinstance(value, float) and not math.isfinite(value):
        return False
    return any(isinstance(value, TYPES[name]) for name in types)


def _has_format(value: str, name: str) -> bool:
    if name in ("uuid", "uuid4"):
        try:
            return uuid.UUID(value).version == 4 or name == "uuid"
        except ValueError:
            return False
    match name:
        case "uri":
            return URI.match(value) is not None
        case "data-uri":
            return DATA_URI.match(value) is not None
        case "base64":
            return BASE64.match(value) is not None
        case "AIR":
            return AIR.match(value) is not None
    return bool(value.strip())  # a Hugging Face repository, say


def _missing(contract: Contract, request: Mapping[str, Any]) -> Iterator[Violation]:
    """Required fields that are absent: those of list items once for each item that is an object."""
    for parameter in contract.parameters:
        if parameter.required:
            for path in _absent(request, parameter.path.split("."), ""):
                yield Violation(path, "required", None, " or ".join(parameter.types))


def _absent(value: Any, names: list[str], path: str) -> Iterator[str]:
    name, rest = names[0], names[1:]
    dot = "." if path else ""
    if name.endswith("[]"):
        items = value.get(name[:-2]) if isinstance(value, dict) else None
        for index, item in enumerate(items if isinstance(items, list) else ()):
            if isinstance(item, dict) and rest:
                yield from _absent(item, rest, f"{path}{dot}{name[:-2]}[{index}]")
        return
    here = f"{path}{dot}{name}"
    if not isinstance(value, dict) or value.get(name) is None:
        if not any(inner.endswith("[]") for inner in rest):  # no list, no item that could lack it
            yield ".".join([here, *rest])
    elif rest:
        yield from _absent(value[name], rest, here)
