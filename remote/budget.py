"""The daily budget of each provider on this machine; a graph can't raise it, and without it nothing is paid."""

import json
import math
from collections.abc import Mapping
from pathlib import Path

from .errors import RemoteError
from .keys import replace_private

FILE = "budgets.json"


def variable(provider: str) -> str:
    """The variable of the environment that sets a budget where nobody sits."""
    return f"WAN_DUET_BUDGET_{provider.upper()}"


def where_to_set(provider: str) -> str:
    """The place to set it, for the end of a sentence."""
    return f"set it under Settings, Wan Duet, or in {variable(provider)}"


def read_budget(provider: str, private: Path, environ: Mapping[str, str]) -> float:
    """A provider's budget for a day in UTC, in its own unit; 0 if none is set, RemoteError if it is no amount.

    The environment comes before budgets.json, which is `{"<provider>": 5}`.
    """
    name = variable(provider)
    if text := environ.get(name, "").strip():
        return _amount(text, f"the environment variable {name}")
    return _amount(_read(private / FILE).get(provider, 0), f"{provider} in {private / FILE}")


def is_fixed(provider: str, environ: Mapping[str, str]) -> bool:
    """True if the environment decides, and not the settings page."""
    return bool(environ.get(variable(provider), "").strip())


def write_budget(provider: str, amount: object, private: Path) -> None:
    """Keep a budget in budgets.json; RemoteError for what is no amount."""
    path = private / FILE
    kept = {**_read(path), provider: _amount(amount, "what was entered")}
    try:
        private.mkdir(parents=True, exist_ok=True)
        replace_private(path, json.dumps(kept, indent=1))
    except OSError as error:
        raise RemoteError("storage", f"The budget can't be written to {private} ({error.strerror})") from error


def _read(path: Path) -> dict[str, object]:
    if not path.is_file():
        return {}
    try:
        read = json.loads(path.read_text(encoding="utf-8-sig"))
    except ValueError:
        read = None
    if not isinstance(read, dict):
        raise RemoteError("consent", f"{path} must map providers to amounts", advice="Correct or delete the file.")
    return read


def _amount(value: object, source: str) -> float:
    try:
        amount = math.nan if isinstance(value, bool) else float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        amount = math.nan
    if not (math.isfinite(amount) and amount >= 0):
        raise RemoteError("consent", f"{source} is {value!r}, which is no amount", advice="Set a number, such as 5.")
    return amount
