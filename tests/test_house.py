"""The house as it is to be read: small folders, docstrings that begin with what a thing does, settings explained."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from wan_duet.tests.test_layers import sources

ROOT = Path(__file__).resolve().parents[1]
MOST_FILES = 16  # in a folder
QUESTION = re.compile(r"(What|Whether|How|Where|When|Which|Who)\b")
SETTINGS = re.compile(r"(Settings|Search|Window|Preset)$")
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def definitions(tree: ast.AST) -> Iterator[Definition]:
    """Every public function and class, methods included."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, Definition) and not node.name.startswith("_"):
            yield node
            yield from definitions(node)


def questions(source: str) -> list[str]:
    """Names of the public things whose docstring opens with a question word."""
    tree = ast.parse(source)
    documented = [("the module", tree), *((node.name, node) for node in definitions(tree))]
    return [name for name, node in documented if QUESTION.match(ast.get_docstring(node) or "")]


def unexplained(source: str) -> list[str]:
    """Fields of settings that no text stands under."""
    found = []
    for settings in definitions(ast.parse(source)):
        if isinstance(settings, ast.ClassDef) and SETTINGS.search(settings.name):
            for field, below in zip(settings.body, [*settings.body[1:], None], strict=True):
                explained = isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant)
                if isinstance(field, ast.AnnAssign) and not explained:
                    found.append(f"{settings.name}.{ast.unparse(field.target)}")
    return found


@pytest.mark.parametrize("path", sources(), ids=str)
def test_a_file_reads_well(path: Path) -> None:
    source = (ROOT / path).read_text(encoding="utf-8")
    assert questions(source) == []
    assert unexplained(source) == []


def test_a_folder_is_seen_at_a_glance() -> None:
    counts = Counter(path.parent.as_posix() for path in sources())
    assert counts["cache"] <= 12
    assert counts["remote"] <= 8 + 1  # beside its packages, and __init__
    assert {folder: count for folder, count in counts.items() if count > MOST_FILES} == {}


def test_a_name_of_a_type_means_one_thing() -> None:
    names: Counter[str] = Counter()
    for path in sources():
        tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
        names.update({node.name for node in tree.body if isinstance(node, ast.ClassDef) and node.name[0] != "_"})
    assert [name for name, count in names.items() if count > 1] == []


def test_what_reads_badly_is_seen() -> None:
    assert questions('"""A."""\ndef f():\n    """Whether it is."""') == ["f"]
    assert questions('class A:\n    def f(self):\n        """How it is."""') == ["f"]
    assert questions('def _f():\n    """What it is."""') == []
    assert unexplained('class ASettings:\n    a: int\n    """A."""\n    b: int') == ["ASettings.b"]
