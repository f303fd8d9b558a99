"""Time that the pack adds to the host's start: python3 dev/bench/import_time.py [--quick]

Processor time of the import and of every schema, each in a fresh process which has imported the host's own modules
before. The first process compiles the pack, as the first start after an installation does; it has a figure of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import statistics
import subprocess
import sys
import tempfile
import time
from importlib import import_module

from host import enter, load_pack

HOST = (  # what the host has imported before it comes to the packs, in the order of its main.py
    "utils.extra_config",
    "server",
    "nodes",
    "comfy.sd",
    "comfy_api.latest",
    "comfy_extras.nodes_custom_sampler",
    "comfy_extras.nodes_wan",
)


def main() -> int:
    """Print every figure and, as the last line, their median; in a process of its own, take one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="3 processes in place of 9")
    parser.add_argument("--once", metavar="FOLDER", help=argparse.SUPPRESS)
    options = parser.parse_args()
    enter()
    if options.once:
        print(_seconds(options.once))
        return 0
    found = []
    print("process   import of the pack, processor time")
    with tempfile.TemporaryDirectory() as compiled:
        for process in range(4 if options.quick else 10):
            command = [sys.executable, __file__, "--once", compiled]
            run = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            found.append(float(run.stdout.splitlines()[-1]))
            print(f"{process or 'first':>7}   {found[-1]:.3f} s", flush=True)
    first, *later = found
    figures = {"import_s": round(statistics.median(later), 4), "first_s": round(first, 4), "processes": len(later)}
    print(json.dumps(figures))
    return 0


def _seconds(compiled: str) -> float:
    """Processor time of the pack's entry point, node list and schemas once the host is there."""
    for module in HOST:
        import_module(module)
    sys.pycache_prefix, sys.dont_write_bytecode = compiled, False
    gc.collect()  # due after all that the host has made, whoever makes something next
    begin = time.process_time()
    extension = asyncio.run(load_pack().comfy_entrypoint())
    found = [node.GET_SCHEMA() for node in asyncio.run(extension.get_node_list())]
    seconds = time.process_time() - begin
    if not found:
        raise RuntimeError("the pack has no nodes")
    return seconds


if __name__ == "__main__":
    sys.exit(main())
