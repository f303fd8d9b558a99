"""Films of the shipped workflows on one ComfyUI, and how far they are from another's: compare_hosts.py FOLDER [OTHER]

Every image of every local workflow is kept in FOLDER as PNG, made small and with the random models. With the FOLDER
that another host's run has filled, the greatest difference of each workflow is printed, in steps of 1/255.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

from client import Client, Prompt, outputs
from environment import BASE, HOME, ROOT
from server import serve

sys.path.append(str(Path(__file__).with_name("bench")))
from host import INSIDE, enter

WORKFLOWS = ROOT / "workflows" / "api"
SIZE = {"width": 96, "height": 64, "length": 25}
SMALL = {
    "EmptyHunyuanLatentVideo": SIZE,
    "WanDuet_FrameConditioning": SIZE,
    "WanDuet_VideoToLatent": SIZE,
    "WanDuet_StagePlan": {"steps": 4},
}


def main() -> None:
    """Make the films, and compare them if there is something to compare with."""
    enter()
    folder, *others = map(Path, sys.argv[1:])
    log = HOME / "compare_hosts.log"
    with serve(Path(os.environ[INSIDE]), BASE, log=log) as server:
        client = Client(server.url)
        kinds = {name: info["output"] for name, info in client.object_info().items()}
        for path in sorted(WORKFLOWS.glob("*.json")):
            prompt: Prompt = json.loads(path.read_text(encoding="utf-8"))
            if not path.stem.startswith("remote_"):
                _keep(client.run(_small(prompt, kinds, path.stem)), folder / path.stem)
                print(path.stem, *(_difference(folder / path.stem, other / path.stem) for other in others), flush=True)


def _small(prompt: Prompt, kinds: dict[str, list[str]], title: str) -> Prompt:
    """The workflow in small, which saves every image that its nodes make."""
    saving: Prompt = {}
    for name, node in prompt.items():
        given = node["inputs"]
        for key, value in SMALL.get(node["class_type"], {}).items():
            if given.get(key, 1) != 1:  # a still stays one
                given[key] = value
        for place, kind in enumerate(kinds[node["class_type"]]):
            if kind == "IMAGE":
                inputs = {"images": [name, place], "filename_prefix": f"compare/{title}/{name}_{place}"}
                saving[f"save {name} {place}"] = {"class_type": "SaveImage", "inputs": inputs}
    return {**prompt, **saving}


def _keep(entry: dict, folder: Path) -> None:
    """Move the images of a run to `folder`, so that their numbers start over."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for file in outputs(entry):
        if file.parent.parent.name == "compare":
            shutil.move(BASE / file, folder / file.name)


def _difference(folder: Path, other: Path) -> str:
    """The greatest difference between images of one name, in words."""
    import numpy as np
    from PIL import Image

    ours, theirs = (sorted(place.name for place in each.glob("*.png")) for each in (folder, other))
    if ours != theirs:
        return f"{len(ours)} images, {len(theirs)} on the other host"
    pixels = ([np.asarray(Image.open(each / name), dtype=int) for name in ours] for each in (folder, other))
    return f"{len(ours)} images, {max(int(abs(one - two).max()) for one, two in zip(*pixels, strict=True))}/255"


if __name__ == "__main__":
    main()
