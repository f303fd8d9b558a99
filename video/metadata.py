"""Metadata of a file: the graph that made it, so that dropping it on the canvas brings the graph back."""

import json
import math
import re
from collections.abc import Mapping
from typing import Any

RECEIPT = "wan_duet_receipt"
CHANGES = "is_changed"
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_BRACES = {"{": "\\u007b", "}": "\\u007d"}


def texts(values: Mapping[str, Any]) -> dict[str, str]:
    """Every value as JSON in ASCII that any reader takes, without the host's own marks in a prompt.

    Braces inside strings are escaped: the frontend finds the end of a WEBM's JSON by counting braces.
    """
    return {name: _STRING.sub(_escaped, json.dumps(_strict(value), allow_nan=False)) for name, value in values.items()}


def _strict(value: Any) -> Any:
    """Leave out what the host notes down in a prompt to tell changes by, and write null for NaN: JSON has none."""
    if isinstance(value, Mapping):
        return {key: _strict(part) for key, part in value.items() if key != CHANGES}
    if isinstance(value, list | tuple):
        return [_strict(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _escaped(string: re.Match[str]) -> str:
    return re.sub("[{}]", lambda brace: _BRACES[brace[0]], string[0])
