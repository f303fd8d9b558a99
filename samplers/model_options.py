"""Additions of a sampler to the model options of a run, carried from one expert's options to the other's.

`euler_cfg_pp` and its like hang their functions on the options they are given, which belong to the first expert.
"""

from typing import Any

# Entries that speak of one expert's weights, or that one evaluation left behind: they never cross over.
_OWN = frozenset({"registered_hooks", "to_load_options", "context_window"})


def additions(base: dict[Any, Any], passed: dict[Any, Any]) -> dict[Any, Any]:
    """The entries of `passed` that `base` has not: new or changed values, and the new items of lists, by identity."""
    extra: dict[Any, Any] = {}
    for key, value in passed.items():
        if key in _OWN or str(key).startswith("multigpu_"):
            continue
        before = base.get(key)
        if isinstance(value, dict):
            inner = additions(before if isinstance(before, dict) else {}, value)
            if inner:
                extra[key] = inner
        elif isinstance(value, list):
            known = {id(item) for item in before} if isinstance(before, list) else set()
            items = [item for item in value if id(item) not in known]
            if items:
                extra[key] = items
        elif key not in base or before is not value:
            extra[key] = value
    return extra


def merge_options(options: dict[Any, Any], extra: dict[Any, Any]) -> dict[Any, Any]:
    """A copy of `options` with `extra` put on top: dicts merge, lists grow."""
    result = dict(options)
    for key, value in extra.items():
        if isinstance(value, dict):
            result[key] = merge_options(options.get(key, {}), value)
        elif isinstance(value, list):
            result[key] = [*options.get(key, []), *value]
        else:
            result[key] = value
    return result
