"""The documented request types as trees, read from the contract files without the pack's own reader."""

import json
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parents[2] / "remote" / "contracts"
SIMPLE = {"string", "integer", "float", "number", "boolean", "object"}


class Document:
    """One endpoint: `tree` is its request, nested; `page` the rules, modes and upload limits around it."""

    def __init__(self, name: str, endpoint: dict[str, Any], parameters: list[dict[str, Any]], page: dict[str, Any]):
        self.name = name
        self.output: str = endpoint["output"]
        self.rules: list[dict[str, Any]] = page["rules"]
        self.modes: dict[str, Any] = page.get("modes", {})
        self.answer: list[dict[str, Any]] = _answer(endpoint, page)
        self.parameters = parameters
        self.tree: dict[str, Any] = {"children": {}}
        for entry in parameters:
            self._plant(entry)

    def _plant(self, entry: dict[str, Any]) -> None:
        node = self.tree
        for name in entry["path"].replace("[]", ".[]").split("."):
            node = node.setdefault("children", {}).setdefault(name, {})
        node.update(entry)


@cache
def documents() -> dict[str, Document]:
    """Every endpoint by the name its provider gives it: fal's ids, else `provider/name`."""
    found: dict[str, Document] = {}
    for path in FOLDER.glob("*.json"):
        page = json.loads(path.read_text(encoding="utf-8"))
        for endpoint in page.get("endpoints", [page]):
            name = endpoint["endpoint"] if "endpoints" in page else f"{page['provider']}/{page['endpoint']}"
            entries = page["request_types"][endpoint["request_type"]] if "endpoints" in page else page["parameters"]
            found[name] = Document(name, endpoint, _flat(entries, page.get("shared_types", {})), page)
    return found


def _answer(endpoint: dict[str, Any], page: dict[str, Any]) -> list[dict[str, Any]]:
    """The documented fields of a finished job's answer."""
    if "response_type" in endpoint:
        return _flat(page["response_types"][endpoint["response_type"]], page["shared_types"])
    responses = page["responses"]
    return responses.get("result_item") or [*responses["create"], *responses["result"]]


def _flat(entries: list[dict[str, Any]], shared: dict[str, Any]) -> list[dict[str, Any]]:
    """Replace the names of shared types by their fields."""
    flat = []
    for entry in entries:
        kinds = entry["type"].removeprefix("array<").removesuffix(">").split("|")
        array = entry["type"].startswith("array<")
        flat.append({**entry, "type": "array" if array else "|".join(k if k in SIMPLE else "object" for k in kinds)})
        for name in kinds:
            for field in shared.get(name, []):
                under = f"{entry['path']}[]" if array else entry["path"]
                flat.append({**field, "path": f"{under}.{field['path']}"})
    return flat
