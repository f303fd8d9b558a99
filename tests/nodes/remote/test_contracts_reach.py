"""Every documented parameter is set from a node, or by the client for a written reason."""

from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
import torch
from comfy_api.input_impl import VideoFromComponents
from comfy_api.util import VideoComponents
from wan_duet.conditioning.frame_images import FrameImage
from wan_duet.experts.lora.spec import LoraSpec
from wan_duet.nodes.remote.catalog import ROWS, RemoteNode
from wan_duet.nodes.remote.fields import BY_CLIENT, DEFAULT, DELIVERY, EXPLICIT, ON, UNSET, Field, fields_of, values_of
from wan_duet.nodes.remote.media import FILLED, SOCKETS, fill
from wan_duet.nodes.remote.widgets import widget
from wan_duet.remote.contract.contracts import Contract, Parameter, contracts

VARIANTS = {endpoint: (row, variant) for row in ROWS for variant, endpoint in row.endpoints.items()}
SENT = {  # by the paths below a socket's own, a place in what the socket's part of the request is
    "loras[].path": "owner/repo",
    "loras[].weight_name": "sub/style.safetensors",
    "loras[].scale": 0.5,
    "loras[].transformer": "high",
    "lora[].model": "civitai:1@2",
    "lora[].weight": 0.5,
    "lora[].transformer": "high",
    "inputs.frameImages[].frame": "first",
    "params.referenceMediaItems[].kind": "image",
    "params.referenceMediaItems[].mimeType": "image/png",
}
FILES = ("inputs.frameImages[].image", "params.referenceMediaItems[].url", "params.referenceMediaItems[].name")
BY_UPLOAD = {
    "inputs.frameImages[]": "short for an object with an image alone; the object is sent",
    "params.referenceMediaItems[].durationToken": "comes with the uploaded file, in remote/providers/rivya.py",
}


def every() -> Iterator[tuple[str, Parameter]]:
    for endpoint, contract in contracts().items():
        yield from ((endpoint, parameter) for parameter in contract.parameters)


@cache
def media() -> dict[str, Any]:
    """Something for every socket."""
    image = torch.zeros(1, 8, 8, 3)
    silence = {"waveform": torch.zeros(1, 1, 1600), "sample_rate": 16000}
    film = VideoFromComponents(VideoComponents(images=torch.zeros(2, 32, 32, 3), frame_rate=16))
    return {
        "image": image,
        "frames": (FrameImage(image, "first"), FrameImage(image + 1, "last")),
        "video": film,
        "audio": silence,
    }


def row_of(remote_id: str) -> tuple[LoraSpec, ...]:
    return (LoraSpec("style.safetensors", 0.5, "high", remote_id=remote_id),)


def legal(parameter: Parameter) -> tuple[Any, Any]:
    """What a person sets, and what must be sent for it."""
    if parameter.path in EXPLICIT:
        return True, "true" if "string" in parameter.types else True
    if parameter.path in DELIVERY:
        return " work ", f"profile:work#{DELIVERY[parameter.path]}"
    if parameter.enum:
        return str(parameter.enum[-1]), parameter.enum[-1]
    if "boolean" in parameter.types:
        return ON, True
    if "string" in parameter.types:
        return "x" * (parameter.min_length or 1), "x" * (parameter.min_length or 1)
    low = parameter.min if parameter.min is not None else 1
    value = int(low) if "integer" in parameter.types else float(low)
    return value, value


def unset(fields: list[Field]) -> dict[str, Any]:
    """Every widget as it is before anybody touches it."""
    return {field.name: EXPLICIT.get(field.path, DEFAULT if field.choices else UNSET) for field in fields}


def sent_by_sockets(row: RemoteNode, variant: str, contract: Contract) -> dict[str, Any]:
    remote_id = "civitai:1@2" if contract.provider == "runware" else "owner/repo/sub/style.safetensors"
    given = {**media(), "loras": row_of(remote_id)}
    taken = {
        name: given[name]
        for name in (*row.needs, *row.takes)
        if any(contract.parameter(path) for path in SOCKETS[name].fills)
    }
    if "frames" in taken and contract.parameter("image_url") and not contract.parameter("end_image_url"):
        taken["frames"] = given["image"]
    return fill(contract, taken, variant)[0]


def test_every_endpoint_is_a_variant_of_one_node() -> None:
    assert VARIANTS.keys() == contracts().keys()
    assert sum(len(row.endpoints) for row in ROWS) == len(VARIANTS)


@pytest.mark.parametrize(("endpoint", "parameter"), list(every()), ids=lambda value: getattr(value, "path", value))
def test_a_documented_parameter_is_reached_or_there_is_a_reason(endpoint: str, parameter: Parameter) -> None:
    row, variant = VARIANTS[endpoint]
    contract = contracts()[endpoint]
    if (parameter.const is not None and ":" not in str(parameter.const)) or parameter.path in BY_CLIENT:
        return
    fields = fields_of(row.contracts)
    if field := next((field for field in fields if field.path == parameter.path), None):
        given, wanted = legal(parameter)
        assert values_of(fields, variant, {**unset(fields), field.name: given})[parameter.path] == wanted
        return
    parts = sent_by_sockets(row, variant, contract)
    if parameter.path in FILLED:
        assert parts[parameter.path]
    elif parameter.path not in BY_UPLOAD:
        path, name = parameter.path.split("[].")
        value = parts[path][0][name]
        if parameter.path in FILES:
            assert value
        else:
            assert value == SENT[parameter.path]


def test_nothing_is_sent_that_nobody_set_but_the_flags() -> None:
    for endpoint, (row, variant) in VARIANTS.items():
        fields = fields_of(row.contracts)
        flags = {path for path in EXPLICIT if contracts()[endpoint].parameter(path)}
        assert values_of(fields, variant, unset(fields)).keys() == flags


def test_every_reason_is_needed() -> None:
    documented = {parameter.path for _, parameter in every()}
    assert documented >= BY_CLIENT.keys() | BY_UPLOAD.keys() | SENT.keys() | set(FILES) | FILLED


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("webhook_url", "https://example.com/hook?token=1"),
        ("upload_endpoint", "https://example.com/a.mp4?X-Amz-Signature=1"),
        ("upload_endpoint", "https://example.com/a.mp4"),
        ("webhook_url", "http://example.com/hook"),
        ("webhook_url", "https://127.1/hook"),
    ],
)
def test_an_address_that_must_not_be_in_a_graph_is_refused(name: str, address: str) -> None:
    fields = fields_of(ROWS[0].contracts)
    with pytest.raises(ValueError, match=f"{name} is") as refused:
        values_of(fields, "Turbo", {**unset(fields), name: address})
    assert "token=1" not in str(refused.value) and "Signature=1" not in str(refused.value)


def test_an_address_that_anyone_may_know_is_sent_as_it_is() -> None:
    fields = fields_of(ROWS[0].contracts)
    values = values_of(fields, "Turbo", {**unset(fields), "webhook_url": "https://example.com/hook"})
    assert values["webhookURL"] == "https://example.com/hook"


def test_a_seed_can_be_left_to_the_provider() -> None:
    for row in ROWS:
        fields = fields_of(row.contracts)
        (seed,) = [field for field in fields if field.name == "seed"] or [None]
        if seed is not None:
            assert widget(seed, shown=True).min == UNSET
            assert seed.path not in values_of(fields, next(iter(row.endpoints)), unset(fields))
