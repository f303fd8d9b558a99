"""Take out of a text what must not be written down: keys, signed queries, media in base64."""

import re
from collections.abc import Iterable
from typing import Any

PATTERNS = (
    (re.compile(r"(?i)\bauthorization\W{1,4}(bearer|key)\s+[\w.:~+/=-]{8,}"), r"\1 [key]"),
    # without a digit it is prose: low key lighting
    (re.compile(r"(?i)\b(bearer|key)\s+(?=[\w.:~+/=-]*\d)[\w.:~+/=-]{16,}"), r"\1 [key]"),
    (re.compile(r"(https?://[^\s\"'<>?]+)\?[^\s\"'<>]*"), r"\1?[query]"),
    (re.compile(r"data:[\w.+-]+/[\w.+-]+;base64,[A-Za-z0-9+/=]+"), "[base64]"),
    (re.compile(r"[A-Za-z0-9+/]{120,}={0,2}"), "[base64]"),
)


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """The text without the given secrets and without anything that looks like one."""
    for secret in secrets:
        for part in (secret, *secret.split(":")):
            if len(part) >= 6:
                text = text.replace(part, "[key]")
    for pattern, replacement in PATTERNS:
        text = pattern.sub(replacement, text)
    return text


def redact_all(value: Any, secrets: Iterable[str] = ()) -> Any:
    """The same for every text in a JSON value."""
    secrets = tuple(secrets)
    if isinstance(value, str):
        return redact(value, secrets)
    if isinstance(value, dict):
        return {key: redact_all(child, secrets) for key, child in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(redact_all(child, secrets) for child in value)
    return value
