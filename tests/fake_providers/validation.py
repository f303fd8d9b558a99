"""A provider's verdict on a request: (path, reason) of everything that is wrong, written from the documents."""

import re
from fractions import Fraction
from typing import Any
from uuid import UUID

from .documents import Document

Problem = tuple[str, str]
Node = dict[str, Any]

JSON_TYPES = {str: "string", bool: "boolean", int: "integer", float: "float", dict: "object", list: "array"}


def problems(document: Document, body: Any) -> list[Problem]:
    """Everything wrong with a body; the rules between fields only when the fields are right."""
    if not isinstance(body, dict):
        return [("", "must be an object")]
    found: list[Problem] = []
    _object(body, document.tree, "", found)
    return found or [problem for rule in document.rules for problem in _rule(rule, document, body)]


def _object(value: dict[str, Any], node: Node, path: str, found: list[Problem]) -> None:
    children: dict[str, Node] = node.get("children", {})
    for key in value.keys() - children.keys():
        found.append((_join(path, key), "extra field"))
    for key, child in children.items():
        if key == "[]":
            continue
        if key in value:
            _value(value[key], child, _join(path, key), found)
        else:
            _lacking(child, _join(path, key), found)


def _lacking(node: Node, path: str, found: list[Problem]) -> None:
    """A field that is not there: wrong if it, or anything that must be inside it, is required."""
    if node.get("required"):
        found.append((path, "field required"))
        return
    for key, child in node.get("children", {}).items():
        if key != "[]":
            _lacking(child, _join(path, key), found)


def _value(value: Any, node: Node, path: str, found: list[Problem]) -> None:
    kind = JSON_TYPES.get(type(value), "null")
    allowed = set(node["type"].split("|"))
    if (
        kind not in allowed
        and not (kind == "integer" and allowed & {"float", "number"})
        and not (kind == "float" and "number" in allowed)
    ):
        found.append((path, f"must be {node['type']}"))
    elif kind == "object":
        _object(value, node, path, found)
    elif kind == "array":
        _array(value, node, path, found)
    elif reason := _scalar(value, node):
        found.append((path, reason))


def _array(value: list[Any], node: Node, path: str, found: list[Problem]) -> None:
    if len(value) < node.get("min_items", 0) or len(value) > node.get("max_items", len(value)):
        found.append((path, "wrong number of items"))
    item = dict(node.get("children", {}).get("[]", {}))
    kinds = {"object"} if "children" in item else set()
    if "type" in item:
        kinds |= set(item["type"].split("|"))
    if not kinds:  # a list of strings in the list's own format
        kinds, item["format"] = {"string"}, node.get("format")
    item["type"] = "|".join(sorted(kinds))
    for index, child in enumerate(value):
        _value(child, item, f"{path}[{index}]", found)


def _scalar(value: Any, node: Node) -> str | None:
    if "const" in node and value != node["const"]:
        return f"must be {node['const']}"
    if "enum" in node and value not in node["enum"]:
        return "not one of the allowed values"
    if isinstance(value, str):
        if not node.get("min_length", 0) <= len(value) <= node.get("max_length", len(value)):
            return "wrong length"
        if node.get("format") and not any(_formatted(value, name) for name in node["format"].split("|")):
            return f"must be {node['format']}"
    elif not isinstance(value, bool):
        if value < node.get("min", value):
            return f"must be at least {node['min']}"
        if value > node.get("max", value):
            return f"must be at most {node['max']}"
        grid = node.get("multiple_of", node.get("step"))
        if grid and (Fraction(repr(value)) / Fraction(repr(grid))).denominator != 1:
            return f"must be a multiple of {grid}"
    return None


def _formatted(value: str, name: str) -> bool:
    if name.startswith("uuid"):
        try:
            return UUID(value).version in ({4} if name == "uuid4" else {1, 2, 3, 4, 5, 6, 7, 8, None})
        except ValueError:
            return False
    patterns = {
        "uri": r"https?://[^\s]+",
        "data-uri": r"data:[^/;,\s]+/[^;,\s]+;base64,.*",
        "base64": r"[A-Za-z0-9+/]{16,}={0,2}",
        "AIR": r"[\w.-]+:[\w.@:/-]+",
    }
    return re.fullmatch(patterns.get(name, r"\s*\S.*"), value, re.DOTALL) is not None


def _rule(rule: dict[str, Any], document: Document, body: dict[str, Any]) -> list[Problem]:
    match rule["kind"]:
        case "all_or_none":
            absent = [path for path in rule["paths"] if _get(body, path) is None]
            return [(path, "goes with its partner") for path in absent] if len(absent) < len(rule["paths"]) else []
        case "exclusive_groups":
            taken = [[p for p in group if _get(body, p) is not None] for group in rule["groups"]]
            return [(p, "excludes another field") for group in [g for g in taken if g][1:] for p in group]
        case "lt" | "le":
            left, right = _get(body, rule["left"]), _get(body, rule["right"])
            right = document.default(rule["right"]) if right is None else right
            wrong = None not in (left, right) and not (left < right or (rule["kind"] == "le" and left == right))
            return [(rule["left"], f"not below {rule['right']}")] if wrong else []
        case "in_table":
            pair = {path: _get(body, path) for path in rule["paths"]}
            known = any(all(row[path] == pair[path] for path in pair) for row in rule["table"])
            return [] if None in pair.values() or known else [(rule["paths"][0], "no such size")]
        case "requires_value":
            other = _get(body, rule["other"])
            wrong = _get(body, rule["path"]) is rule["when"] and other not in (None, rule["value"])
            return [(rule["path"], f"needs {rule['other']}")] if wrong else []
        case "unique":
            return _twice(rule, body)
        case "mode_by_media":
            return [] if _mode(document, body) else [("params.referenceMediaItems", "no such mode")]
        case "value_requires_mode":
            wrong = _get(body, rule["path"]) == rule["value"] and _mode(document, body) != rule["mode"]
            return [(rule["path"], f"only in mode {rule['mode']}")] if wrong else []
    return []


def _twice(rule: dict[str, Any], body: dict[str, Any]) -> list[Problem]:
    path, _, name = rule["path"].partition("[].")
    groups = [set(map(str, group)) for group in rule["equivalences"]]
    seen: list[str] = []
    found: list[Problem] = []
    for index, item in enumerate(_get(body, path) or []):
        if isinstance(item, dict) and name in item:
            slot = next((min(group) for group in groups if str(item[name]) in group), str(item[name]))
            if slot in seen:
                found.append((f"{path}[{index}].{name}", "taken already"))
            seen.append(slot)
    return found


def _mode(document: Document, body: dict[str, Any]) -> str | None:
    kinds = [item.get("kind") for item in _get(body, "params.referenceMediaItems") or []]
    count = {"images": kinds.count("image"), "audio": kinds.count("audio")}
    return next((name for name, media in document.modes.items() if media == count), None)


def _get(body: Any, path: str) -> Any:
    for name in path.split("."):
        body = body.get(name) if isinstance(body, dict) else None
    return body


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
