"""The tests that know a file of the product: those that import it, and for a node those that put it into a graph."""

from __future__ import annotations

import ast
import re
from pathlib import Path

EVERY_INPUT = ("tests/nodes/test_every_input.py", "tests/nodes/remote/test_every_field.py")
FOR_ALL_NODES = (*EVERY_INPUT, "tests/nodes/test_door.py", "tests/nodes/test_schemas.py")
SLOW = ("tests/browser", "tests/miniature", "tests/test_benchmarks.py", "tests/nodes/remote/test_in_browser.py")


def tests_of(root: Path, file: str) -> list[list[str]]:
    """Test files by path: those that know the file, those that need no server first; then the package's others."""
    module = "wan_duet." + file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    texts = {path: path.read_text(encoding="utf-8") for path in (root / "tests").rglob("*.py")}
    helpers = {_module(root, path) for path, text in texts.items() if not _is_test(path) and module in _imports(text)}
    ids = re.findall(r'"(WanDuet_\w+)"', (root / file).read_text(encoding="utf-8"))
    found = {
        path.relative_to(root).as_posix(): text
        for path, text in texts.items()
        if _is_test(path)
        and (module in (known := _imports(text)) or known & helpers or any(f'"{one}"' in text for one in ids))
    }
    doors = [path.read_text(encoding="utf-8") for path in (root / "nodes").rglob("*.py")]
    if file.startswith("nodes/"):
        found |= dict.fromkeys(FOR_ALL_NODES, "")
    elif any(module.removeprefix("wan_duet.") in _imports(text) for text in doors):
        found |= dict.fromkeys(EVERY_INPUT[file.startswith("remote/") :][:1], "")
    knowing = [test for test in found if not test.startswith(SLOW)]
    knowing.sort(key=lambda test: ("Graph" in found[test] or "Bench" in found[test], test))
    package = f"tests/{file.split('/')[0]}/"
    others = sorted(path.relative_to(root).as_posix() for path in texts if _is_test(path))
    others = [test for test in others if test.startswith(package) and test not in knowing and not test.startswith(SLOW)]
    return [tests for tests in (knowing, others) if tests]


def _is_test(path: Path) -> bool:
    return path.name.startswith("test_")


def _module(root: Path, path: Path) -> str:
    return "wan_duet." + path.relative_to(root).with_suffix("").as_posix().replace("/", ".")


def _imports(text: str) -> set[str]:
    """The modules that a file imports, and the names that it imports from them, which may be modules."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{name.name}" for name in node.names)}
        elif isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
    return found
