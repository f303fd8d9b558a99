"""What a request will cost, as far as the documents tell, and whether that is agreed to."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .contract import Contract
from .errors import RemoteError
from .rules import UNSET, value_at

Prices = Mapping[str, Any]


@dataclass(frozen=True)
class Estimate:
    """An expected price in USD or credits; None: the documents name no price for this request."""

    amount: float | None
    currency: str = "USD"

    def __str__(self) -> str:
        if self.amount is None:
            return "price unknown"
        return f"est. {self.amount:g} credits" if self.currency == "credits" else f"est. ${self.amount:.4g}"


def estimate(contract: Contract, request: Mapping[str, Any], seconds: float | None = None) -> Estimate:
    """The price of a request by its contract's table; `seconds` is how long a driving video lasts."""
    prices = contract.prices
    if prices is None:
        return Estimate(None)
    one = _one(contract, prices, request, seconds)
    results = value_at(request, "numberResults")
    return Estimate(None if one is None else one * (1 if results is UNSET else results), prices["currency"])


def _one(contract: Contract, prices: Prices, request: Mapping[str, Any], seconds: float | None) -> float | None:
    if prices["per"] == "example":
        media = value_at(request, "inputs.frameImages") is not UNSET
        given = {name: request.get(name) for name in ("width", "height", "duration")} | {"media": media}
        return next((row["price"] for row in prices["examples"] if given.items() <= row.items()), None)
    price = prices.get("price")
    if price is None:
        price = prices["table"].get(_value(contract, request, prices["by"]))
    if price is None or prices["per"] == "video":
        return price
    length = _seconds(contract, request, prices) if seconds is None else seconds
    return None if length is None else round(price * length, 6)


def _seconds(contract: Contract, request: Mapping[str, Any], prices: Prices) -> float | None:
    frames = _value(contract, request, "num_frames")
    fps = prices.get("fps") or _value(contract, request, "frames_per_second")
    return frames / fps if frames and fps else None


def _value(contract: Contract, request: Mapping[str, Any], path: str) -> Any:
    """What the provider will take: the value that is set, else the documented default."""
    value = value_at(request, path)
    parameter = contract.parameter(path)
    return value if value is not UNSET else parameter.default if parameter else None


def check_consent(expected: Estimate, *, allow_paid: bool, max_cost: float | None) -> None:
    """Raise RemoteError unless paying is allowed and the price is known to stay below the limit, if there is one."""
    if not allow_paid:
        advice = "Nothing was sent. Turn allow_paid on to run it."
        raise RemoteError("consent", f"This is a paid job ({expected}) and allow_paid is off", advice=advice)
    if max_cost is None:
        return
    if expected.amount is None:
        advice = "Nothing was sent. Set the limit to 0 to run it all the same."
        raise RemoteError("consent", f"max_cost is {max_cost:g}, and the price is unknown", advice=advice)
    if not expected.amount <= max_cost:  # nan is no limit that anything keeps to
        advice = "Nothing was sent. Ask for less, or raise the limit."
        raise RemoteError("consent", f"max_cost is {max_cost:g}, below the price ({expected})", advice=advice)
