"""Wait for a job in a node: what is shown meanwhile, and what an interrupt means."""

import asyncio
import logging
import time
from collections.abc import Coroutine
from concurrent.futures import Future
from dataclasses import replace
from typing import Any, TypeVar

import comfy.model_management
import comfy.utils
from server import PromptServer

from ...remote.errors import Interrupted
from ...remote.jobs.collect import JobOutcome
from ...remote.jobs.record import JobUpdate
from ..text import wrap

log = logging.getLogger("wan_duet")

TICK = 0.25  # seconds between two looks for an interrupt
Answer = TypeVar("Answer")


async def wait_for_answer(asked: "Future[Answer]") -> Answer:
    """Wait for what the jobs' thread was asked; once the run is interrupted it is asked no further."""
    waiting = asyncio.wrap_future(asked)
    while not (await asyncio.wait({waiting}, timeout=TICK))[0]:
        if comfy.model_management.processing_interrupted():
            waiting.cancel()
            raise comfy.model_management.InterruptProcessingException
    return waiting.result()


class ProgressView:
    """Shows where a job is under a node. `hear` is called by the jobs' thread, all else by the host's own."""

    def __init__(self, node_id: str | None) -> None:
        self._node_id = node_id
        self._heard: tuple[float, JobUpdate] | None = None
        self._said = ""
        self._bar: comfy.utils.ProgressBar | None = None

    def hear(self, update: JobUpdate) -> None:
        """Take note of news."""
        self._heard = time.monotonic(), update

    def interrupted(self) -> bool:
        """Looked at several times a second. The host's progress bar raises on an interrupt, so the flag comes first."""
        if comfy.model_management.processing_interrupted():
            return True
        self._show()
        return False

    async def until(self, delivered: Coroutine[Any, Any, JobOutcome]) -> JobOutcome:
        """Wait for the delivery; the host's own exception once the run is stopped, after the job was told of it."""
        try:
            outcome = await delivered
        except Interrupted as stopped:
            log.warning("%s", stopped)
            self._say(str(stopped))
            raise comfy.model_management.InterruptProcessingException from None
        self._show()
        return outcome

    def _show(self) -> None:
        if self._heard is None:
            return
        since, update = self._heard
        self._say(str(replace(update, seconds=update.seconds + time.monotonic() - since)))
        if update.percent is not None:  # never invented
            self._bar = self._bar or comfy.utils.ProgressBar(100, node_id=self._node_id)
            self._bar.update_absolute(round(update.percent))

    def _say(self, text: str) -> None:
        server = getattr(PromptServer, "instance", None)
        if text != self._said and self._node_id is not None and server is not None:
            server.send_progress_text(wrap(text), self._node_id)
        self._said = text
