"""Check everything on a real ComfyUI: python3 dev/test.py [--all] [--dynamic-vram] [pytest arguments]

With pytest arguments only pytest runs. --all includes the tests marked `live`. --dynamic-vram switches the host to
DynamicVRAM, as NVIDIA does, if it is new enough to have it: see dev/dynamic_vram.py.
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
from collections.abc import Sequence

from environment import ROOT, Environment, prepare, prepare_live
from steps import SetupError


def main() -> int:
    """Run the checks, all of them even if one fails, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--all", action="store_true", help="run the tests marked `live` too")
    parser.add_argument("--dynamic-vram", action="store_true", help="switch the host to DynamicVRAM")
    options, pytest_arguments = parser.parse_known_args()
    env = prepare(browser=True)

    checks = [] if pytest_arguments else _static_checks(env)
    checks.append(["pytest", *pytest_arguments])
    variables = _variables(env, live=options.all)
    if options.dynamic_vram:
        variables.setdefault("WAN_DUET_DYNAMIC_VRAM", "resident")
    failed = [shlex.join(check) for check in checks if not _passes(env, check, variables)]
    print(f"\nFAILED: {', '.join(failed)}" if failed else "\nall passed", flush=True)
    return 1 if failed else 0


def _static_checks(env: Environment) -> list[list[str]]:
    checks = [["ruff", "check", "."], ["ruff", "format", "--check", "."]]
    pyproject = ROOT / "pyproject.toml"
    settings = pyproject.read_text(encoding="utf-8") if pyproject.exists() else ""
    if "[tool.pyright]" in settings or "[tool.basedpyright]" in settings:
        checks.append(["basedpyright", "--level", "error", "--pythonpath", str(env.python)])
    return checks


def _variables(env: Environment, *, live: bool) -> dict[str, str]:
    """Return what tests/conftest.py reads from the process environment."""
    variables = {
        "COMFYUI_PATH": str(env.comfyui),
        "WAN_DUET_BASE": str(env.base),
        "WAN_DUET_MINIATURE": str(env.miniature_base),
        # Threads that wait without spinning: on a busy machine a film is made several times as fast.
        "OMP_WAIT_POLICY": "PASSIVE",
    }
    if env.chromium:
        variables["CHROMIUM"] = str(env.chromium)
    if live:
        variables["WAN_DUET_LIVE"] = str(prepare_live())
    return variables


def _passes(env: Environment, check: Sequence[str], variables: dict[str, str]) -> bool:
    print(f"\n$ {shlex.join(check)}", flush=True)
    command = [str(env.python), "-m", *check]
    return subprocess.run(command, cwd=ROOT, env={**os.environ, **variables}).returncode == 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except SetupError as error:
        sys.exit(f"\n{error}")
    except KeyboardInterrupt:
        sys.exit(130)
