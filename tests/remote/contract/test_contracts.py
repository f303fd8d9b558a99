"""The pack's contracts hold what the documents say: each is compared with a table that was written apart from it."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest
from wan_duet.remote.contract.contracts import Contract, contract, contracts
from wan_duet.remote.contract.rules import CHECKS
from wan_duet.tests.fake_providers.documents import Document, documents

NOT_COMPARED = {"path", "types"}


def test_both_know_the_same_endpoints() -> None:
    assert contracts().keys() == documents().keys()


def differences(ours: Contract, page: Document) -> Iterator[str]:
    """Each field of each parameter that is not what the document says: ours, then the document's."""
    told = {entry["path"]: entry for entry in page.parameters}
    for path in told.keys() ^ {parameter.path for parameter in ours.parameters}:
        yield f"{path} is only {'documented' if path in told else 'ours'}"
    for parameter in ours.parameters:
        entry = told.get(parameter.path, {})
        kinds = entry.get("type", "").replace("array<object>", "array").replace("array<string>", "array").split("|")
        if list(parameter.types) != kinds:
            yield f"{parameter.path} type: {parameter.types}, not {kinds}"
        for name in {field.name for field in dataclasses.fields(parameter)} - NOT_COMPARED:
            mine, theirs = getattr(parameter, name), entry.get(name)
            if (list(mine) if isinstance(mine, tuple) else mine) != theirs:
                yield f"{parameter.path} {name}: {mine}, not {theirs}"


def numbers(value: Any) -> Iterator[float]:
    """The prices in a table of prices."""
    if isinstance(value, dict):
        for name in value.keys() & {"price", "table", "examples"}:
            yield from numbers(list(value[name].values()) if name == "table" else value[name])
    elif isinstance(value, list | tuple):
        for child in value:
            yield from numbers(child)
    elif value is not None:
        yield value


@pytest.mark.parametrize("name", documents())
def test_a_contract_says_what_the_document_says(name: str) -> None:
    ours, page = contract(name), documents()[name]
    assert list(differences(ours, page)) == []
    assert sorted(set(numbers(ours.prices))) == page.prices
    assert (ours.output, ours.modes, ours.uploads) == (page.output, page.modes, page.uploads)
    printed = [rule for rule in ours.rules if rule["kind"] in CHECKS and rule.get("printed", True)]
    rules = [{key: part for key, part in rule.items() if key not in ("id", "printed")} for rule in printed]
    assert sorted(map(str, rules)) == sorted(map(str, page.rules))
