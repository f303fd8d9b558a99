"""A generation request: checked values, the user's files, and consent to pay and upload."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..contract.build import build
from ..contract.contracts import Contract
from ..contract.pricing import Estimate, estimate
from ..media import Media
from ..providers import PROVIDERS

TASK_ID = "00000000-0000-4000-8000-000000000000"  # stands for ours, which the journal gives


@dataclass(frozen=True)
class GenerationRequest:
    """One generation. `request` holds placeholders where `media`, by placeholder, will be uploaded.

    `max_cost` is in the currency of the contract; None is no limit. `seconds`: how long a driving video lasts. `log`:
    whether the provider is asked for the lines that its model writes.
    """

    contract: Contract
    request: dict[str, Any]
    media: Mapping[str, Media] = field(default_factory=dict)
    dropped: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    profile: str = "default"
    prompt_id: str = ""
    node_id: str = ""
    allow_paid: bool = False
    allow_upload: bool = False
    max_cost: float | None = None
    force_new: int = 0
    seconds: float | None = None
    log: bool = False

    @property
    def fingerprint(self) -> str:
        """Equal for equal requests, whoever makes them and whenever, and whatever has encoded their files.

        `force_new` makes another one.
        """
        return self._fingerprint({file.sha256: file.identity for file in self.media.values()})

    @property
    def fingerprint_before(self) -> str:
        """The fingerprint from before files had an identity: of the bytes that are sent."""
        return self._fingerprint({})

    @property
    def fingerprint_ambiguous(self) -> str:
        """The fingerprint until turned films and late sounds counted, which other films may share."""
        return self._fingerprint({file.sha256: file.identity_before or file.identity for file in self.media.values()})

    def _fingerprint(self, identities: Mapping[str, str]) -> str:
        """The hash of the request, with identities in place of the hashes of files' bytes."""
        text = json.dumps(
            [self.contract.provider, self.contract.endpoint, self.request, self.force_new], sort_keys=True
        )
        for sha256, identity in identities.items():
            if identity:
                text = text.replace(sha256, identity).replace(sha256[:16], identity[:16])  # its name
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def estimate(self) -> Estimate:
        """The expected price, as far as the documents tell."""
        return estimate(self.contract, self.request, self.seconds)


def make_request(
    contract: Contract, values: Mapping[str, Any], media: Iterable[Media] = (), **consent: Any
) -> GenerationRequest:
    """Check the values, dotted paths as `build` takes them; InvalidRequest if the provider would refuse them.

    `consent` are the other fields of GenerationRequest.
    """
    id_field = PROVIDERS[contract.provider].id_field
    built = build(contract, {**values, **({id_field: TASK_ID} if id_field else {})})
    built.request.pop(id_field, None)
    files = {file.placeholder: file for file in media}
    return GenerationRequest(contract, built.request, files, built.dropped, built.warnings, **consent)
