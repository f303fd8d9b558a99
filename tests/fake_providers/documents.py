"""The documented request types as trees, from a table of their own: what is wrong in the pack's contracts is not here.

`documented.json` was written from the providers' pages, apart from the pack's contracts; a number in it is changed by
hand, from the page.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

TABLE = Path(__file__).parent / "documented.json"


class Document:
    """One endpoint: `tree` is its request, nested; beside it the rules, modes, and the fields of its answer."""

    def __init__(self, name: str, page: dict[str, Any]) -> None:
        self.name = name
        self.output: str = page["output"]
        self.prices: list[float] = page["prices"]
        self.rules: list[dict[str, Any]] = page["rules"]
        self.modes: dict[str, Any] = page["modes"]
        self.uploads: dict[str, Any] = page["uploads"]
        self.answer: dict[str, bool] = page["answer"]  # whether a field is always there
        self.parameters = [{"path": path, **entry} for path, entry in page["parameters"].items()]
        self.tree: dict[str, Any] = {"children": {}}
        for entry in self.parameters:
            self._plant(entry)

    def default(self, path: str) -> Any:
        """The value taken if the field is not set; None if the page does not say."""
        return next(entry.get("default") for entry in self.parameters if entry["path"] == path)

    def _plant(self, entry: dict[str, Any]) -> None:
        node = self.tree
        for name in entry["path"].replace("[]", ".[]").split("."):
            node = node.setdefault("children", {}).setdefault(name, {})
        node.update(entry)


@cache
def documents() -> dict[str, Document]:
    """Every endpoint by the name its provider gives it: fal's ids, else `provider/name`."""
    pages = json.loads(TABLE.read_text(encoding="utf-8"))
    return {name: Document(name, page) for name, page in pages.items()}
