"""A provider node from a row of the table: its schema from the contracts, its run by the job manager."""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, ClassVar

from comfy_api.latest import io
from comfy_execution.utils import get_executing_context

from ...remote.contract.build import InvalidRequest
from ...remote.contract.contracts import Contract
from ...remote.errors import RemoteError
from ...remote.jobs.request import GenerationRequest, make_request
from ...remote.jobs.wait import deliver
from ...remote.providers import PROVIDERS
from ..schema import schema
from .catalog import RemoteNode
from .fields import EXPLICIT, LATER, Field, not_taken, values_of
from .files import AS_PNG
from .job_manager import manager
from .media import SOCKETS, fill
from .progress import ProgressView
from .results import is_whole, outputs, set_aside
from .widgets import ON_INTERRUPT, consent, large_images, logs, widget

SHELF = "Wan Duet/Paid services"
PATIENCE = 5.0  # seconds for a look at the journal; a run waits longer, and can be interrupted


class ProviderNode(io.ComfyNode):
    """The common part of all providers' nodes; `provider_node` sets `row`."""

    row: ClassVar[RemoteNode]

    @classmethod
    def define_schema(cls) -> io.Schema:
        row, video = cls.row, _output(cls.row) == "video"
        kind = io.Video if video else io.Image
        return schema(
            node_id=f"WanDuet_{row.id}",
            display_name=row.title,
            category=SHELF,
            description=f"{row.description} This is a paid service: nothing is sent before you allow it.",
            search_aliases=list(row.aliases),
            inputs=list(_inputs(row, cls.row.fields)),
            outputs=[
                kind.Output(
                    display_name="video" if video else "image",
                    is_output_list=True,
                    tooltip="The result; a list if several were asked for. The files are in output/remote.",
                ),
                io.String.Output(display_name="info", tooltip="Seed, cost, ids, date, and what was not sent."),
            ],
            hidden=[io.Hidden.unique_id],
            is_output_node=True,
            is_experimental=row.experimental,
        )

    @classmethod
    async def fingerprint_inputs(cls, **given: Any) -> float:
        """Keeps what was delivered as long as it is whole and there; otherwise a run collects the rest.

        It is not kept either once a job was forgotten: the same graph is to make a new one.
        """
        if (context := get_executing_context()) is None:
            return 0.0
        try:
            return await asyncio.wait_for(_count_forgotten_if_whole(context.node_id), PATIENCE)
        except asyncio.TimeoutError:
            return float("nan")

    @classmethod
    async def execute(cls, **given: Any) -> io.NodeOutput:
        given = {field.name: _untouched(field) for field in cls.row.fields} | given
        variant = given.get("variant") or next(iter(cls.row.endpoints))
        placed = _make_generation(cls.row, cls.row.fields, variant, given)
        watch = ProgressView(cls.hidden.unique_id)
        policy = given.get("on_interrupt", ON_INTERRUPT[0])
        job = deliver(manager(), placed, report=watch.hear, interrupted=watch.interrupted, on_interrupt=policy)
        try:
            return outputs(await watch.until(job), placed)
        except RemoteError as error:
            if error.kind != "unknown_outcome":
                raise
            return set_aside(error)  # the node's neighbours have jobs of their own, which are paid


async def _count_forgotten_if_whole(node_id: str) -> float:
    """The number of a node's forgotten jobs; NaN if something of it waits to be collected."""
    whole = is_whole(await asyncio.wrap_future(manager().jobs()), node_id)
    return float(await asyncio.wrap_future(manager().count_forgotten(node_id)) if whole else "nan")


def provider_node(row: RemoteNode) -> type[ProviderNode]:
    """The node of a row."""
    return type(row.id, (ProviderNode,), {"row": row})


def _output(row: RemoteNode) -> str:
    return next(iter(row.contracts.values())).output


def _inputs(row: RemoteNode, fields: list[Field]) -> Iterator[Any]:
    """In the order in which they are seen: sockets, what a person sets first, then what is folded away."""
    by_name = {field.name: field for field in fields}
    currency = _currency(next(iter(row.contracts.values())))
    uploads = {*row.needs, *row.takes} - {"loras"}
    agreed, folded = consent(currency, uploads=bool(uploads))
    yield from (SOCKETS[name].input(name, optional=False) for name in row.needs)
    if len(row.endpoints) > 1:
        tooltip = "Which model of the provider. A widget or socket says which variants have no use for it."
        yield io.Combo.Input("variant", options=list(row.endpoints), tooltip=tooltip)
    yield from (widget(by_name[name], shown=True) for name in row.shown)
    yield from agreed
    yield from (SOCKETS[name].input(name, optional=True) for name in row.takes)
    yield from (
        widget(field, shown=False) for field in fields if field.name not in row.shown and field.path not in LATER
    )
    yield from folded
    yield from (widget(field, shown=False) for field in fields if field.path in LATER)
    if "image" in uploads and any("image" in contract.uploads for contract in row.contracts.values()):
        yield large_images()
    if any(PROVIDERS[contract.provider].gives_log for contract in row.contracts.values()):
        yield logs()


def _currency(contract: Contract) -> str:
    return contract.prices["currency"] if contract.prices else "USD"


def _make_generation(row: RemoteNode, fields: list[Field], variant: str, given: Mapping[str, Any]) -> GenerationRequest:
    """The checked request; ValueError in the words of the node if the provider would refuse it."""
    contract = row.contracts[variant]
    if model := given.get("model"):
        contract = contract.with_model(model)
    sockets = {name: given[name] for name in (*row.needs, *row.takes) if given.get(name) is not None}
    parts, files = fill(contract, sockets, variant, given.get("large_images", AS_PNG))
    context = get_executing_context()
    consent = {
        "allow_paid": given["allow_paid"],
        "allow_upload": given.get("allow_upload", False),
        "max_cost": given.get(f"max_cost_{_currency(contract).lower()}") or None,
        "profile": given.get("profile") or "default",
        "force_new": given.get("force_new", 0),
        "seconds": _seconds(contract, sockets),
        "log": given.get("logs", False),
        "prompt_id": context.prompt_id if context else "",
        "node_id": f"{context.node_id}/{context.list_index or 0}" if context else "",
    }
    try:
        placed = make_request(contract, {**values_of(fields, variant, given), **parts}, files.all, **consent)
    except InvalidRequest as error:
        raise ValueError(_in_our_words(str(error), fields)) from None
    dropped = (*not_taken(fields, variant, given), *_dropped(fields, placed))
    return replace(placed, dropped=dropped, warnings=(*placed.warnings, *files.notes))


def _seconds(contract: Contract, sockets: Mapping[str, Any]) -> float | None:
    """The seconds of the driving video, where that makes the length of the result."""
    if "video" not in sockets or contract.parameter("num_frames") or isinstance(sockets["video"], str):
        return None
    return sockets["video"].get_duration()


def _untouched(field: Field) -> Any:
    """The value of an input that an API prompt leaves out."""
    return EXPLICIT.get(field.path, "")


def _in_our_words(text: str, fields: list[Field]) -> str:
    """The provider's paths are not the names of our inputs."""
    names = {field.path: field.name for field in fields if field.path != field.name}
    lines = text.split("\n")
    for number, line in enumerate(lines):
        path = line.removeprefix("- ").split(" ")[0]
        if path in names:
            lines[number] = line.replace(path, f"{names[path]} ({path})", 1)
    return "\n".join(lines)


def _dropped(fields: list[Field], placed: GenerationRequest) -> list[str]:
    """The names of inputs that the mode of this request does not take; flags that are always said don't count."""
    return [field.name for field in fields if field.path in placed.dropped and field.path not in EXPLICIT]
