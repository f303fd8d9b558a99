"""A copy of the pack with one more step cache in it, made as CONTRIBUTING.md says: no file more is touched."""

import json
import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NODE = "WanDuet_Alternating"
LEFT_OUT = shutil.ignore_patterns(".*", "tests", "dev", "workflows", "deploy", "__pycache__")

TECHNIQUE = '''"""Every second evaluation is reused."""

from typing import ClassVar

from torch import Tensor

from ...host.models import BaseModel
from .base import FAST, REGULAR, Acceleration, Policy, Technique


class Alternating(Technique, Policy):
    """A technique that knows before the run what it will observe."""

    accelerations: ClassVar = {REGULAR: Acceleration(threshold=0.5), FAST: Acceleration(threshold=0.9)}

    @property
    def name(self) -> str:
        return "Alternating"

    def policy(self, model: BaseModel, role: str) -> Policy:
        return self

    def forecast(self, model: BaseModel, sigmas: Tensor) -> list[float]:
        return [float(step % 2 == 0) for step in range(len(sigmas))]

    def error(self, accumulated: None, observed: float) -> float:
        return observed

    def update(self, accumulated: None, observed: float, computed: bool) -> None:
        return None
'''

CLASS = """class AlternatingNode(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return cache_schema("Alternating", "Reuses every second evaluation.", [], Alternating, threshold=0.5)

    @classmethod
    def execute(cls, **inputs: Any) -> io.NodeOutput:
        return apply_cache(Alternating(), **inputs)


"""


def copy_pack(folder: Path) -> None:
    """Copy what ships to `folder`, but for the workflows."""
    shutil.copytree(ROOT, folder, ignore=LEFT_OUT)


def add_technique(pack: Path) -> None:
    """Take the steps of "Adding a step cache" in a copy of the pack."""
    (pack / "cache/techniques/alternating.py").write_text(TECHNIQUE, encoding="utf-8")
    nodes = pack / "nodes/cache/techniques.py"
    text = nodes.read_text(encoding="utf-8")
    before, rows = text.split("CACHE_NODES:")
    imports = "from ...cache.techniques.alternating import Alternating\nfrom ...cache.techniques.dual_block"
    before = before.replace("from ...cache.techniques.dual_block", imports)
    rows = rows.replace("]\n", ", AlternatingNode]\n")
    nodes.write_text(f"{before}{CLASS}CACHE_NODES:{rows}", encoding="utf-8")
    docs = pack / "web/docs"
    (docs / NODE).mkdir()
    for name in ("{}.md", "{}/zh.md"):
        page = (docs / name.format("WanDuet_SeaCache")).read_text(encoding="utf-8")
        (docs / name.format(NODE)).write_text(page.replace("SeaCache", "Alternating"), encoding="utf-8")
    for language in ("en", "zh"):
        path = pack / f"locales/{language}/nodeDefs.json"
        texts = json.loads(path.read_text(encoding="utf-8"))
        row = json.loads(json.dumps(texts["WanDuet_SeaCache"]).replace("SeaCache", "Alternating"))
        path.write_text(json.dumps({**texts, NODE: row}, ensure_ascii=False), encoding="utf-8")


def changed_files(pack: Path) -> set[str]:
    """Return the files of a copy, by path, that the pack has not or has otherwise."""
    files = {path.relative_to(pack).as_posix() for path in pack.rglob("*") if path.is_file()}
    files = {file for file in files if "__pycache__" not in file}
    return {
        file
        for file in files
        if not (ROOT / file).is_file() or (ROOT / file).read_bytes() != (pack / file).read_bytes()
    }
