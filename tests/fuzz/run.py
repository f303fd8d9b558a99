"""Sends mutated prompts to a server and judges each; after every few a good one must give the same film as before."""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from wan_duet.dev.client import Client, Prompt, PromptError
from wan_duet.tests.nodes.graph import Graph

from .mutations import Case
from .prompts import film, give
from .verdicts import FINDINGS, HOST, HUNG, LITTER, SILENT, TAKEN, verdict

EVERY = 20  # mutated prompts between good ones
LIMIT, STOP = 30.0, 10.0  # seconds for a prompt, and for it to stop when told to
POLL = 0.02


@dataclass(frozen=True)
class Outcome:
    """A case, and what became of it."""

    case: Case
    verdict: str
    words: str
    seconds: float

    @property
    def is_finding(self) -> bool:
        return self.verdict in FINDINGS

    def __str__(self) -> str:
        prompt = json.dumps(self.case.prompt)
        return f"{self.verdict}: {self.case.name}\n{self.words}\nto reproduce: {prompt}\n"


@dataclass
class Report:
    """The outcomes of a run, and how many of its good prompts gave the same film."""

    outcomes: list[Outcome] = field(default_factory=list)
    films: int = 0
    same: int = 0

    @property
    def findings(self) -> list[Outcome]:
        return [outcome for outcome in self.outcomes if outcome.is_finding]

    def counts(self) -> Counter[str]:
        return Counter(outcome.verdict for outcome in self.outcomes)


class Fuzzer:
    """One server that has the node of values.py, and the folder of its outputs."""

    def __init__(self, client: Client, output: Path):
        self._client, self._output = client, output
        self._seen = self._files()

    def run(self, cases: Iterable[Case], tell: Callable[[Outcome], None] = lambda _: None) -> Report:
        """Judge each case, up to one after which the server takes no more."""
        report, wanted = Report(), self.film()
        for number, case in enumerate(cases, 1):
            report.outcomes.append(self.judge(case))
            tell(report.outcomes[-1])
            if report.outcomes[-1].verdict == HUNG:
                break
            if number % EVERY == 0:
                report.films += 1
                report.same += self.film() == wanted
        return report

    def judge(self, case: Case) -> Outcome:
        """Run one case and give a verdict."""
        begin = time.monotonic()
        found, words = self._verdict(case)
        seconds = time.monotonic() - begin
        files = self._files()
        left = [path for path in files - self._seen if path.name not in words]  # one that is kept is named
        if found not in (TAKEN, SILENT) and left:
            found, words = LITTER, f"{', '.join(map(str, left))}\n{words}"
        self._seen = files
        return Outcome(case, found, words, seconds)

    def film(self) -> bytes:
        """The frames that a good prompt saves, made from nothing."""
        self._client.free()
        between, graph = Graph(), Graph()
        between.show(give(between, "anything/text"))
        self._client.run(between.prompt, LIMIT)  # the server forgets after the prompt that comes next
        film(graph)
        self._client.run(graph.prompt, LIMIT)
        paths = sorted(self._files() - self._seen)
        frames = b"".join(path.read_bytes() for path in paths if path.suffix == ".png")
        for path in paths:
            path.unlink()  # the next film has the same names
        return frames

    def _verdict(self, case: Case) -> tuple[str, str]:
        try:
            id = self._client.queue(case.prompt)
        except PromptError as refused:
            return HOST, str(refused)
        entry = self._ended(id, LIMIT)
        if entry is not None:
            return verdict(case, entry)
        self._client.interrupt()
        if self._ended(id, STOP) is None:
            return HUNG, f"no end after {LIMIT:g} s, and none {STOP:g} s after an interrupt"
        return TAKEN, f"took more than {LIMIT:g} s, and stopped when told to"

    def _ended(self, id: str, limit: float) -> Prompt | None:
        """The history entry of a prompt; None if it does not end in so many seconds."""
        deadline = time.monotonic() + limit
        while time.monotonic() < deadline:
            if entry := self._client.request(f"/history/{id}").get(id):
                return entry
            time.sleep(POLL)
        return None

    def _files(self) -> set[Path]:
        return {path for path in self._output.rglob("*") if path.is_file()}
