"""Run a host's main.py in this process, made fit for a machine without a GPU: launch.py MAIN [args...].

For dev/server.py only: standard input is a pipe from the process that started this one, and the server ends
when that pipe closes, so that a killed test run leaves no server behind.
"""

from __future__ import annotations

import logging
import os
import runpy
import sys
import threading

import dynamic_vram
from cpu_torchvision import register_torchvision_operators
from tiny_umt5 import shrink_text_encoder


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(1)


if __name__ == "__main__":
    sys.argv = sys.argv[1:]
    # In place of this folder, whose `server` would hide the host's.
    sys.path[0] = os.path.dirname(sys.argv[0])
    threading.Thread(target=_end_with_parent, daemon=True).start()
    register_torchvision_operators()

    import comfy.options

    comfy.options.enable_args_parsing()  # as main.py does; the next line imports what reads the arguments
    shrink_text_encoder()
    if mode := dynamic_vram.wanted():
        dynamic_vram.switch_on(mode)
    logging.getLogger().handlers.clear()  # that import has logged, before main.py set its own handler up
    runpy.run_path(sys.argv[0], run_name="__main__")
