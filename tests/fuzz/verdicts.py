"""The verdict on a prompt, from its entry in the server's history."""

import os
from collections.abc import Mapping
from typing import Any

from .mutations import Case

HOST, OURS, TAKEN, LATER = "by the host", "by us", "taken", "host's node"
RAW, UNNAMED, SILENT, HUNG, LITTER = "raw", "unnamed", "silent", "hung", "litter"
FINDINGS = (RAW, UNNAMED, SILENT, HUNG, LITTER)
PACK = os.path.join("custom_nodes", "wan-duet", "")  # what is in the paths of a traceback


def verdict(case: Case, entry: Mapping[str, Any]) -> tuple[str, str]:
    """The verdict on a history entry, and the words of its error."""
    failure = next((said for kind, said in entry["status"]["messages"] if kind == "execution_error"), None)
    if failure is None:
        return SILENT if case.outside else TAKEN, ""
    message, trace = str(failure["exception_message"]).strip(), failure["traceback"]
    words = f"{failure['node_type']}: {failure['exception_type']}: {message}"
    if PACK not in "".join(trace):
        return LATER, words
    if not is_deliberate(trace[-1]):
        return RAW, f"{words}\n{''.join(trace[-3:])}"
    return UNNAMED if case.outside and not _is_named(case, message) else OURS, words


def is_deliberate(frame: str) -> bool:
    """Say whether the last frame of a traceback is a `raise` in the pack."""
    where, _, line = frame.strip().partition("\n")
    return PACK in where and line.strip().startswith("raise ")


def _is_named(case: Case, message: str) -> bool:
    """Say whether a message names the input that it is about, by its name or by the name that was given."""
    return case.input in message or "nope" in message or (len(case.what) > 2 and case.what.strip("'") in message)
