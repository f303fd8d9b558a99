"""Who may import whom: the table below is the rule."""

import ast
import sys
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).resolve().parents[1]

OURS = {
    "nodes": {"generate", "experts", "samplers", "cache", "conditioning", "animate", "remote", "video", "host"},
    "generate": {"experts", "samplers", "cache", "conditioning", "animate", "remote", "video", "host"},
    "cache": {"experts", "samplers", "host"},
    "samplers": {"experts", "host"},
    "animate": {"conditioning", "video", "host"},
    "remote": {"video"},
    "experts": {"host"},
    "conditioning": {"host"},
    "video": {"host"},
    "host": set(),
}
ALL = {"torch", "numpy", "einops", "safetensors", "PIL", "av", "comfy", "folder_paths"}
ONLY = {
    "nodes": {
        "aiohttp",
        "comfy_api",
        "comfy_extras",
        "comfy_execution",
        "comfyui_version",
        "server",
        "execution",
    },
    "remote": {"aiohttp", "yarl"},
    "animate": {"onnxruntime"},
}
OPTIONAL = "onnxruntime"
# What not everybody has, behind one door
DOORS = {OPTIONAL: "animate/detector/onnx/session.py"}
# All of `comfy` that custom nodes are told to build on; the rest of it is undocumented, and only host/ may name it
DOCUMENTED = ("comfy.model_management", "comfy.model_patcher.ModelPatcher", "comfy.sd", "comfy.utils")
NOT_PACKAGES = {"dev", "tests"}


def imports(path: PurePosixPath, source: str) -> Iterator[str]:
    """Every module that a file of the pack names, relative ones as `.package.module` from the pack's root."""
    package = path.parent.parts
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                up = len(package) + 1 - node.level
                base = "." + ".".join([*package[:up], *filter(None, [node.module])]) if up >= 0 else "outside the pack"
            yield from (f"{base}.{alias.name}".replace("..", ".") for alias in node.names)
        elif isinstance(node, ast.Attribute) and ast.unparse(node).startswith("comfy."):
            yield ast.unparse(node)


def violation(path: PurePosixPath, name: str) -> str | None:
    """What is wrong with importing `name` in the file `path`; None if nothing is."""
    package = path.parts[0]
    top = name.removeprefix(".").split(".")[0]
    for hidden, door in DOORS.items():
        if f"{name}.".startswith(f"{hidden}.") and str(path) != door:
            return f"{path} imports {name}: only {door} may"
    if str(path).startswith("remote/providers/") and f"{name}.".startswith(".remote.jobs."):
        return f"{path} imports {name}: a provider knows nothing of what drives it"
    if package != "host" and top == "comfy" and not f"{name}.".startswith(tuple(f"{known}." for known in DOCUMENTED)):
        return f"{path} imports {name}, which the host does not document: only host/ may"
    if name.startswith("."):
        allowed = {package} | OURS.get(package, set())
    else:
        allowed = sys.stdlib_module_names | ALL | ONLY.get(package, set())
        if package == "remote" and path.name != "media.py":
            allowed -= {"torch"}
    return None if top in allowed else f"{path} imports {name}"


def violations(path: PurePosixPath, source: str) -> list[str]:
    """What a file imports against the table."""
    if path == PurePosixPath("__init__.py"):  # the entry point: it needs nothing but the nodes
        return [f"{path} imports {name}" for name in imports(path, source) if name.split(".")[:2] != ["", "nodes"]]
    return [found for name in imports(path, source) if (found := violation(path, name))]


def sources() -> list[PurePosixPath]:
    """Every Python file that ships, from the pack's root."""
    files = (PurePosixPath(path.relative_to(ROOT).as_posix()) for path in ROOT.rglob("*.py"))
    return sorted(f for f in files if f.parts[0] not in NOT_PACKAGES and not f.parts[0].startswith("."))


def test_every_package_is_in_the_table() -> None:
    packages = {path.parts[0] for path in sources() if len(path.parts) > 1}
    assert {"nodes", "experts", "samplers"} <= packages <= OURS.keys()


def test_the_root_holds_no_module_but_the_entry_point() -> None:
    assert [path.name for path in sources() if len(path.parts) == 1] == ["__init__.py"]


@pytest.mark.parametrize("path", sources(), ids=str)
def test_a_file_imports_what_its_package_may(path: PurePosixPath) -> None:
    assert violations(path, (ROOT / path).read_text(encoding="utf-8")) == []


def test_what_not_everybody_has_is_imported_when_it_is_used() -> None:
    source = (ROOT / DOORS[OPTIONAL]).read_text(encoding="utf-8")
    early = [node for node in ast.parse(source).body if isinstance(node, ast.Import | ast.ImportFrom)]
    assert early and OPTIONAL not in "".join(map(ast.unparse, early))
    assert f"import {OPTIONAL}" in source


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("experts/pair.py", "from ..samplers import plan"),
        ("experts/pair.py", "from .. import samplers"),
        ("host/patching.py", "from ..experts.pair import Experts"),
        ("remote/jobs/submit.py", "from ...host import memory"),
        ("remote/providers/fal.py", "from ..jobs.journal import Journal"),
        ("remote/providers/fal.py", "from .. import jobs"),
        ("samplers/plan.py", "from ..cache.block_skip import Gate"),
        ("samplers/plan.py", "from ..nodes.text import show"),
        ("video/read.py", "from ..experts.pair import Experts"),
        ("cache/block_skip.py", "def late():\n    from ..generate import local"),
        ("samplers/plan.py", "from ..dev.client import Client"),
        ("samplers/plan.py", "from ... import elsewhere"),
        ("samplers/plan.py", "from comfy_api.latest import io"),
        ("generate/local.py", "from server import PromptServer"),
        ("cache/block_skip.py", "import execution"),
        ("animate/pose.py", "import comfy_extras.nodes_wan"),
        ("animate/detector/onnx/points.py", "import onnxruntime"),
        ("nodes/animate/detect.py", "import onnxruntime"),
        ("samplers/guider.py", "import comfyui_version"),
        ("samplers/guider.py", "import nodes"),
        ("nodes/text.py", "import nodes"),
        ("samplers/guider.py", "from comfy.samplers import CFGGuider"),
        ("samplers/guider.py", "from comfy import samplers"),
        ("nodes/sampling/run.py", "import comfy.sampler_helpers"),
        ("cache/block_skip.py", "from comfy.hooks import HookGroup"),
        ("nodes/sampling/run.py", "import comfy.sample\ncomfy.samplers.KSampler"),
        ("cache/wrappers.py", "from comfy.patcher_extension import WrappersMP"),
        ("cache/techniques/teacache.py", "from comfy.model_base import BaseModel"),
        ("experts/checkpoint/contents.py", "import comfy.model_detection"),
        ("experts/host_facts.py", "import comfy"),
        ("experts/pair.py", "from comfy import model_base"),
        ("experts/pair.py", "from comfy.model_patcher import create_model_options_clone"),
        ("nodes/video/save.py", "import comfy.utils\nx = comfy.cli_args.args"),
        ("remote/fal.py", "import torch"),
        ("remote/fal.py", "from torch.nn import functional"),
        ("experts/files.py", "import requests"),
        ("experts/files.py", "import aiohttp"),
        ("samplers/plan.py", "import yaml"),
        ("__init__.py", "import torch"),
        ("__init__.py", "from .experts import pair"),
        ("helpers/text.py", "from ..experts import pair"),
    ],
)
def test_the_check_sees_what_breaks_the_table(path: str, source: str) -> None:
    assert violations(PurePosixPath(path), source)


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("nodes/sampling/run.py", "from comfy_api.latest import io\nimport server\nfrom ...samplers.plan import Plan"),
        ("nodes/animate/pose.py", "from ...animate.pose import draw\nfrom ..schema import schema"),
        ("experts/pair.py", "from comfy.model_patcher import ModelPatcher\nimport comfy.sd"),
        ("host/sampling.py", "from comfy.samplers import CFGGuider\nimport comfy.sampler_helpers"),
        ("samplers/plan.py", "import math\nfrom . import shift\nfrom .shift import flow\nfrom ..experts import pair"),
        ("nodes/sampling/run.py", "import comfy.utils\ncomfy.utils.ProgressBar(3)"),
        ("remote/media.py", "import torch\nimport aiohttp\nfrom ..video.encode import mp4"),
        ("__init__.py", "async def comfy_entrypoint():\n    from .nodes import Extension"),
    ],
)
def test_the_check_lets_pass_what_keeps_to_it(path: str, source: str) -> None:
    assert violations(PurePosixPath(path), source) == []


Graph = Mapping[str, set[str]]


def file_of(name: str, files: set[str]) -> str | None:
    """Return the file that a name from the pack's root, such as `.cache.run.StepCache`, is imported from."""
    parts = name.strip(".").split(".")
    paths = ("/".join(parts[:count]) for count in range(len(parts), 0, -1))
    found = (file for path in paths for file in (f"{path}.py", f"{path}/__init__.py"))
    return next((file for file in found if file in files), None)


def import_graph(texts: Mapping[str, str]) -> Graph:
    """Return for every file those of ours that it imports, anywhere in it."""
    files = set(texts)
    graph = {}
    for path, text in texts.items():
        names = (name for name in imports(PurePosixPath(path), text) if name.startswith("."))
        graph[path] = {file for name in names if (file := file_of(name, files)) and file != path}
    return graph


def floors(graph: Graph, package: str) -> int:
    """Return the number of files in the longest chain of imports that stays inside a package."""
    inside = {path: {to for to in targets if to.startswith(package)} for path, targets in graph.items()}
    heights: dict[str, int] = {}
    for path in TopologicalSorter({path: inside[path] for path in inside if path.startswith(package)}).static_order():
        heights[path] = 1 + max((heights[to] for to in inside[path]), default=0)
    return max(heights.values())


@pytest.fixture(scope="module")
def graph() -> Graph:
    return import_graph({str(path): (ROOT / path).read_text(encoding="utf-8") for path in sources()})


def test_no_file_imports_itself_over_others(graph: Graph) -> None:
    assert sum(map(len, graph.values())) > len(graph)  # or nothing was found
    TopologicalSorter(graph).prepare()


def test_the_cache_is_a_dozen_files_over_six_floors(graph: Graph) -> None:
    top = [path for path in sources() if path.parts[:-1] == ("cache",)]
    assert len(top) <= 12
    assert floors(graph, "cache/") <= 6


def test_the_cache_knows_no_technique_by_name(graph: Graph) -> None:
    known = {to for path, targets in graph.items() if PurePosixPath(path).parts[:-1] == ("cache",) for to in targets}
    assert {path for path in known if path.startswith("cache/techniques/")} == {"cache/techniques/base.py"}


def test_a_cycle_and_a_high_house_are_seen() -> None:
    texts = {
        "a/one.py": "from .two import f",
        "a/two.py": "def f():\n    from . import three",
        "a/three.py": "from ..b import four",
        "b/__init__.py": "",
        "b/four.py": "import math",
    }
    graph = import_graph(texts)
    assert graph["a/two.py"] == {"a/three.py"} and graph["a/three.py"] == {"b/four.py"}
    assert floors(graph, "a/") == 3 and floors(graph, "") == 4
    TopologicalSorter(graph).prepare()
    with pytest.raises(CycleError):
        TopologicalSorter(import_graph({**texts, "b/four.py": "from ..a.one import f"})).prepare()
