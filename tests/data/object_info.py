"""How /object_info describes nodes, and how a prompt is checked against it."""

from collections.abc import Iterator
from itertools import chain
from typing import Any

from wan_duet.dev.client import Prompt

Info = dict[str, Any]
Declared = list[Any]
"""One input of a node: its type (or its choices), and perhaps its options."""

WIDGETS = ("COMBO", "INT", "FLOAT", "STRING", "BOOLEAN")
MODEL_FILES = (".safetensors", ".sft", ".ckpt", ".pt", ".pth", ".bin", ".gguf")


def ours(info: Info) -> Info:
    """Our nodes as any machine sees them: without the names of its files and of the pack's folder."""
    nodes = {name: node for name, node in sorted(info.items()) if name.startswith("WanDuet_")}
    return {name: {k: _portable(v) for k, v in node.items() if k != "python_module"} for name, node in nodes.items()}


def _portable(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _portable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_portable(item) for item in value if not (isinstance(item, str) and item.endswith(MODEL_FILES))]
    return value


def inputs(node: Info) -> dict[str, Declared]:
    """A node's inputs in their order, required and optional."""
    return {**node["input"].get("required", {}), **node["input"].get("optional", {})}


def options(declared: Declared) -> dict[str, Any]:
    """What an input says about itself: default, tooltip and so on."""
    return declared[1] if len(declared) > 1 else {}


def choices(declared: Declared) -> list[Any] | None:
    """What a combo offers, however it is declared; None if the input is no combo."""
    offered = declared[0] if isinstance(declared[0], list) else options(declared).get("options")
    # Where more inputs depend on the choice, each comes with them
    return offered and [choice["key"] if isinstance(choice, dict) else choice for choice in offered]


def widgets(node: Info) -> list[str]:
    """The names of a node's widgets in the order in which a workflow saves their values."""
    return [name for name, declared in inputs(node).items() if _is_widget(declared)]


def _is_widget(declared: Declared) -> bool:
    socket_only = options(declared).get("forceInput")
    return choices(declared) is not None or (declared[0] in WIDGETS and not socket_only)


def problems(prompt: Prompt, info: Info) -> Iterator[str]:
    """What is wrong with an API-format prompt, more strictly than the host: unknown inputs count too."""
    for node_id, node in prompt.items():
        kind = node["class_type"]
        if kind not in info:
            yield f"{node_id}: no node {kind}"
            continue
        declared, given = inputs(info[kind]), node["inputs"]
        yield from (f"{node_id}: {kind} has no input {name}" for name in given if name not in declared)
        needed = info[kind]["input"].get("required", {})
        yield from (f"{node_id}: {kind} lacks {name}" for name in needed if name not in given)
        known = ((name, value) for name, value in given.items() if name in declared)
        found = chain.from_iterable(_wrong(value, declared[name], prompt, info) for name, value in known)
        yield from (f"{node_id}: {kind}: {problem}" for problem in found)


def _wrong(value: Any, declared: Declared, prompt: Prompt, info: Info) -> Iterator[str]:
    if isinstance(value, list):
        yield from _wrong_link(value, declared, prompt, info)
    elif (offered := choices(declared)) is not None:
        if value not in offered:
            yield f"{value!r} is not among {offered}"
    elif isinstance(value, int | float) and not (
        options(declared).get("min", value) <= value <= options(declared).get("max", value)
    ):
        yield f"{value} is out of range"


def _wrong_link(link: list[Any], declared: Declared, prompt: Prompt, info: Info) -> Iterator[str]:
    source, output = link
    outputs = info.get(prompt.get(source, {}).get("class_type"), {}).get("output", [])
    if output >= len(outputs):
        yield f"a link to output {output} of {source}, which is not there"
    elif not {outputs[output], "*"} & set(declared[0].split(",")):
        yield f"a {outputs[output]} where {declared[0]} is wanted"
