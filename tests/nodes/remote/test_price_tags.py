"""The prices on the provider nodes, which the browser reads from a file: those of the contracts, and no others.

After a change of a price: WAN_DUET_REGENERATE=1 python3 dev/test.py tests/nodes/remote/test_price_tags.py
"""

import json
import os
from pathlib import Path

from wan_duet.nodes.remote.catalog import ROWS, RemoteNode
from wan_duet.nodes.remote.fields import DEFAULT, fields_of
from wan_duet.remote.contract.contracts import Contract
from wan_duet.remote.contract.pricing import estimate

FILE = Path(__file__).resolve().parents[3] / "web" / "prices.json"
UNITS = {"second": "s", "video": "video"}
Tags = dict[str, dict[str, str]]


def tag(contract: Contract, resolution: str) -> str | None:
    """The price of one unit at a resolution; None if the documents name none."""
    if not contract.prices or contract.prices["per"] not in UNITS:
        return None
    expected = estimate(contract, {} if resolution == DEFAULT else {"resolution": resolution}, seconds=1.0)
    return None if expected.amount is None else f"{expected}/{UNITS[contract.prices['per']]}"


def tags(row: RemoteNode) -> Tags:
    """The prices of a node by what chooses its model and by resolution."""
    widgets = {field.name: field for field in fields_of(row.contracts)}
    found: Tags = {}
    for variant, contract in row.contracts.items():
        model = contract.parameter("model")
        key = variant if len(row.endpoints) > 1 else str(model.const) if model and "model" in widgets else ""
        choices = [DEFAULT, *widgets["resolution"].choices]
        known = {choice: price for choice in choices if (price := tag(contract, choice))}
        found |= {key: known} if known else {}
    return found


def test_the_browser_shows_the_prices_of_the_contracts() -> None:
    prices = {f"WanDuet_{row.id}": found for row in ROWS if "resolution" in row.shown and (found := tags(row))}
    if "WAN_DUET_REGENERATE" in os.environ:
        FILE.write_text(json.dumps(prices, indent=1) + "\n", encoding="utf-8")
    assert json.loads(FILE.read_text(encoding="utf-8")) == prices
    assert prices
