"""Summarize a delivered job for people: its numbers, its price, and what is not as it was asked for."""

from collections.abc import Iterator
from datetime import datetime

from ..contract.contracts import value_of_role
from ..contract.pricing import Estimate, in_words
from ..job import Job
from .collect import JobOutcome
from .request import GenerationRequest


def summarize(outcome: JobOutcome, generation: GenerationRequest | None = None) -> str:
    """The lines about a job; with its request also what of that was not sent or has no effect."""
    return "\n".join(_lines(outcome, generation))


def _lines(outcome: JobOutcome, generation: GenerationRequest | None) -> Iterator[str]:
    job = outcome.job
    day = date_of(job)
    yield f"{job.provider} {job.endpoint.removeprefix(f'{job.provider}/')}, {day}"
    yield f"job {job.id}, there {job.remote_id}"
    paid = f"paid on {day} ({cost_of(job)}) and collected now: nothing new was charged"
    yield paid if outcome.attached else f"cost: {cost_of(job)}"
    asked = value_of_role(job.endpoint, job.request, "seed")
    yield f"seed: {', '.join(_text(asked if seed is None else seed) for seed in outcome.seeds)}"
    if outcome.nsfw:
        yield "The provider marks a result as NSFW."
    if generation is not None and generation.dropped:
        yield f"not sent, this mode does not take it: {', '.join(generation.dropped)}"
    yield from (*(generation.warnings if generation is not None else ()), *outcome.warnings)
    yield from (f"log: {line}" for line in outcome.log)


def _text(seed: int | None) -> str:
    return "unknown" if seed is None else str(seed)


def cost_of(job: Job) -> str:
    """The cost in words; the estimate where the provider does not say."""
    if job.cost is None:
        return str(Estimate(job.estimate, job.currency))
    return in_words(job.cost, job.currency)


def date_of(job: Job) -> str:
    """The date it was made, in local time."""
    return datetime.fromtimestamp(job.created).strftime("%Y-%m-%d %H:%M")
