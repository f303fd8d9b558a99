"""From the parameters of a contract to the widgets of a node, and from what is set there to a request."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from ...remote.contract.contracts import Contract, Parameter
from ...remote.keys import PUT, WEBHOOK
from .files import addresses
from .media import FILLED

DEFAULT, ON, OFF = "provider default", "on", "off"
UNSET = -1  # of a number: no documented range goes below 0
NOTHING = (DEFAULT, UNSET, "")
LARGEST_SEED = 2**53 - 1  # that a browser, and a service written in its language, hold exactly

# Names that are not simply the end of the path in snake case
NAMES = {
    "positivePrompt": "prompt",
    "safety.mode": "safety_mode",
    "CFGScale": "cfg_scale",
    "providerSettings.alibaba.audio": "generate_audio",
    "webhookURL": "webhook_url",
    "uploadEndpoint": "upload_endpoint",
}

# Flags that are never left to the provider, and how they are set at first: as documented, else on the safe side
EXPLICIT = {
    "safety.checkContent": False,
    "enable_safety_checker": True,
    "enable_output_safety_checker": True,
    "params.enable_safety_checker": True,
}

# Widgets that came after the first release of a node, which go to its end
LATER = ("webhookURL", "uploadEndpoint", "ttl")

# Addresses, by the entry of a profile that may have them
DELIVERY = {"webhookURL": WEBHOOK, "uploadEndpoint": PUT}

# Parameters without a widget, and why. What the client says is said in remote/providers.
BY_CLIENT = {
    "taskType": "one kind of task makes videos",
    "taskUUID": "our own id of the job, by which it is found again",
    "client_request_id": "our own id of the job, by which it is found again",
    "outputType": "the result is fetched from an address",
    "deliveryMethod": "the result is asked for until it is there",
    "includeCost": "always on: the only exact word on the cost",
    **dict.fromkeys(
        (
            "safety",
            "acceleratorOptions",
            "inputs",
            "advancedFeatures",
            "advancedFeatures.wanAnimate",
            "params",
            "providerSettings",
            "providerSettings.alibaba",
        ),
        "holds the parameters under it",
    ),
}


@dataclass(frozen=True)
class Field:
    """One widget: the path it sets, the parameter there in each variant of the node that has it, and the others."""

    path: str
    variants: Mapping[str, Parameter]
    others: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The name of the input."""
        return NAMES.get(self.path, re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", self.path.split(".")[-1]).lower())

    @property
    def one(self) -> Parameter:
        """The parameter in the first variant, where it does not matter in which."""
        return next(iter(self.variants.values()))

    @property
    def choices(self) -> list[str]:
        """The documented values of all variants, as text."""
        return list(dict.fromkeys(str(value) for one in self.variants.values() for value in one.enum or ()))

    @property
    def required(self) -> bool:
        """True if any variant rejects a request without it."""
        return any(parameter.required for parameter in self.variants.values())

    def bound(self, which: str) -> float | None:
        """The widest documented `min` or `max`; None if a variant documents none."""
        bounds = [getattr(parameter, which) for parameter in self.variants.values()]
        return None if None in bounds else (min if which == "min" else max)(bounds)


def fields_of(variants: Mapping[str, Contract]) -> list[Field]:
    """The widgets of a node that stands for these contracts, by variant, in the order of the documents."""
    found: dict[str, dict[str, Parameter]] = {}
    for variant, contract in variants.items():
        for parameter in contract.parameters:
            if _is_field(parameter):
                found.setdefault(parameter.path, {})[variant] = parameter
    return [
        Field(path, MappingProxyType(having), tuple(variant for variant in variants if variant not in having))
        for path, having in found.items()
    ]


def _is_field(parameter: Parameter) -> bool:
    path = parameter.path
    fixed = parameter.const is not None and ":" not in str(parameter.const)  # an AIR is ambiguous, and can be set
    return not fixed and path not in BY_CLIENT and not any(_is_under(path, socket) for socket in FILLED)


def _is_under(path: str, parent: str) -> bool:
    return path == parent or path.startswith(f"{parent}[]")


def values_of(fields: Sequence[Field], variant: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a variant's parameters, by path, as far as they are set."""
    _check_seed(given.get("seed", 0))
    taken = {field.path: (field.variants[variant], given[field.name]) for field in fields if variant in field.variants}
    values = {path: _value(parameter, value) for path, (parameter, value) in taken.items() if value not in NOTHING}
    for path in DELIVERY.keys() & values.keys():
        values[path] = _delivery(path, values[path].strip())
    return _one_image_size(values)


def not_taken(fields: Sequence[Field], variant: str, given: Mapping[str, Any]) -> Iterator[str]:
    """The names of the widgets that are set although the variant has no such parameter."""
    for field in fields:
        if variant not in field.variants and field.path not in EXPLICIT and given[field.name] not in NOTHING:
            yield field.name


def _value(parameter: Parameter, given: Any) -> Any:
    if parameter.path in EXPLICIT and "string" in parameter.types:
        return "true" if given else "false"
    if parameter.enum is not None:
        return next((value for value in parameter.enum if str(value) == given), given)
    if "boolean" in parameter.types and isinstance(given, str):
        return given == ON
    return given


def _check_seed(seed: int) -> None:
    """A linked seed has not been held to the widget's range."""
    if not UNSET <= seed <= LARGEST_SEED:
        raise ValueError(f"seed is {seed}. Use 0 to {LARGEST_SEED}.")


def _delivery(path: str, text: str) -> str:
    """An address that may stand in a graph, or what stands in a request for one of keys.json."""
    name, entry = NAMES.get(path, path), DELIVERY[path]
    if "://" not in text:
        return f"profile:{text}#{entry}"
    if entry == PUT or "?" in text:
        advice = f"Write it into keys.json as {entry} of a profile, and give the name of the profile here."
        raise ValueError(f"{name} is an address with a secret in it, which must not be in a graph. {advice}")
    return addresses(text, name)[0]


def _one_image_size(values: dict[str, Any]) -> dict[str, Any]:
    """An image size is a name, or a width and a height in its place."""
    name = values.get("image_size")
    own = [values[path] for path in ("image_size.width", "image_size.height") if path in values]
    if name is not None and own:
        raise ValueError(f"image_size is {name}, and width or height is set too. Use one of the two.")
    return values
