"""The text under a node while its job is at a provider."""

import asyncio
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

import comfy.model_management
import pytest
from wan_duet.nodes.remote import progress as watch_module
from wan_duet.nodes.remote.progress import ProgressView, wait_for_answer
from wan_duet.remote.errors import Interrupted
from wan_duet.remote.job import Job, State
from wan_duet.remote.jobs.record import JobUpdate

JOB = Job("12345678-0000", "f", "fal", "e", "default", {}, State.RUNNING, estimate=0.4)


class Screen:
    """In the place of the host's server and its progress bar."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.percents: list[int] = []

    def send_progress_text(self, text: str, node_id: str) -> None:
        assert node_id == "7"
        self.texts.append(text)

    def ProgressBar(self, total: int, node_id: str) -> "Screen":
        assert (total, node_id) == (100, "7")
        return self

    def update_absolute(self, value: int) -> None:
        self.percents.append(value)


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Screen:
    screen = Screen()
    monkeypatch.setattr(watch_module.PromptServer, "instance", screen, raising=False)
    monkeypatch.setattr(watch_module.comfy.utils, "ProgressBar", screen.ProgressBar)
    return screen


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(watch_module.time, "monotonic", lambda: now[0])
    return now


def test_the_seconds_go_on_between_the_polls(screen: Screen, seconds: list[float]) -> None:
    watch = ProgressView("7")
    assert not watch.interrupted() and screen.texts == []
    watch.hear(JobUpdate(JOB, 40.0, queue=2))
    for seconds[0] in (100.0, 100.2, 102.0):
        assert not watch.interrupted()
    said = [
        "fal - running 40 s - queue 2 -\nest. $0.4 - 12345678",
        "fal - running 42 s - queue 2 -\nest. $0.4 - 12345678",
    ]
    assert screen.texts == said


def test_there_is_a_bar_only_where_the_provider_gives_a_percentage(screen: Screen, seconds: list[float]) -> None:
    watch = ProgressView("7")
    watch.hear(JobUpdate(JOB, 1.0))
    assert not watch.interrupted() and screen.percents == []
    watch.hear(JobUpdate(JOB, 2.0, percent=12.4))
    assert not watch.interrupted() and screen.percents == [12]


def test_an_interrupt_is_seen_before_the_hosts_bar_can_raise_it(
    screen: Screen, seconds: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comfy.model_management, "processing_interrupted", lambda: True)
    watch = ProgressView("7")
    watch.hear(JobUpdate(JOB, 2.0, percent=50))
    assert watch.interrupted() and screen.percents == []


def test_what_becomes_of_the_job_is_the_last_word(screen: Screen) -> None:
    async def stopped() -> Any:
        raise Interrupted("Job 1 goes on at fal and is billed")

    watch = ProgressView("7")
    watch.hear(JobUpdate(replace(JOB, state=State.QUEUED), 1.0))
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        asyncio.run(watch.until(stopped()))
    assert screen.texts[-1] == "Job 1 goes on at fal and is billed"


def test_an_interrupt_ends_the_wait_for_an_answer_and_the_asking(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: Future[str] = Future()
    monkeypatch.setattr(comfy.model_management, "processing_interrupted", lambda: True)
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        asyncio.run(wait_for_answer(asked))
    assert asked.cancelled()


def test_an_answer_is_given_and_its_error_raised() -> None:
    given: Future[str] = Future()
    given.set_result("answer")
    assert asyncio.run(wait_for_answer(given)) == "answer"
    failed: Future[str] = Future()
    failed.set_exception(ValueError("no such job"))
    with pytest.raises(ValueError, match="no such job"):
        asyncio.run(wait_for_answer(failed))
