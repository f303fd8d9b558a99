"""Give a provider the user's files once each, and write what it calls them into the request."""

import asyncio
import json
import logging
from collections.abc import Mapping
from typing import Any

from ..contract.contracts import Contract
from ..errors import RemoteError
from ..media import Media
from ..providers.base import Provider
from .journal import Journal
from .request import GenerationRequest

log = logging.getLogger("wan_duet")


class Uploads:
    """Remembers in the journal what a provider has, until it may have thrown it away."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._running: dict[tuple[str, str, str], asyncio.Task[Any]] = {}

    async def place(self, generation: GenerationRequest, request: dict[str, Any], provider: Provider) -> dict[str, Any]:
        """The request with the placeholders of the user's files replaced; RemoteError if that is not allowed."""
        used = {name: file for name, file in generation.media.items() if name in json.dumps(request)}
        if used and not generation.allow_upload:
            advice = "Nothing was sent. Turn allow_upload on to send them."
            names = ", ".join(sorted(file.kind for file in used.values()))
            raise RemoteError(
                "consent", f"{provider.name} needs your files ({names}) and allow_upload is off", advice=advice
            )
        for file in used.values():
            _check(generation.contract, file)
        references = {name: await self._reference(file, generation.profile, provider) for name, file in used.items()}
        return _replace(request, references)

    async def forget(
        self, error: RemoteError, generation: GenerationRequest | None, provider: Provider, before: float
    ) -> bool:
        """Drop what was uploaded before that time if an error may be about its absence; whether there was any."""
        if generation is None or error.kind not in ("validation", "not_found"):
            return False
        hashes = [file.sha256 for file in generation.media.values()]
        until = before + provider.upload_lives
        try:
            return await self._journal.run(
                self._journal.forget_uploads, provider.name, generation.profile, hashes, until
            )
        except RemoteError as failure:  # what the provider said is more than that it can't be written down
            log.warning("%s", failure)
            return False

    async def _reference(self, file: Media, profile: str, provider: Provider) -> Any:
        key = (provider.name, profile, file.sha256)
        if (kept := await self._journal.run(self._journal.uploaded, *key)) is not None:
            return json.loads(kept)
        if key not in self._running:
            self._running[key] = asyncio.ensure_future(self._upload(file, key, provider))
            self._running[key].add_done_callback(lambda _: self._running.pop(key))
        return await asyncio.shield(self._running[key])

    async def _upload(self, file: Media, key: tuple[str, str, str], provider: Provider) -> Any:
        reference = await provider.upload(file)
        text = json.dumps(reference)
        if "?" not in text:  # an address that is signed is a secret, and soon worthless
            expires = provider.settings.clock.now() + provider.upload_lives
            await self._journal.run(self._journal.keep_upload, *key, text, expires)
        return reference


def _check(contract: Contract, file: Media) -> None:
    limits = contract.uploads.get(file.kind)
    if limits is None:
        return
    size, most, kinds = len(file.data), limits["max_bytes"], limits["mime"]
    if file.mime not in kinds:
        raise RemoteError("validation", f"{file.kind} is {file.mime}; {contract.provider} takes {', '.join(kinds)}")
    if size > most:
        raise RemoteError("validation", f"{file.kind} has {size} bytes; {contract.provider} takes up to {most}")


def _replace(value: Any, references: Mapping[str, Any]) -> Any:
    """A reference of several fields takes the place of the field that held the placeholder, beside its neighbours."""
    if isinstance(value, str):
        return references.get(value, value)
    if isinstance(value, list):
        return [_replace(child, references) for child in value]
    if not isinstance(value, dict):
        return value
    replaced: dict[str, Any] = {}
    for name, child in value.items():
        new = _replace(child, references)
        replaced |= new if isinstance(child, str) and isinstance(new, dict) else {name: new}
    return replaced
