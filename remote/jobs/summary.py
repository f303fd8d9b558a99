"""What a delivered job was, as text for people: its numbers, its price, and what is not as it was asked for."""

from collections.abc import Iterator
from datetime import datetime

from ..contract.pricing import Estimate, in_words
from ..job import Job
from .collect import Outcome
from .request import Order


def info(outcome: Outcome, order: Order | None = None) -> str:
    """The lines about a job; with the order also what of it was not sent or has no effect."""
    return "\n".join(_lines(outcome, order))


def _lines(outcome: Outcome, order: Order | None) -> Iterator[str]:
    job = outcome.job
    day = date_of(job)
    yield f"{job.provider} {job.endpoint.removeprefix(f'{job.provider}/')}, {day}"
    yield f"job {job.id}, there {job.remote_id}"
    paid = f"paid on {day} ({cost_of(job)}) and collected now: nothing new was charged"
    yield paid if outcome.attached else f"cost: {cost_of(job)}"
    asked = job.request.get("seed", job.request.get("params", {}).get("seed", "unknown"))
    yield f"seed: {', '.join(str(asked if seed is None else seed) for seed in outcome.seeds)}"
    if outcome.nsfw:
        yield "The provider marks a result as NSFW."
    if order is not None and order.dropped:
        yield f"not sent, this mode does not take it: {', '.join(order.dropped)}"
    yield from (*(order.warnings if order is not None else ()), *outcome.warnings)
    yield from (f"log: {line}" for line in outcome.log)


def cost_of(job: Job) -> str:
    """What it cost, or was expected to where the provider does not say."""
    if job.cost is None:
        return str(Estimate(job.estimate, job.currency))
    return in_words(job.cost, job.currency)


def date_of(job: Job) -> str:
    """When it was made, in local time."""
    return datetime.fromtimestamp(job.created).strftime("%Y-%m-%d %H:%M")
