"""The interface of a provider, in words that all share."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from ..contract.contracts import Contract
from ..errors import RemoteError
from ..http.transport import REPEATABLE, Call, Reply, Transport
from ..job import Job, State
from ..keys import Variables
from ..media import Media
from ..settings import RemoteSettings

SEVERAL = "several"  # the code of an error: more than one request may be the job

SubmittedBody = Callable[[], bytes]  # the body of the submit, to the byte; RemoteError if it is not to be sent again


@dataclass(frozen=True)
class Accepted:
    """A submit that arrived: the provider's id and, where it gives them, the addresses to ask at."""

    remote_id: str
    urls: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class JobResult:
    """One finished video or image at the provider, or what comes beside it: its `kind`, if not the usual one."""

    index: int
    url: str = field(repr=False)
    seed: int | None = None
    nsfw: bool = False
    kind: str = ""


@dataclass(frozen=True)
class JobProgress:
    """The progress of a job at the provider. None as `state`: it has no trace of the job.

    `pending`: whether it says that something is still being made; without that, part of the results may be all.
    `log`: the lines that the model has written so far.
    """

    state: State | None
    results: tuple[JobResult, ...] = ()
    failures: tuple[RemoteError, ...] = ()
    queue: int | None = None
    percent: float | None = None
    cost: float | None = None
    pending: bool = True
    log: tuple[str, ...] = ()

    @property
    def told(self) -> tuple[int, int]:
        """The numbers of results and of failures that it tells."""
        return len(self.results), len(self.failures)


class Unreadable(Exception):
    """An answer to a submit that says neither yes nor no."""


class Provider(ABC):
    """One provider with one key: what it states of itself, and its wire."""

    name: ClassVar[str]
    "Its name in contracts, keys.json, budgets.json and the journal."
    bases: ClassVar[Mapping[str, str]]
    "Its addresses, by names of its own; RemoteSettings.bases may replace them."
    key_variables: ClassVar[Variables]
    "Environment variables that may hold its key."
    unit: ClassVar[str] = "USD"
    "The unit of its budget and its prices."
    prices_at: ClassVar[str]
    "The page of its prices."
    hosts: ClassVar[tuple[str, ...] | None]
    "Hosts that its results come from; None is any public one."
    upload_lives: ClassVar[float]
    "Seconds for which an uploaded file is taken to be there."
    id_field: ClassVar[str] = ""
    "The field of a request that carries our own id of the job; empty where there is none."
    gives_log: ClassVar[bool] = False
    "True if it tells what its model writes."

    def __init__(self, settings: RemoteSettings, transport: Transport, key: str) -> None:
        self.settings = settings
        self.transport = transport
        self.key = key

    def base(self, name: str) -> str:
        """One of its addresses, as the settings or else it itself has it."""
        return self.settings.bases.get(name, self.bases[name])

    @abstractmethod
    def complete(self, contract: Contract, request: dict[str, Any]) -> dict[str, Any]:
        """The request with what is always said rather than left to the provider's defaults."""

    @abstractmethod
    async def prepare(self, contract: Contract, request: dict[str, Any]) -> None:
        """Find out before money is spent whether the job can run; RemoteError if not."""

    @abstractmethod
    def submission(self, contract: Contract, request: dict[str, Any], job_id: str) -> Call:
        """The one request that makes the job."""

    @abstractmethod
    def accepted(self, reply: Reply, job_id: str) -> Accepted:
        """Read the answer to a submission: RemoteError is a refusal, Unreadable an unknown outcome."""

    @abstractmethod
    def busy(self, reply: Reply) -> bool:
        """True if the provider itself, not a gateway before it, says that it did not take a submit but may later."""

    @abstractmethod
    async def reconcile(self, job: Job, sent: SubmittedBody, taken: Collection[str]) -> Accepted | None:
        """Find out about a submission of unknown outcome; None: the provider has no trace of it.

        `taken` are the provider's ids of other jobs. RemoteError if there is no way to find out.
        """

    @abstractmethod
    async def poll(self, job: Job, *, log: bool = False) -> JobProgress:
        """Ask where the job is, with its log if wished. Asking again also gives fresh addresses of the results."""

    async def cancel(self, job: Job) -> bool:
        """Ask the provider to stop; False if it can't."""
        return False

    @abstractmethod
    async def upload(self, media: Media) -> Any:
        """Give the provider a file; what to write into the request in its place."""

    async def ask(self, call: Call) -> Reply:
        """A repeatable request, its refusals raised."""
        reply = await self.transport.ask(call)
        if reply.status in (401, 403):
            raise RemoteError("auth", f"{self.name} refused the key (HTTP {reply.status})")
        if reply.status in REPEATABLE:  # after many tries: it says nothing about the job
            raise RemoteError("network", f"{self.name} does not answer (HTTP {reply.status})")
        return reply
