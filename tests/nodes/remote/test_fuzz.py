"""Mutated prompts for every node of the pack, on the server whose providers are fakes: see dev/fuzz.py."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from wan_duet.tests.fuzz.mutations import Case, cases, chosen
from wan_duet.tests.fuzz.prompts import Good, good_prompts
from wan_duet.tests.fuzz.run import Fuzzer
from wan_duet.tests.nodes.remote.conftest import Bench

A_FEW, MANY = 45, 1000  # one of each node and more; as many as it takes to meet every kind


@pytest.fixture
def output(bench: Bench) -> Iterator[Path]:
    """The server's output folder, in which nothing of the test stays."""
    folder = bench.server.base / "output"
    before = set(folder.rglob("*"))
    yield folder
    for path in sorted(set(folder.rglob("*")) - before - {bench.output}, reverse=True):
        if bench.output not in path.parents:
            path.rmdir() if path.is_dir() else path.unlink()


@pytest.fixture
def goods(bench: Bench) -> list[Good]:
    return good_prompts(bench.client.object_info())


def fuzzed(bench: Bench, output: Path, picked: list[Case]) -> None:
    report = Fuzzer(bench.client, output).run(picked)
    assert not report.findings, "\n".join(map(str, report.findings))
    assert report.same == report.films == len(picked) // 20


def test_a_few_wrong_inputs_are_refused_in_words(bench: Bench, goods: list[Good], output: Path) -> None:
    fuzzed(bench, output, chosen(cases(goods, bench.client.object_info()), 0, A_FEW))


@pytest.mark.live
@pytest.mark.parametrize("seed", [1])
def test_no_wrong_input_gets_through(bench: Bench, goods: list[Good], output: Path, seed: int) -> None:
    fuzzed(bench, output, chosen(cases(goods, bench.client.object_info()), seed, MANY))


def test_what_is_mutated_is_good(bench: Bench, goods: list[Good], output: Path) -> None:
    """Every prompt runs as it is: what is refused later is refused for its mutation."""
    fuzzer = Fuzzer(bench.client, output)
    failed = []
    for good in goods:
        outcome = fuzzer.judge(Case(good.kind, "", "as it is", False, good.prompt))
        if outcome.words:
            failed.append(f"{good.kind}: {outcome.words}\n{json.dumps(good.prompt)}")
    assert failed == []
