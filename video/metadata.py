"""What is written into a file about how it was made, so that dropping it on the canvas brings the graph back."""

import json
import re
from collections.abc import Mapping
from typing import Any

RECEIPT = "wan_duet_receipt"
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_BRACES = {"{": "\\u007b", "}": "\\u007d"}


def texts(values: Mapping[str, Any]) -> dict[str, str]:
    """Every value as JSON in ASCII.

    Braces inside strings are escaped: the frontend finds the end of a WEBM's JSON by counting braces.
    """
    return {name: _STRING.sub(_escaped, json.dumps(value)) for name, value in values.items()}


def _escaped(string: re.Match[str]) -> str:
    return re.sub("[{}]", lambda brace: _BRACES[brace[0]], string[0])
