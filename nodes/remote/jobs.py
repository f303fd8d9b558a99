"""Every remote job of this machine: what became of it, what it cost, and its result once more."""

import asyncio
from collections.abc import Sequence
from typing import Any

from comfy_api.latest import io
from comfy_execution.graph_utils import ExecutionBlocker

from ...remote.budget import where_to_set
from ...remote.contract.pricing import in_words
from ...remote.job import Job
from ...remote.jobs.collect import JobOutcome
from ...remote.jobs.journal import Spent
from ...remote.jobs.manager import Budgets
from ...remote.jobs.summary import cost_of, date_of
from ...remote.jobs.unanswered import AT_WORK, FOUND, KEPT, LIKE, NO_TRACE, UNKNOWN, ClearedJob
from ...remote.jobs.wait import wait
from ...remote.providers import PROVIDERS
from ..schema import advanced, schema
from ..text import log_report
from .job_manager import manager
from .progress import ProgressView, wait_for_answer
from .results import STILLS, opened, preview, seen, told
from .tooltips import CONSENT
from .widgets import ON_INTERRUPT

LIST, COLLECT, FETCH, FORGET = "list", "collect", "fetch again", "forget"
ATTACH, CLEAR = "attach", "clear unanswered"
ALL = 100_000
SHOWN = 8  # characters of an id


class RemoteJobs(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="WanDuet_RemoteJobs",
            display_name="Remote Jobs",
            category="Wan Duet/Paid services",
            description="The journal of the paid jobs: their states, what they cost, by day too, and their results.",
            search_aliases=["job history", "cost", "spending", "collect", "cloud"],
            inputs=[
                io.Combo.Input(
                    "action",
                    options=[LIST, COLLECT, FETCH, FORGET, ATTACH, CLEAR],
                    tooltip="list: show the journal. collect: bring in the job's result; nothing is bought. fetch "
                    "again: the same, though the files are there. forget: drop the job; the same graph then buys it "
                    "anew. attach: collect a job whose answer was lost, by its request_id. clear unanswered: ask about "
                    "all such jobs, and drop those that their provider does not have, or can't tell of although they "
                    "are too old to be at work.",
                ),
                io.String.Input(
                    "job",
                    default="",
                    tooltip="The id of a job, or as much of it as list shows; list itself needs none.",
                ),
                io.Int.Input("limit", default=20, min=1, max=1000, tooltip="How many jobs are listed, newest first."),
                advanced(
                    io.Combo.Input(
                        "on_interrupt",
                        options=list(ON_INTERRUPT),
                        default="keep",
                        optional=True,
                        tooltip=CONSENT["on_interrupt"],
                    )
                ),
                io.String.Input(
                    "request_id",
                    default="",
                    optional=True,
                    tooltip="For attach: what the provider calls the job, from its dashboard.",
                ),
            ],
            outputs=[
                io.Video.Output(
                    display_name="videos",
                    is_output_list=True,
                    tooltip="The videos collected; blocked if there are none.",
                ),
                io.Image.Output(
                    display_name="images",
                    is_output_list=True,
                    tooltip="The images collected; blocked if there are none.",
                ),
                io.String.Output(display_name="report", tooltip="The jobs and the totals by day, or what was done."),
            ],
            hidden=[io.Hidden.unique_id],
            is_output_node=True,
        )

    @classmethod
    def fingerprint_inputs(cls, **settings: Any) -> float:
        """Never the same as before: jobs go on while nobody looks."""
        return float("nan")

    @classmethod
    async def execute(
        cls, action: str, job: str, limit: int, on_interrupt: Any = "keep", request_id: str = ""
    ) -> io.NodeOutput:
        known = await asyncio.wrap_future(manager().jobs(ALL))
        if action == LIST:
            spent, budgets = manager().spent(), manager().budgets()
            said = listing(known[:limit], await asyncio.wrap_future(spent))
            return _said(f"{said}\n\n{left_today(await asyncio.wrap_future(budgets))}")
        if action == CLEAR:
            return _said(cleared(await wait_for_answer(manager().clear())))
        wanted = find(known, job)
        if action == FORGET:
            await asyncio.wrap_future(manager().forget(wanted.id))
            return _said(f"Job {wanted.id} is forgotten: the same graph makes and pays a new one. Its files stay.")
        watch = ProgressView(cls.hidden.unique_id)
        if action == ATTACH:
            handle = manager().attach(wanted.id, request_id, watch.hear)
        else:
            handle = manager().collect(wanted.id, watch.hear, again=action == FETCH)
        return _collected(await watch.until(wait(handle, watch.interrupted, on_interrupt)))


def _said(text: str) -> io.NodeOutput:
    return io.NodeOutput([ExecutionBlocker(None)], [ExecutionBlocker(None)], log_report(text))


def _collected(outcome: JobOutcome) -> io.NodeOutput:
    results: dict[bool, list[Any]] = {False: [], True: []}
    for file in seen(outcome.files):
        results[file.suffix in STILLS].append(opened(file))
    videos, images = (results[still] or [ExecutionBlocker(None)] for still in (False, True))
    return io.NodeOutput(videos, images, told(outcome), ui=preview(outcome.files))


def find(known: Sequence[Job], text: str) -> Job:
    """The one job whose id begins so; ValueError names those that there are."""
    start = text.strip().lower()
    found = [job for job in known if job.id.startswith(start)]
    if len(found) == 1 and len(start) >= SHOWN:
        return found[0]
    there = ", ".join(job.id[:SHOWN] for job in (found or known)[:10]) or "none"
    raise ValueError(f"job is {text!r}. Write at least the {SHOWN} characters that list shows. There are: {there}.")


def listing(jobs: Sequence[Job], spent: Spent) -> str:
    """The jobs, one a line, and what each day has cost."""
    lines = [f"{job.id[:SHOWN]} {date_of(job)} {job.state.value}, {job.endpoint}, {cost_of(job)}" for job in jobs]
    return "\n".join(
        [*(lines or ["No job was ever made."]), "", "Spent by day (UTC), as far as it is known:", *_totals(spent)]
    )


def _totals(spent: Spent) -> list[str]:
    return [
        f"{day} {provider}: {in_words(total, currency)}" + (f", {unpriced} of unknown price" if unpriced else "")
        for (day, provider, currency), (total, unpriced) in sorted(spent.items(), reverse=True)
    ]


def left_today(budgets: Budgets) -> str:
    """The rest of each provider's budget for today."""
    lines = ["Left of today's budgets (a day ends at midnight UTC):"]
    for provider, (budget, used) in budgets.items():
        left, of = (in_words(amount, PROVIDERS[provider].unit) for amount in (max(budget - used, 0.0), budget))
        lines.append(f"{provider}: {left} of {of}" + ("" if budget else f"; {where_to_set(provider)}"))
    return "\n".join(lines)


WORDS = {
    FOUND: "is there after all: collect it",
    NO_TRACE: "never arrived, and is dropped",
    UNKNOWN: "is dropped; it may have been charged, see the provider's dashboard",
    KEPT: "is kept: it is being sent, or its provider can't be asked now",
    AT_WORK: "is kept: it may still be at work, and its provider can't tell. Clear it later, or attach or forget it",
    LIKE: "is kept: its provider has several like it. Attach one by its request_id",
}


def cleared(jobs: Sequence[ClearedJob]) -> str:
    """The fate of each job, one a line."""
    lines = [f"{one.job.id[:SHOWN]} {one.job.endpoint} {WORDS[one.verdict]}." for one in jobs]
    return "\n".join(lines or ["Every job has its answer: there is nothing to clear."])
