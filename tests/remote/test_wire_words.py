"""A provider's own words stand in its file and its contracts, and its name besides in tables, help and texts."""

import ast
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from wan_duet.remote.providers import PROVIDERS

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = ROOT / "remote" / "contract" / "documents"
CAMEL = re.compile(r"\b[A-Za-z]*[a-z][A-Z]+[A-Za-z]*\b")

# What may hold them besides, and why
MAY_SPEAK = {
    "nodes/remote/fields.py": "widgets are named after the paths of contracts",
    "nodes/remote/media.py": "sockets fill the paths of contracts",
    "nodes/remote/catalog.py": "the table of nodes",
    "nodes/remote/tooltips.py": "the help of widgets",
    "nodes/experts/lora.py": "the help of remote_id",
    "nodes/frames/size.py": "the help of sizes that a provider documents",
    "conditioning/sizes.py": "the same sizes, called after who documents them",
    "nodes/sampling/plan.py": "the help of schedulers that a provider documents",
}


@cache
def wire_words() -> set[str]:
    """The camel-case field names of all contracts: ours are written with underscores."""
    pages = [json.loads(path.read_text(encoding="utf-8")) for path in DOCUMENTS.glob("*.json")]
    paths = [entry["path"] for page in pages for entry in page.get("parameters", [])]
    return {word for path in paths for word in CAMEL.findall(path)}


def literals(source: str) -> Iterator[str]:
    """The texts of a file that are no docstrings."""
    tree = ast.parse(source)
    said = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in said:
            yield node.value


def spoken(source: str) -> set[str]:
    """The providers' words and names in a file."""
    texts = list(literals(source))
    words = {word for text in texts for word in re.findall(r"\w+", text)}
    return words & (wire_words() | PROVIDERS.keys())


def shared() -> list[str]:
    """The files of the pack that serve all providers."""
    files = [path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*.py")]
    elsewhere = ("remote/providers/", "tests/", "dev/", ".")
    return sorted(file for file in files if not file.startswith(elsewhere) and file not in MAY_SPEAK)


@pytest.mark.parametrize("file", shared())
def test_a_file_for_all_providers_knows_no_word_of_one(file: str) -> None:
    assert spoken((ROOT / file).read_text(encoding="utf-8")) == set()


@pytest.mark.parametrize("file", MAY_SPEAK)
def test_a_file_that_may_speak_does(file: str) -> None:
    assert spoken((ROOT / file).read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "source", ['x = request["numberResults"]', 'if name == "fal":\n    pass', 'f"{a} is taskUUID"']
)
def test_the_check_sees_a_word(source: str) -> None:
    assert spoken(source)


def test_the_check_passes_over_prose() -> None:
    assert spoken('"""fal has numberResults."""\nseed = "seed"') == set()
