"""What the pack adds to the host's start: python3 dev/bench/import_time.py [--quick]

Each figure comes from a fresh process which has imported the host's own modules before.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import statistics
import subprocess
import sys
import time
from importlib import import_module

from host import enter, load_pack

HOST = ("utils.extra_config", "server", "nodes", "comfy.sd", "comfy_api.latest")  # in the order of its main.py


def main() -> int:
    """Print every figure and, as the last line, their median; in a process of its own, take one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="3 processes in place of 9")
    parser.add_argument("--once", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    enter()
    if options.once:
        print(_seconds())
        return 0
    found = []
    print("process   import of the pack")
    for process in range(1, 4 if options.quick else 10):
        run = subprocess.run([sys.executable, __file__, "--once"], stdout=subprocess.PIPE, text=True, check=True)
        found.append(float(run.stdout.splitlines()[-1]))
        print(f"{process:7d}   {found[-1]:.3f} s", flush=True)
    print(json.dumps({"import_s": round(statistics.median(found), 4), "processes": len(found)}))
    return 0


def _seconds() -> float:
    """The time that the pack's entry point and node list take once the host is there."""
    for module in HOST:
        import_module(module)
    gc.collect()  # due after all that the host has made, whoever makes something next
    begin = time.perf_counter()
    extension = asyncio.run(load_pack().comfy_entrypoint())
    found = asyncio.run(extension.get_node_list())
    seconds = time.perf_counter() - begin
    if not found:
        raise RuntimeError("the pack has no nodes")
    return seconds


if __name__ == "__main__":
    sys.exit(main())
