"""Ours and the fakes' validation, written apart from the same documents, agree on ten thousand requests."""

import random
import re

import pytest
from wan_duet.remote.contract.contracts import contract
from wan_duet.remote.contract.rules import broken_rules, warnings_of
from wan_duet.remote.contract.validate import violations
from wan_duet.remote.jobs.request import make_request
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


@pytest.mark.parametrize(("name", "default"), [("wan22_a14b_turbo", 20), ("wan22_animate", 30)])
def test_a_rule_takes_the_documented_default_for_what_is_not_set(name: str, default: int) -> None:
    document = DOCUMENTS[f"runware/{name}"]
    request = valid(document, random.Random(3)) | {"acceleratorOptions": {"cacheEndStep": default + 1}}
    request.pop("steps", None)
    (broken,) = violations(contract(f"runware/{name}"), request)
    assert str(broken).startswith(f"acceleratorOptions.cacheEndStep is {default + 1}")
    assert f"steps, which is {default} unless it is set" in str(broken)
    for allowed in ({"acceleratorOptions": {"cacheEndStep": default}}, {"steps": default + 1}):
        assert violations(contract(f"runware/{name}"), request | allowed) == []


def test_what_only_other_pages_rule_out_is_said_and_sent() -> None:
    both = {"resolution": "480p", "width": 640, "height": 480}
    told = make_request(contract("runware/wan22_a14b_turbo"), {"positivePrompt": "a cat", **both})
    assert told.request["resolution"] == "480p" and "resolution is sent, though" in " ".join(told.warnings)
    assert "height is sent, though" in " ".join(warnings_of(contract("runware/wan22_a14b_turbo"), {"width": 640}))
    broken = {one.path for one in broken_rules(contract("runware/wan22_animate"), both)}
    assert broken == {"width", "resolution"}  # there, 640x480 is in no table either
