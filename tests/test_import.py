"""The pack as the host imports it: under any folder name, beside the host's own `nodes`, with nothing done early."""

import ast
import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import comfy.cli_args
import pytest
import wan_duet
import wan_duet.nodes
from wan_duet.dev.bench.host import INSIDE

ROOT = Path(__file__).resolve().parents[1]
HOST = Path(comfy.cli_args.__file__).parents[1]
NOT_SHIPPED = (".*", "__pycache__", "dev", "tests")
SHIPPED = sorted(
    path.relative_to(ROOT).as_posix() for package in ROOT.glob("*/__init__.py") for path in package.parent.rglob("*.py")
)
IDS = json.loads((ROOT / "tests" / "data" / "object_info.json").read_text(encoding="utf-8"))["nodes"].keys()


def test_the_hosts_nodes_are_not_the_packs() -> None:
    import nodes

    assert nodes is not wan_duet.nodes
    assert nodes.NODE_CLASS_MAPPINGS["KSampler"] is nodes.KSampler
    assert Path(nodes.__file__).parent == HOST


@pytest.mark.parametrize("name", ["wan-duet", "wan_duet", "Wan Duet", "wan.duet-0.1", "2.2", "nodes"])
def test_the_hosts_loader_registers_our_nodes_whatever_the_folder_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    import nodes

    folder = tmp_path / name
    shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(*NOT_SHIPPED))
    for registry in ("NODE_CLASS_MAPPINGS", "NODE_DISPLAY_NAME_MAPPINGS", "EXTENSION_WEB_DIRS", "LOADED_MODULE_DIRS"):
        monkeypatch.setattr(nodes, registry, {})
    assert asyncio.run(nodes.load_custom_node(str(folder), module_parent="custom_nodes"))
    assert nodes.NODE_CLASS_MAPPINGS.keys() == IDS
    homes = {node.RELATIVE_PYTHON_MODULE for node in nodes.NODE_CLASS_MAPPINGS.values()}
    assert homes == {f"custom_nodes.{name}"}
    assert {name: str(folder / "web")} == nodes.EXTENSION_WEB_DIRS
    for module in [module for module in sys.modules if module.startswith(str(folder).replace(".", "_x_"))]:
        del sys.modules[module]


def test_importing_the_entry_point_imports_nothing_else() -> None:
    code = f"""
import importlib.util, sys
before = set(sys.modules)
spec = importlib.util.spec_from_file_location("pack", {str(ROOT / "__init__.py")!r})
spec.loader.exec_module(module := importlib.util.module_from_spec(spec))
print(sorted(set(sys.modules) - before))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_start_imports_and_reads_nothing_that_only_a_run_needs() -> None:
    command = [sys.executable, ROOT / "tests" / "at_start.py"]
    done = subprocess.run(command, env={**os.environ, INSIDE: str(HOST)}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["imported"] == ["wave"]
    assert found["import"] == []
    assert {Path(file).parent.as_posix() for file in found["schemas"]} == {"remote/contract/documents", "samplers"}


def test_the_entry_point_offers_the_v3_interface_only() -> None:
    assert {name for name in vars(wan_duet) if not name.startswith("_")} >= {"WEB_DIRECTORY", "comfy_entrypoint"}
    assert not hasattr(wan_duet, "NODE_CLASS_MAPPINGS")  # the host would not look at comfy_entrypoint
    assert (ROOT / wan_duet.WEB_DIRECTORY).is_dir()


def unnamed_encodings(source: str) -> list[str]:
    """The calls that read or write text in whatever encoding the machine prefers."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    return [ast.unparse(call) for call in calls if _handles_text(call) and not _names_encoding(call)]


def _handles_text(call: ast.Call) -> bool:
    """Whether it is `open(…)`, `path.open("w")`, `path.read_text()` or `path.write_text(…)`; `expert.open()` is not."""
    modes = [word.value for word in [*call.args, *(k.value for k in call.keywords)] if isinstance(word, ast.Constant)]
    mode = next((str(mode) for mode in modes if re.fullmatch("[rwaxbt+]{1,3}", str(mode))), None)
    if ast.unparse(call.func) == "av.open":  # a container of video, not text
        return False
    if isinstance(call.func, ast.Name):
        return call.func.id == "open" and "b" not in (mode or "")
    name = getattr(call.func, "attr", "")
    return name in ("read_text", "write_text") or (name == "open" and mode is not None and "b" not in mode)


def _names_encoding(call: ast.Call) -> bool:
    return any(keyword.arg == "encoding" for keyword in call.keywords)


@pytest.mark.parametrize("file", SHIPPED)
def test_text_files_are_read_in_a_named_encoding(file: str) -> None:
    assert unnamed_encodings((ROOT / file).read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("path.read_text()", 1),
        ("open(name)", 1),
        ("open(name, 'r')", 1),
        ("path.open(mode='w')", 1),
        ("path.write_text(text, newline='')", 1),
        ("path.read_text(encoding='utf-8')", 0),
        ("open(name, 'rb')", 0),
        ("open(name, 'w', encoding='utf-8')", 0),
        ("expert.open()", 0),
    ],
)
def test_a_missing_encoding_is_seen(source: str, expected: int) -> None:
    assert len(unnamed_encodings(source)) == expected
