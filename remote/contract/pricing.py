"""Estimate the price of a request, and check it against consent and budget."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import RemoteError
from .contracts import UNSET, Contract, value_at

Prices = Mapping[str, Any]
ROUNDING = 1e-9  # of sums of prices
UNITS = {"USD": "US dollars", "credits": "credits"}
LEAST_UNKNOWN = {"USD": 0.5, "credits": 12.0}  # a graph must not count what nobody knows as next to nothing


@dataclass(frozen=True)
class Estimate:
    """An expected price in USD or credits; None: the documents name no price for this request."""

    amount: float | None
    currency: str = "USD"

    def __str__(self) -> str:
        return "price unknown" if self.amount is None else f"est. {in_words(self.amount, self.currency)}"


def estimate(contract: Contract, request: Mapping[str, Any], seconds: float | None = None) -> Estimate:
    """The price of a request by its contract's table; `seconds` is how long a driving video lasts."""
    prices = contract.prices
    if prices is None:
        return Estimate(None)
    one = _one(contract, prices, request, seconds)
    return Estimate(None if one is None else one * contract.results(request), prices["currency"])


def _one(contract: Contract, prices: Prices, request: Mapping[str, Any], seconds: float | None) -> float | None:
    if prices["per"] == "example":
        media = contract.role(request, "frames") is not None
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
    """The value that the provider will take: as set, else the documented default."""
    value = value_at(request, path)
    parameter = contract.parameter(path)
    return value if value is not UNSET else parameter.default if parameter else None


@dataclass(frozen=True)
class Reservation:
    """The most that a job is expected to take of a provider's budget for the day, in that provider's own unit.

    `price` says how that is known. `budget` is what the machine allows a day, `where` where that is set.
    """

    amount: float
    currency: str
    price: str
    budget: float
    where: str

    def check(self, used: float) -> None:
        """Raise RemoteError if the budget does not hold this beside what the day has `used`."""
        if not used + self.amount <= self.budget + ROUNDING:
            left = in_words(max(self.budget - used, 0.0), self.currency)
            text = f"This is a paid job ({self.price}), and {left} is left of today's budget"
            advice = (
                f"Nothing was sent. The budget is {in_words(self.budget, self.currency)} a day (UTC): {self.where}."
            )
            raise RemoteError("consent", text, advice=advice)


def in_words(amount: float, currency: str) -> str:
    """An amount with its unit."""
    return f"{amount:g} credits" if currency == "credits" else f"${round(amount, 6):g}"


def check_consent(prices_at: str, expected: Estimate, *, allow_paid: bool, max_cost: float | None) -> tuple[float, str]:
    """The most that a job may cost, and the price in words; RemoteError unless paying that is agreed to."""
    unit = UNITS[expected.currency]
    prices = f"Prices are in {unit}, at {prices_at}."
    if not allow_paid:
        also = " and set max_cost, which an unknown price is counted as" if expected.amount is None else ""
        advice = f"Nothing was sent. {prices} Turn allow_paid on to run it{also}."
        raise RemoteError("consent", f"This is a paid job ({expected}) and allow_paid is off", advice=advice)
    if expected.amount is None:
        if max_cost is None or not max_cost > 0:
            text = f"This is a paid job ({expected}), and max_cost is {max_cost or 0:g}"
            advice = (
                f"Nothing was sent. {prices} Set max_cost, in {unit}, to the most that you expect: it is set aside "
                "from the budget, but the provider doesn't know of it and may charge more."
            )
            raise RemoteError("consent", text, advice=advice)
        counted = max(max_cost, LEAST_UNKNOWN[expected.currency])
        return counted, f"{expected}, counted as {in_words(counted, expected.currency)}"
    if max_cost is not None and not expected.amount <= max_cost:  # nan is no limit that anything keeps to
        advice = f"Nothing was sent. {prices} Ask for less, or raise the limit."
        raise RemoteError("consent", f"max_cost is {max_cost:g}, below the price ({expected})", advice=advice)
    return expected.amount, str(expected)
