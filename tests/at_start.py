"""Write out what the pack imports and opens at the host's start, with a host found as dev/bench/host.py does."""

import asyncio
import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[0] = str(ROOT / "dev" / "bench")

from import_time import HOST  # noqa: E402

from host import enter, load_pack  # noqa: E402

EVENTS = ("open", "socket.connect", "sqlite3.connect", "subprocess.Popen")
CODE = (".py", ".pyc")


async def start(opened: list[str]) -> dict[str, list[str]]:
    """Third modules and opened files: of the import, and then of the schemas, for which the host asks at once."""
    before = set(sys.modules)
    nodes = await (await load_pack().comfy_entrypoint()).get_node_list()
    imported, by_import = set(sys.modules) - before, list(opened)
    for node in nodes:
        node.GET_SCHEMA()
    foreign = [name for name in imported if name.split(".")[0] != "wan_duet"]
    return {"imported": sorted(foreign), "import": by_import, "schemas": sorted(set(opened[len(by_import) :]))}


def main() -> None:
    """Listen to what Python opens, and start."""
    enter()
    for module in (*HOST, "comfy_api.input_impl"):
        import_module(module)
    opened: list[str] = []

    def listen(event: str, arguments: tuple[Any, ...]) -> None:
        if event in EVENTS and not str(arguments[0]).endswith(CODE):
            path = Path(str(arguments[0]))
            opened.append(path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else str(path))

    sys.addaudithook(listen)
    found = asyncio.run(start(opened))
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
