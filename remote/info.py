"""What a delivered job was, as text for people: its numbers, its price, and what is not as it was asked for."""

from collections.abc import Iterator
from datetime import datetime

from .fetch import Outcome
from .journal import Job
from .money import Estimate
from .order import Order


def info(outcome: Outcome, order: Order | None = None) -> str:
    """The lines about a job; with the order also what of it was not sent or has no effect."""
    return "\n".join(_lines(outcome, order))


def _lines(outcome: Outcome, order: Order | None) -> Iterator[str]:
    job = outcome.job
    day = datetime.fromtimestamp(job.created).strftime("%Y-%m-%d %H:%M")
    yield f"{job.provider} {job.endpoint.removeprefix(f'{job.provider}/')}, {day}"
    yield f"job {job.id}, there {job.remote_id}"
    yield f"paid on {day} and collected now: nothing new was charged" if outcome.attached else f"cost: {_cost(job)}"
    if any(seed is not None for seed in outcome.seeds):
        yield f"seed: {', '.join('unknown' if seed is None else str(seed) for seed in outcome.seeds)}"
    if outcome.nsfw:
        yield "The provider marks a result as NSFW."
    if order is not None and order.dropped:
        yield f"not sent, this mode does not take it: {', '.join(order.dropped)}"
    yield from (*(order.warnings if order is not None else ()), *outcome.warnings)


def _cost(job: Job) -> str:
    if job.cost is None:
        return str(Estimate(job.estimate, job.currency))
    return f"{job.cost:g} credits" if job.currency == "credits" else f"${job.cost:.4g}"
