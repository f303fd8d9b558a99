"""A script that runs independent code: in the development environment, with the packages of its .wheels file."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

INSIDE = "WAN_DUET_LIVE_PACKAGES"  # names the packages' folder to the process that `run` starts


def run(script: str, results: Callable[[Path], Any]) -> int:
    """Set up what is pinned for `script` and start it again with that, or print what `results` finds there, as JSON."""
    if packages := os.environ.get(INSIDE):
        sys.path.insert(0, packages)
        with redirect_stdout(sys.stderr):
            found = results(Path(packages))
        print(json.dumps(found, indent=1))
        return 0
    sys.path.insert(0, str(Path(script).parents[1]))
    from environment import prepare, prepare_live

    with redirect_stdout(sys.stderr):
        name = Path(script).stem
        env, packages = prepare(), prepare_live(name) / name
    variables = {**os.environ, INSIDE: str(packages)}
    return subprocess.run([str(env.python), script], env=variables).returncode


def from_file(path: Path) -> Any:
    """A module on its own, without the package around it, which may want more than is there."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"no module in {path}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
