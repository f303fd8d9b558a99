"""Ours and the fakes' validation, written apart from the same documents, agree on ten thousand requests."""

import random
import re

import pytest
from wan_duet.remote.contract import contract
from wan_duet.remote.validate import violations
from wan_duet.tests.fake_providers.documents import documents
from wan_duet.tests.fake_providers.validation import problems
from wan_duet.tests.remote.requests import mutations, valid

DOCUMENTS = documents()
VALID_OF_EACH = 60
CASES = 10_000


@pytest.mark.parametrize("name", DOCUMENTS)
def test_random_valid_requests_are_accepted_by_both(name: str) -> None:
    rng = random.Random(name)
    for _ in range(VALID_OF_EACH):
        request = valid(DOCUMENTS[name], rng)
        assert violations(contract(name), request) == []
        assert problems(DOCUMENTS[name], request) == []


def test_single_changes_are_refused_by_both_with_the_same_path() -> None:
    rng = random.Random(8)
    cases, changed = 0, set[str]()
    in_lists = {f"{name} {entry['path']}" for name, page in DOCUMENTS.items() for entry in page.parameters}
    in_lists = {path for path in in_lists if "[]" in path}
    while cases < CASES or (cases < 3 * CASES and not in_lists <= changed):
        for name, document in DOCUMENTS.items():
            for path, request in mutations(document, valid(document, rng), rng):
                ours = {violation.path for violation in violations(contract(name), request)}
                theirs = {place for place, _ in problems(document, request)}
                assert path in ours and ours == theirs, (name, path, request)
                cases += 1
                changed.add(f"{name} {re.sub('[0-9]+]', ']', path)}")
    assert in_lists <= changed
