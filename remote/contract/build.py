"""From what a person has set to the request that is sent: unset stays absent, what a mode does not take is dropped."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .contracts import Contract, Parameter
from .rules import Violation, mode_of, warnings_of
from .validate import violations

DIGITS = 7  # all that single precision has


class InvalidRequest(ValueError):
    """A request that its provider would refuse; nothing was sent."""

    def __init__(self, endpoint: str, found: list[Violation]) -> None:
        self.violations = found
        super().__init__(f"{endpoint} does not take this request:\n" + "\n".join(f"- {one}" for one in found))


@dataclass(frozen=True)
class Built:
    """A request that keeps to its contract, the paths that its mode does not take, and what has no effect."""

    request: dict[str, Any]
    dropped: tuple[str, ...]
    warnings: tuple[str, ...]


def build(contract: Contract, values: Mapping[str, Any]) -> Built:
    """Nest dotted paths, leave out None, drop what the mode does not take; InvalidRequest if a rule is broken.

    Documented defaults are never filled in: an absent field is the provider's to choose.
    """
    request = _nested(values)
    for parameter in contract.parameters:
        if parameter.const is not None and "." not in parameter.path:
            request.setdefault(parameter.path, parameter.const)
    dropped = _drop(contract, request)
    if found := violations(contract, request):
        raise InvalidRequest(contract.endpoint, found)
    return Built(request, tuple(dropped), tuple(warnings_of(contract, request)))


def _nested(values: Mapping[str, Any]) -> dict[str, Any]:
    request: dict[str, Any] = {}
    for path, value in values.items():
        value = _plain(value)
        if value is None:
            continue
        *parents, name = path.split(".")
        inside = request
        for parent in parents:
            inside = inside.setdefault(parent, {})
        inside[name] = value
    return request


def _plain(value: Any) -> Any:
    """Without None, and with numbers as they were written: a widget's 0.1 + 0.2 is no multiple of 0.01."""
    if isinstance(value, Mapping):
        return {key: _plain(child) for key, child in value.items() if child is not None}
    if isinstance(value, list | tuple):
        return [_plain(child) for child in value]
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value


def _drop(contract: Contract, request: dict[str, Any]) -> list[str]:
    """Remove the parameters of other modes and return their paths."""
    mode = mode_of(contract, request) if contract.modes else None
    if mode is None:
        return []
    foreign = [p for p in contract.parameters if p.modes is not None and mode not in p.modes and "[]" not in p.path]
    return [parameter.path for parameter in foreign if _remove(request, parameter)]


def _remove(request: dict[str, Any], parameter: Parameter) -> bool:
    *parents, name = parameter.path.split(".")
    inside = request
    for parent in parents:
        inside = inside.get(parent, {})
    return inside.pop(name, None) is not None
