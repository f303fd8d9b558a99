"""The rules between fields: pairs, alternatives, order, tables, and what a mode takes."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .contracts import UNSET, Contract, value_at

Rule = Mapping[str, Any]


@dataclass(frozen=True)
class Violation:
    """One way in which a request breaks its contract: `value` at `path` breaks `rule`, which takes `allowed`."""

    path: str
    rule: str
    value: Any
    allowed: Any

    def __str__(self) -> str:
        if self.rule == "required":
            return f"{self.path} is missing: it takes {self.allowed}"
        shown = repr(self.value)
        return f"{self.path} is {shown if len(shown) <= 80 else shown[:77] + '…'}; {self.rule}: {self.allowed}"


def broken_rules(contract: Contract, request: Mapping[str, Any]) -> Iterator[Violation]:
    """Violations of the contract's rules by a request whose fields are fine one by one."""
    for rule in contract.rules:
        if _is_printed(rule) and (check := CHECKS.get(rule["kind"])):
            yield from check(rule, contract, request)


def warnings_of(contract: Contract, request: Mapping[str, Any]) -> list[str]:
    """Warnings of what has no effect, in the words of the contract, and of what only other pages rule out."""
    rules = [rule for rule in contract.rules if rule["kind"] == "warn_if"]
    without_effect = [rule["message"] for rule in rules if all(_holds(part, request) for part in rule["when"])]
    unprinted = [rule for rule in contract.rules if not _is_printed(rule)]
    doubtful = [one for rule in unprinted for one in CHECKS[rule["kind"]](rule, contract, request)]
    return without_effect + [f"{one.path} is sent, though pages of like models say: {one.allowed}" for one in doubtful]


def _is_printed(rule: Rule) -> bool:
    """True if the provider's page for this model has the rule; what is only likely is said, not refused."""
    return rule.get("printed", True)


def mode_of(contract: Contract, request: Mapping[str, Any]) -> str | None:
    """The mode that a request's media put it in; None if the contract knows no such mode."""
    counted = _count_media(contract, request)
    return next((name for name, media in contract.modes.items() if counted == dict(media)), None)


def _count_media(contract: Contract, request: Mapping[str, Any]) -> dict[str, int]:
    items = contract.role(request, "media")
    kinds = [item.get("kind") for item in items if isinstance(item, dict)] if isinstance(items, list) else []
    return {"images": kinds.count("image"), "audio": kinds.count("audio")}


def _set(request: Mapping[str, Any], path: str) -> bool:
    return value_at(request, path) is not UNSET


def _expected(contract: Contract, request: Mapping[str, Any], path: str) -> Any:
    """The value that the provider will take: as set, else the documented default; UNSET if there is none."""
    value, parameter = value_at(request, path), contract.parameter(path)
    return parameter.default if value is UNSET and parameter and parameter.default is not None else value


def _all_or_none(rule: Rule, _: Contract, request: Mapping[str, Any]) -> Iterator[Violation]:
    absent = [path for path in rule["paths"] if not _set(request, path)]
    if len(absent) < len(rule["paths"]):
        for path in absent:
            yield Violation(path, rule["id"], None, f"set together with {', '.join(rule['paths'])}, or none of them")


def _exclusive_groups(rule: Rule, _: Contract, request: Mapping[str, Any]) -> Iterator[Violation]:
    present = [paths for group in rule["groups"] if (paths := [path for path in group if _set(request, path)])]
    for paths in present[1:]:
        for path in paths:
            yield Violation(path, rule["id"], value_at(request, path), f"not together with {', '.join(present[0])}")


def _order(rule: Rule, contract: Contract, request: Mapping[str, Any]) -> Iterator[Violation]:
    left, right = value_at(request, rule["left"]), _expected(contract, request, rule["right"])
    if left is UNSET or right is UNSET:
        return
    if left > right or (rule["kind"] == "lt" and left == right):
        sign = "<" if rule["kind"] == "lt" else "≤"
        unless = "" if _set(request, rule["right"]) else " unless it is set"
        yield Violation(rule["left"], rule["id"], left, f"{sign} {rule['right']}, which is {right}{unless}")


def _in_table(rule: Rule, _: Contract, request: Mapping[str, Any]) -> Iterator[Violation]:
    given = [value_at(request, path) for path in rule["paths"]]
    rows = [[row[path] for path in rule["paths"]] for row in rule["table"]]
    if UNSET not in given and given not in rows:
        allowed = ", ".join("x".join(map(str, row)) for row in rows)
        yield Violation(rule["paths"][0], rule["id"], "x".join(map(str, given)), allowed)


def _unique(rule: Rule, _: Contract, request: Mapping[str, Any]) -> Iterator[Violation]:
    path, name = rule["path"].split("[].")
    items = value_at(request, path)
    same = {other: group[0] for group in rule["equivalences"] for other in group}
    seen: set[Any] = set()
    for index, item in enumerate(items if isinstance(items, list) else ()):
        if not isinstance(item, dict) or name not in item:
            continue
        value = same.get(item[name], item[name])
        if value in seen:
            yield Violation(f"{path}[{index}].{name}", rule["id"], item[name], "each position once")
        seen.add(value)


def _requires_value(rule: Rule, contract: Contract, request: Mapping[str, Any]) -> Iterator[Violation]:
    other = _expected(contract, request, rule["other"])
    if value_at(request, rule["path"]) == rule["when"] and other not in (UNSET, rule["value"]):
        yield Violation(rule["path"], rule["id"], rule["when"], f"only with {rule['other']} = {rule['value']}")


def _mode_by_media(rule: Rule, contract: Contract, request: Mapping[str, Any]) -> Iterator[Violation]:
    if mode_of(contract, request) is None:
        allowed = "; ".join(f"{m['images']} images and {m['audio']} audio" for m in rule["allowed"])
        yield Violation(contract.roles["media"], rule["id"], _count_media(contract, request), allowed)


def _value_requires_mode(rule: Rule, contract: Contract, request: Mapping[str, Any]) -> Iterator[Violation]:
    mode = mode_of(contract, request)
    if value_at(request, rule["path"]) == rule["value"] and mode not in (None, rule["mode"]):
        yield Violation(rule["path"], rule["id"], rule["value"], f"only in mode {rule['mode']}; this is {mode}")


def _holds(part: Rule, request: Mapping[str, Any]) -> bool:
    value = value_at(request, part["path"])
    if value is UNSET:
        return False
    tests = {"eq": lambda limit: value == limit, "le": lambda limit: value <= limit, "gt": lambda limit: value > limit}
    return all(test(part[name]) for name, test in tests.items() if name in part)


CHECKS: Mapping[str, Callable[[Rule, Contract, Mapping[str, Any]], Iterator[Violation]]] = {
    "all_or_none": _all_or_none,
    "exclusive_groups": _exclusive_groups,
    "lt": _order,
    "le": _order,
    "in_table": _in_table,
    "unique": _unique,
    "requires_value": _requires_value,
    "mode_by_media": _mode_by_media,
    "value_requires_mode": _value_requires_mode,
}
