"""Shared by the benchmarks: a process in which the host can be imported, and the interval of a median."""

from __future__ import annotations

import importlib.util
import logging
import os
import subprocess
import sys
from math import comb
from pathlib import Path
from types import ModuleType

DEV = Path(__file__).resolve().parents[1]
ROOT = DEV.parent
INSIDE = "WAN_DUET_BENCH_HOST"  # names the host's folder to the process that `enter` starts
LIVE = "WAN_DUET_LIVE"  # and the folder of what comes from `dev/live`


def enter(*live: str, gpu: bool = False) -> None:
    """Go on in a process of the development environment, set up if need be, with the host importable on the CPU.

    Or on the GPU, which takes an environment whose torch has CUDA. `live` names what else is to be set up, see
    `prepare_live`; LIVE then says where it is. That takes pip, which the development environment lacks.
    """
    if comfyui := os.environ.get(INSIDE):
        _make_importable(comfyui, gpu)
        return
    sys.path.insert(0, str(DEV))
    from environment import prepare, prepare_live
    from steps import SetupError

    try:
        env = prepare()
        variables = {**os.environ, INSIDE: str(env.comfyui)}
        if live:
            variables[LIVE] = str(prepare_live(*live))
    except SetupError as error:
        sys.exit(f"\n{error}")
    sys.exit(subprocess.run([str(env.python), *sys.argv], env=variables).returncode)


def load_pack() -> ModuleType:
    """Import the pack as the host does: from its folder, whatever that is called."""
    spec = importlib.util.spec_from_file_location(
        "wan_duet", ROOT / "__init__.py", submodule_search_locations=[str(ROOT)]
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"no pack in {ROOT}")
    sys.modules["wan_duet"] = pack = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(pack)
    return pack


def interval_of_median(values: list[float], confidence: float = 0.9) -> tuple[float, float]:
    """The values between which the median lies with this confidence, whatever their distribution (sign test)."""
    ranked, count = sorted(values), len(values)
    rank = 0
    while sum(comb(count, k) for k in range(rank + 1)) / 2**count <= (1 - confidence) / 2:
        rank += 1
    return ranked[max(rank - 1, 0)], ranked[min(count - rank, count - 1)]


def _make_importable(comfyui: str, gpu: bool) -> None:
    sys.path.insert(0, str(DEV))
    from cpu_torchvision import register_torchvision_operators

    register_torchvision_operators()
    sys.path[0] = comfyui  # not `dev`, whose `server` would hide the host's
    logging.disable(logging.WARNING)  # what the host says about packages it could use
    import comfy.cli_args

    comfy.cli_args.args.cpu = not gpu
