"""The documented request of each remote endpoint, as data: parameters, rules, modes, upload limits, prices.

The files also hold the documented answers, which the fakes are held to, and the doubts that the documents leave.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

UNSET = object()
FOLDER = Path(__file__).parent / "documents"


@dataclass(frozen=True)
class Parameter:
    """One field of a request; `[]` in the path stands for the items of a list. None: not documented."""

    path: str
    types: tuple[str, ...]
    required: bool = False
    default: Any = None
    const: Any = None
    enum: tuple[Any, ...] | None = None
    min: float | None = None
    max: float | None = None
    step: float | None = None
    multiple_of: int | None = None
    min_length: int | None = None
    max_length: int | None = None
    min_items: int | None = None
    max_items: int | None = None
    format: str | None = None
    modes: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Contract:
    """The documented request of one endpoint, its output and its price.

    `roles`: paths of parameters that the pack itself reads (seed, results, width, height, aspect_ratio, frames, media)
    where they are not called so.
    """

    provider: str
    endpoint: str
    output: str
    parameters: tuple[Parameter, ...]
    rules: tuple[Mapping[str, Any], ...]
    prices: Mapping[str, Any] | None
    modes: Mapping[str, Mapping[str, int]]
    uploads: Mapping[str, Mapping[str, Any]]
    roles: Mapping[str, str] = field(default_factory=dict)

    def role(self, request: Mapping[str, Any], role: str) -> Any:
        """The value in a request that plays a role, such as `seed`, under whatever path; None if it is absent."""
        return _value_of_role(self.roles, request, role)

    def results(self, request: Mapping[str, Any]) -> int:
        """The number of results that a request asks for."""
        asked = self.role(request, "results")
        return 1 if asked is None else asked

    def parameter(self, path: str) -> Parameter | None:
        """The parameter with this path."""
        return self._by_path.get(path)

    def with_model(self, model: str) -> "Contract":
        """The same contract for another model id, where the pages print an ambiguous one.

        What another model costs is not known.
        """
        changed = tuple(replace(p, const=model) if p.path == "model" else p for p in self.parameters)
        documented = self._by_path["model"].const == model
        return replace(self, parameters=changed, prices=self.prices if documented else None)

    @cached_property
    def _by_path(self) -> Mapping[str, Parameter]:
        return {parameter.path: parameter for parameter in self.parameters}


def value_at(request: Mapping[str, Any], path: str) -> Any:
    """The value at a dotted path without lists; UNSET if it is absent."""
    value: Any = request
    for name in path.split("."):
        if not isinstance(value, dict) or name not in value:
            return UNSET
        value = value[name]
    return value


@cache
def contracts() -> Mapping[str, Contract]:
    """Every contract by endpoint: the provider's own endpoint ids where it has several, else `<provider>/<name>`."""
    loaded: dict[str, Contract] = {}
    for path in sorted(FOLDER.glob("*.json")):
        for contract in _contracts_of(json.loads(path.read_text(encoding="utf-8"))):
            loaded[contract.endpoint] = contract
    return MappingProxyType(loaded)


def contract(endpoint: str) -> Contract:
    """The contract of an endpoint; ValueError names those there are."""
    try:
        return contracts()[endpoint]
    except KeyError:
        raise ValueError(f"endpoint is {endpoint!r}; it must be one of {', '.join(contracts())}") from None


def value_of_role(endpoint: str, request: Mapping[str, Any], role: str) -> Any:
    """The same as `Contract.role`, for an endpoint that an older release may have had: roles are paths there."""
    known = contracts().get(endpoint)
    return _value_of_role(known.roles if known else {}, request, role)


def _value_of_role(roles: Mapping[str, str], request: Mapping[str, Any], role: str) -> Any:
    value = value_at(request, roles.get(role, role))
    return None if value is UNSET else value


def _contracts_of(page: Mapping[str, Any]) -> Iterator[Contract]:
    if "endpoints" not in page:
        yield _contract(page, f"{page['provider']}/{page['endpoint']}", page, page["parameters"])
        return
    for endpoint in page["endpoints"]:
        parameters = _expand(page["request_types"][endpoint["request_type"]], page["shared_types"])
        yield _contract(page, endpoint["endpoint"], endpoint, parameters)


def _contract(
    page: Mapping[str, Any], endpoint: str, entry: Mapping[str, Any], parameters: list[Mapping[str, Any]]
) -> Contract:
    return Contract(
        provider=page["provider"],
        endpoint=endpoint,
        output=entry["output"],
        parameters=tuple(map(_parameter, parameters)),
        rules=tuple(page["rules"]),
        prices=entry["prices"],
        modes=page.get("modes", {}),
        uploads=page.get("uploads", {}),
        roles=page.get("roles", {}),
    )


def _expand(parameters: list[Mapping[str, Any]], shared: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Give the fields of a named type (`array<LoRAWeight>`, `string|ImageSize`) paths of their own."""
    expanded: list[Mapping[str, Any]] = []
    for parameter in parameters:
        kind = parameter["type"]
        name = next((name for name in shared if name in kind), None)
        if name is None:
            expanded.append(parameter)
            continue
        expanded.append({**parameter, "type": kind.replace(name, "object")})
        under = parameter["path"] + ("[]" if kind.startswith("array") else "")
        expanded += [{**field, "path": f"{under}.{field['path']}"} for field in shared[name]]
    return expanded


def _parameter(entry: Mapping[str, Any]) -> Parameter:
    known = {name: entry[name] for name in Parameter.__dataclass_fields__ if name in entry}
    for name in ("enum", "modes"):
        if name in known:
            known[name] = tuple(known[name])
    return Parameter(types=tuple(_types(entry["type"])), **known)


def _types(kind: str) -> list[str]:
    return ["array"] if kind.startswith("array<") else kind.split("|")
