"""Seeds, samplers and schedulers behind a node, read from a graph in API form."""

from collections.abc import Iterator, Mapping
from typing import Any

Prompt = Mapping[str, Mapping[str, Any]]
"""A graph in API form."""

SEEDS = ("seed", "noise_seed")
PLAIN = (*SEEDS, "value")  # what a node that only holds a number calls it
SOLVERS, SCHEDULERS = ("sampler", "sampler_name"), ("scheduler",)


def seeds(prompt: Prompt, node_id: str, result: int = 0) -> dict[str, Any]:
    """Every seed among the nodes that `node_id` depends on, by node: `{"11 RandomNoise": 42}`.

    Of a node that makes several results with successive seeds, that of the result of this number, from 0 on. A seed
    that another node works out is named by that node.
    """
    found: dict[str, Any] = {}
    for current in _behind(prompt, node_id):
        inputs = prompt[current]["inputs"]
        for name in SEEDS:
            value = _number(prompt, inputs.get(name))
            if value is not None:
                count = _number(prompt, inputs.get("count")) or 1
                found[_title(prompt, current)] = _successive(value, count, result)
    return found


def solvers(prompt: Prompt, node_id: str) -> dict[str, dict[str, str]]:
    """Sampler and scheduler of every sampling node that `node_id` depends on, by node."""
    found: dict[str, dict[str, str]] = {}
    for current in _behind(prompt, node_id):
        inputs = prompt[current]["inputs"]
        if isinstance(inputs.get("sampler_name"), str) and isinstance(inputs.get("scheduler"), str):
            found[_title(prompt, current)] = {"sampler": inputs["sampler_name"], "scheduler": inputs["scheduler"]}
        elif (solver := _source(prompt, inputs.get("sampler"))) is not None:
            sigmas = _source(prompt, inputs.get("sigmas", inputs.get("plan")))
            known = {"sampler": _solver(prompt, solver), "scheduler": _scheduler(prompt, sigmas) if sigmas else None}
            found[_title(prompt, current)] = {name: value for name, value in known.items() if value}
    return found


def _behind(prompt: Prompt, node_id: str) -> Iterator[str]:
    """The node and every node it depends on, once each."""
    waiting, seen = [node_id], set()
    while waiting:
        current = waiting.pop()
        if current in seen or current not in prompt:
            continue
        seen.add(current)
        yield current
        waiting += [source for given in prompt[current]["inputs"].values() if (source := _source(prompt, given))]


def _title(prompt: Prompt, node_id: str) -> str:
    return f"{node_id} {prompt[node_id]['class_type']}"


def _source(prompt: Prompt, given: Any) -> str | None:
    """The node that a link comes from."""
    linked = isinstance(given, list) and len(given) == 2 and str(given[0]) in prompt
    return str(given[0]) if linked else None


def _number(prompt: Prompt, given: Any) -> Any:
    """A whole number, followed over links to the node that holds it; the node's title where it is worked out."""
    passed: set[str] = set()
    while (source := _source(prompt, given)) is not None and source not in passed:
        passed.add(source)
        inputs = prompt[source]["inputs"]
        held = [inputs[name] for name in PLAIN if name in inputs] or list(inputs.values())
        if len(held) != 1:
            return f"from {_title(prompt, source)}"
        given = held[0]
    return given if isinstance(given, int) and not isinstance(given, bool) else None


def _successive(first: Any, count: Any, result: int) -> Any:
    """The seed of one of `count` results; all of them where it is not known which one this is."""
    if not (isinstance(first, int) and isinstance(count, int)) or count == 1:
        return first
    return first + result if result < count else f"{first} to {first + count - 1}"


def _solver(prompt: Prompt, node_id: str) -> str:
    if (other := _source(prompt, prompt[node_id]["inputs"].get("solver"))) is not None:
        return _solver(prompt, other)
    return _named(prompt, node_id, SOLVERS)


def _scheduler(prompt: Prompt, node_id: str) -> str:
    if (other := _source(prompt, prompt[node_id]["inputs"].get("scheduler"))) is not None:
        return _scheduler(prompt, other)
    return _named(prompt, node_id, SCHEDULERS)


def _named(prompt: Prompt, node_id: str, names: tuple[str, ...]) -> str:
    """The name in a node's widgets; else the node itself, with its text if it has just one."""
    texts = {name: value for name, value in prompt[node_id]["inputs"].items() if isinstance(value, str)}
    if found := next((texts[name] for name in names if name in texts), None):
        return found
    return f"from {_title(prompt, node_id)}" + (f" ({next(iter(texts.values()))})" if len(texts) == 1 else "")
