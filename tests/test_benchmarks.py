"""Every benchmark of dev/bench runs alone, by any Python, from a fresh clone."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
BENCHMARKS = sorted(path for path in (ROOT / "dev" / "bench").rglob("*.py") if "__main__" in path.read_text("utf-8"))
ON_CPU = [path.name for path in BENCHMARKS if path.parent.name == "bench"]
OURS = ("WAN_DUET_", "COMFYUI_", "CHROMIUM")  # variables by which dev/test.py names its own set-up
LONGEST = 1800  # seconds, for a set-up and a benchmark on a busy machine


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The working tree without anything that git ignores, as it would be cloned."""
    folder = tmp_path_factory.mktemp("clone") / "wan-duet"
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    files = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()
    for source in (ROOT / file for file in files):
        if source.is_file():
            target = folder / source.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())
    return folder


@pytest.mark.live
@pytest.mark.parametrize("name", ON_CPU)
def test_a_benchmark_starts_from_a_fresh_clone(clone: Path, name: str) -> None:
    python = getattr(sys, "_base_executable", sys.executable)  # a developer's own, not the environment's
    variables = {key: value for key, value in os.environ.items() if not key.startswith(OURS)}
    command = [python, f"dev/bench/{name}", "--quick"]
    done = subprocess.run(command, cwd=clone, env=variables, capture_output=True, text=True, timeout=LONGEST)
    assert done.returncode == 0, done.stdout + done.stderr
    figures = json.loads(done.stdout.splitlines()[-1])
    assert figures and None not in figures.values()


@pytest.mark.parametrize("path", BENCHMARKS, ids=lambda path: path.name)
def test_a_benchmark_has_a_quick_form(path: Path) -> None:
    assert f"{path.name} [--quick]" in path.read_text("utf-8").splitlines()[0]
