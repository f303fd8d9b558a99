"""What the server of a test has beside the pack: settings that lead to the fakes, and two nodes that stand in the way.

Copied into a custom_nodes folder, beside a settings.json.
"""

import asyncio
import json
import sys
import time
from pathlib import Path

from comfy_api.latest import ComfyExtension, io

LONGEST = 30.0  # seconds, should the test be gone

given = json.loads(Path(__file__).with_name("settings.json").read_text(encoding="utf-8"))
job_manager = next(module for name, module in sys.modules.items() if name.endswith(".nodes.remote.job_manager"))


def settings():
    """Those of the product, but for the addresses, the folders, the keys and the patience."""
    output = Path(job_manager.folder_paths.get_output_directory(), given["output"])
    folders = {"private": Path(given["private"]), "output": output}
    return job_manager.Settings(**{**given, **folders}, allow_loopback=True)


job_manager.settings = settings


class Wait(io.ComfyNode):
    """Waits, as a node of a provider does, until a file is there; then it may fail."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        inputs = [io.String.Input("once"), io.Boolean.Input("fails")]
        return io.Schema(
            node_id="Test_Wait", category="test", inputs=inputs, outputs=[io.String.Output()], is_output_node=True
        )

    @classmethod
    async def execute(cls, once: str, fails: bool) -> io.NodeOutput:
        end = time.monotonic() + LONGEST
        while not Path(once).exists() and time.monotonic() < end:
            await asyncio.sleep(0.05)
        if fails:
            raise RuntimeError("a sibling failed")
        return io.NodeOutput(once)


class Hog(io.ComfyNode):
    """Keeps the host's loop to itself until a file is there, as a sampler does."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        inputs = [io.String.Input("after"), io.String.Input("until")]
        return io.Schema(node_id="Test_Hog", category="test", inputs=inputs, outputs=[], is_output_node=True)

    @classmethod
    def execute(cls, after: str, until: str) -> io.NodeOutput:
        end = time.monotonic() + LONGEST
        while not Path(until).exists() and time.monotonic() < end:
            time.sleep(0.05)
        return io.NodeOutput()


class Extension(ComfyExtension):
    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        return [Wait, Hog]


async def comfy_entrypoint() -> Extension:
    return Extension()
