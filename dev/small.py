"""The shipped workflows at a size that a CPU can run, for the models that dev/serve.py has."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

LENGTH, FPS = 17, 16.0  # frames, frames a second
NOTES = ("MarkdownNote", "Note")


def small(workflow: dict[str, Any], side: int, prompt: str | None, about: str) -> dict[str, Any]:
    """A UI-format workflow with every size that it sets brought to `side` pixels and LENGTH frames.

    `prompt` takes the place of its own, `about` stands atop its note.
    """
    sizes = {
        "EmptyHunyuanLatentVideo": [side, side, LENGTH, 1],
        "WanDuet_Size": ["custom", "auto", LENGTH / FPS, FPS, side, side],
    }
    made = copy.deepcopy(workflow)
    for node in made["nodes"]:
        values = node.get("widgets_values")
        if node["type"] in sizes:
            still = values[2] in (0.0, 1)  # seconds of one node, frames of the other
            node["widgets_values"] = [*sizes[node["type"]]]
            if still:
                node["widgets_values"][2] = values[2]
        elif node.get("title") == "Prompt" and prompt:
            node["widgets_values"] = [prompt, *values[1:]]
        elif node["type"] in NOTES:
            node["widgets_values"] = [f"{about}\n\n{values[0]}", *values[1:]]
    return made


def write_small(workflows: Path, base: Path, side: int, prompt: str | None, about: str) -> list[str]:
    """Put the workflows whose models are all in `base` among its user's own; return their names."""
    folder = base / "user" / "default" / "workflows"
    folder.mkdir(parents=True, exist_ok=True)
    names = []
    for path in sorted(workflows.glob("*.json")):
        workflow = json.loads(path.read_text(encoding="utf-8"))
        models = [model for node in workflow["nodes"] for model in node.get("properties", {}).get("models", [])]
        if models and all((base / "models" / model["directory"] / model["name"]).exists() for model in models):
            name = f"small {path.stem}"
            text = json.dumps(small(workflow, side, prompt, about), indent=2, ensure_ascii=False)
            (folder / f"{name}.json").write_text(text, encoding="utf-8")
            names.append(name)
    return names
