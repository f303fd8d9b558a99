"""Random requests within the documents, and one change each that takes them outside."""

import copy
import random
import uuid
from collections.abc import Iterator
from typing import Any

from wan_duet.tests.fake_providers.documents import Document
from wan_duet.tests.fake_providers.provider import location

Node = dict[str, Any]
URL = "https://example.com/file.bin"
STRICT = {"uuid", "uuid4", "uri", "data-uri", "base64", "AIR"}  # anything but blanks may be a repository's name


def valid(document: Document, rng: random.Random) -> dict[str, Any]:
    """A request with a random part of the optional fields, within every rule of the document."""
    request = _object(document.tree, rng)
    for rule in document.rules:
        _obey(rule, document, request, rng)
    return request


def _object(node: Node, rng: random.Random) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for name, child in node["children"].items():
        if name != "[]" and (_needed(child) or rng.random() < 0.4):
            made[name] = _make(child, rng)
    return made


def _needed(node: Node) -> bool:
    inside = [child for name, child in node.get("children", {}).items() if name != "[]"]
    return bool(node.get("required")) or any(map(_needed, inside))


def _make(node: Node, rng: random.Random) -> Any:
    kind = rng.choice(node["type"].split("|"))
    if kind == "object":
        return _object(node, rng)
    if kind == "array":
        item = node.get("children", {}).get("[]", {})
        count = rng.randint(node.get("min_items", 1), min(node.get("max_items", 3), 3))
        return [_item(item, node, rng) for _ in range(count)]
    if "const" in node:
        return node["const"]
    if "enum" in node:
        return rng.choice(node["enum"])
    if kind == "boolean":
        return rng.random() < 0.5
    if kind == "string":
        return _string(node, rng)
    return _number(node, kind, rng)


def _item(item: Node, node: Node, rng: random.Random) -> Any:
    if "children" in item and (item.get("type") is None or rng.random() < 0.5):
        return _object(item, rng)
    return _string(item if "type" in item else node, rng)


def _string(node: Node, rng: random.Random) -> str:
    match (node.get("format") or "").split("|")[0]:
        case "uuid" | "uuid4":
            return str(uuid.UUID(int=rng.getrandbits(128), version=4))
        case "uri":
            return URL
        case "AIR":
            return f"civitai:{rng.randint(1, 999)}@{rng.randint(1, 999)}"
    low, high = node.get("min_length", 1), min(node.get("max_length", 60), 60)
    return "".join(rng.choice("abc déf视频 ") for _ in range(rng.randint(low, high))).replace(" ", "x", 1)


def _number(node: Node, kind: str, rng: random.Random) -> int | float:
    low, high = node.get("min", 0), min(node.get("max", 1000), 2**40)
    grid = node.get("multiple_of") or node.get("step") or (1 if kind == "integer" else 0.25)
    steps = rng.randint(0, int((high - low) / grid))
    value = round(low + steps * grid, 4)
    return int(value) if kind == "integer" or (rng.random() < 0.2 and value == int(value)) else value


def _obey(rule: dict[str, Any], document: Document, request: dict[str, Any], rng: random.Random) -> None:
    match rule["kind"]:
        case "all_or_none":
            for path in rule["paths"]:
                remove(request, path)
        case "in_table" if rng.random() < 0.5 and "resolution" not in request:
            row = rng.choice(rule["table"])
            request.update(width=row["width"], height=row["height"])
        case "exclusive_groups":
            for group in rule["groups"][1:]:
                for path in group:
                    remove(request, path)
        case "lt" | "le":
            remove(request, rng.choice([rule["left"], rule["right"]]))
            if (default := document.default(rule["right"])) is not None and get(request, rule["left"]) is not None:
                put(request, rule["left"], rng.randint(1, default))
        case "requires_value":
            remove(request, rule["other"])
        case "unique":
            for item in request.get("inputs", {}).get("frameImages", [])[1:]:
                item.pop("frame", None)
        case "mode_by_media":
            _choose_media(request, rng)
        case "value_requires_mode" if get(request, rule["path"]) == rule["value"]:
            remove(request, rule["path"])


def _choose_media(request: dict[str, Any], rng: random.Random) -> None:
    kinds = rng.choice([[], ["image"], ["image", "audio"]])
    if "params" in request or kinds:
        items = [{"url": URL, "kind": kind, "name": "a", "mimeType": "b", "durationToken": "c"} for kind in kinds]
        request.setdefault("params", {})["referenceMediaItems"] = items


def get(request: Any, path: str) -> Any:
    """The value at a path such as `loras[0].path`; None if it is absent."""
    for name in location(path):
        there = isinstance(request, list if isinstance(name, int) else dict)
        request = (request[name] if isinstance(name, int) else request.get(name)) if there else None
    return request


def put(request: Any, path: str, value: Any) -> None:
    *parents, name = location(path)
    for parent in parents:
        request = request[parent] if isinstance(parent, int) else request.setdefault(parent, {})
    request[name] = value


def remove(request: Any, path: str) -> None:
    *parents, name = location(path)
    for parent in parents:
        request = request[parent] if isinstance(parent, int) else request.get(parent, {})
    request.pop(name, None)


def mutations(document: Document, request: dict[str, Any], rng: random.Random) -> Iterator[tuple[str, dict[str, Any]]]:
    """Copies of a valid request with one thing wrong, each with the path that is to blame."""
    for entry, path in _places(document, request):
        for wrong in _wrong_values(entry, rng):
            changed = copy.deepcopy(request)
            put(changed, path, wrong)
            yield path, changed
        if entry.get("required") and not path.endswith("]"):
            changed = copy.deepcopy(request)
            remove(changed, path)
            yield path, changed
    changed = copy.deepcopy(request)
    changed["no_such_field"] = 1
    yield "no_such_field", changed
    for rule in document.rules:
        yield from _broken(rule, document, request, rng)


def _places(document: Document, request: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str]]:
    """What may be changed: the fields that are set or required, those of a list in one of its items."""
    for entry in document.parameters:
        head, _, tail = entry["path"].partition("[]")
        for index, item in enumerate(get(request, head) or []) if "[]" in entry["path"] else ():
            if isinstance(item, dict) is bool(tail) and (not tail or get(item, tail[1:]) is not None):
                yield entry, f"{head}[{index}]{tail}"
        if "[]" not in entry["path"] and (get(request, head) is not None or entry.get("required")):
            yield entry, head


def _wrong_values(entry: dict[str, Any], rng: random.Random) -> Iterator[Any]:
    kinds = entry["type"].split("|")
    yield None
    if "boolean" not in kinds:
        yield True
    if "string" not in kinds:
        yield "nine"
    if "enum" in entry:
        yield "no such choice" if "string" in kinds else 987654
    if "min" in entry:
        yield entry["min"] - 1
    if "max" in entry:
        yield entry["max"] + 1
    if kinds == ["integer"]:
        yield 4.5
    if "multiple_of" in entry:
        yield entry["min"] + 1
    elif isinstance(entry.get("step"), float) and "min" in entry:
        yield entry["min"] + 0.0037
    if "string" in kinds and entry.get("min_length"):
        yield "x" * (entry["min_length"] - 1)
    if "string" in kinds and "max_length" in entry:
        yield "视" * (entry["max_length"] + 1)
    if entry.get("format") and "string" in kinds:
        yield "ftp: /no" if set(entry["format"].split("|")) <= STRICT else " "


def _broken(
    rule: dict[str, Any], document: Document, request: dict[str, Any], rng: random.Random
) -> Iterator[tuple[str, dict[str, Any]]]:
    changed = copy.deepcopy(request)
    match rule["kind"]:
        case "all_or_none":
            remove(changed, "resolution")
            put(changed, rule["paths"][0], 832)
            remove(changed, rule["paths"][1])
            yield rule["paths"][1], changed
        case "exclusive_groups":
            _clear_cache_steps(changed)
            for group in rule["groups"]:
                for path in group:
                    put(changed, path, "480p" if path == "resolution" else 480 if path in ("width", "height") else 50)
            yield rule["groups"][1][0], changed
        case "lt" | "le":
            _clear_cache_steps(changed)
            put(changed, rule["left"], 41)
            put(changed, rule["right"], 40)
            yield rule["left"], changed
            if (default := document.default(rule["right"])) is not None:
                changed = copy.deepcopy(changed)
                put(changed, rule["left"], default + 1)
                remove(changed, rule["right"])
                yield rule["left"], changed
        case "in_table":
            remove(changed, "resolution")
            changed.update(width=1280, height=720)
            yield "width", changed
        case "requires_value":
            put(changed, rule["path"], rule["when"])
            put(changed, rule["other"], "replace")
            yield rule["path"], changed
        case "unique":
            first, last = rng.choice([("first", "first"), ("first", 0), (-1, "last")])
            images = [{"image": URL, "frame": first}, {"image": URL, "frame": last}]
            put(changed, "inputs.frameImages", images)
            yield "inputs.frameImages[1].frame", changed
        case "mode_by_media":
            put(changed, "params.referenceMediaItems", [{"url": URL, "kind": "audio"}])
            remove(changed, "params.resolution")
            yield "params.referenceMediaItems", changed
        case "value_requires_mode":
            put(changed, rule["path"], rule["value"])
            put(changed, "params.referenceMediaItems", [])
            yield rule["path"], changed


def _clear_cache_steps(request: dict[str, Any]) -> None:
    for name in [name for name in request.get("acceleratorOptions", {}) if "StartStep" in name or "EndStep" in name]:
        del request["acceleratorOptions"][name]
