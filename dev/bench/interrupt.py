"""Measure the time from an interrupt to the end of a run: python3 dev/bench/interrupt.py [--quick] [--node Save]

Each local node that loops, on an input that takes minutes, and a remote one that waits, on a real ComfyUI.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from host import INSIDE, ROOT, enter, load_pack

enter()
load_pack()

import av  # noqa: E402
import numpy as np  # noqa: E402
from wan_duet.dev.client import Client  # noqa: E402
from wan_duet.tests.fuzz.prompts import HIGH, give, sampled  # noqa: E402
from wan_duet.tests.fuzz.server import fuzz_server  # noqa: E402
from wan_duet.tests.nodes.graph import Graph, Node  # noqa: E402

BASE = ROOT / ".dev" / "base"
AFTER = 2.0  # seconds that a node runs before it is interrupted
LIMIT = 60.0
FRAMES = 4000
SIZE = (640, 360)
SAVE = {"filename_prefix": "long", "format": "mp4", "quality": "high", "write_mode": "small", "fps": 0.0}
WHOM = {"people": 2, "pick": "largest", "skip": 0, "smoothing": "light", "fill_gaps": 5}
SHAPE = {"grow": 64, "blocks": "by count", "across": 4, "along": 4}


def long_film(path: Path) -> None:
    """Write a video of minutes with one key frame, which can't be entered in the middle."""
    frame = av.VideoFrame.from_ndarray(np.full((SIZE[1], SIZE[0], 3), 90, np.uint8))
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=16, options={"preset": "ultrafast", "g": "100000"})
        stream.width, stream.height = SIZE
        for number in range(FRAMES):
            frame.pts = number
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))


def person(graph: Graph, frames: Node) -> dict[str, Node]:
    """A film and the pose of somebody in it."""
    keypoints = give(graph, "long/people")
    return {"video": frames, "pose": graph.add("WanDuet_PoseFromKeypoints", keypoints=keypoints, fps=16.0)}


def detect(graph: Graph, video: Node) -> Node:
    detector = graph.add("WanDuet_LoadDetector", device="cpu")
    return graph.add("WanDuet_DetectPose", detector=detector, video=video, **WHOM)


def still(graph: Graph) -> Node:
    """As many frames as there are poses, of their size."""
    return graph.add("EmptyImage", width=64, height=64, batch_size=FRAMES, color=0)


def loaded(graph: Graph) -> Node:
    return graph.add("LoadVideo", file="long.mp4")


def vae(graph: Graph) -> Node:
    return graph.add("VAELoader", vae_name="wan_2.1_vae.safetensors")


def sampling(graph: Graph) -> Node:
    experts = graph.load(HIGH)
    return Node(sampled(graph, experts[0], graph.plan(experts, steps=1000)[0])[0])


def remote(graph: Graph) -> Node:
    prompt = {"variant": "A14B", "prompt": "a cat", "resolution": "provider default", "num_frames": -1, "seed": 1}
    consent = {"aspect_ratio": "provider default", "allow_paid": True, "max_cost_usd": 12.0}
    return graph.add("WanDuet_FalTextToVideo", **prompt, **consent)


CASES: Mapping[str, Callable[[Graph], Any]] = {
    "Detect Pose, film": lambda graph: detect(graph, give(graph, "long/film")),
    "Detect Pose, narrow picture": lambda graph: detect(graph, give(graph, "long/picture")),
    "Detect Pose, file": lambda graph: detect(graph, loaded(graph)),
    "Segment Person": lambda graph: graph.add(
        "WanDuet_SegmentPerson",
        detector=graph.add("WanDuet_LoadDetector", device="cpu"),
        threshold=0.5,
        **person(graph, still(graph)),
    ),
    "Draw Pose": lambda graph: graph.add("WanDuet_DrawPose", pose=person(graph, still(graph))["pose"]),
    "Face Crop": lambda graph: graph.add("WanDuet_FaceCrop", person=0, missing="hold", **person(graph, still(graph))),
    "Pose Overlay": lambda graph: graph.add("WanDuet_PoseOverlay", **person(graph, still(graph))),
    "Mask Shape": lambda graph: graph.add("WanDuet_MaskShape", mask=give(graph, "long/masks"), **SHAPE),
    "Video To Latent, file": lambda graph: graph.add(
        "WanDuet_VideoToLatent", video=loaded(graph), vae=vae(graph), width=64, height=64, length=0, resample_fps=0.0
    ),
    "Save Wan 2.2 Video, images": lambda graph: graph.add(
        "WanDuet_SaveVideo", video=give(graph, "long/film"), reverse=False, **SAVE
    ),
    "Save Wan 2.2 Video, file": lambda graph: graph.add(
        "WanDuet_SaveVideo", video=loaded(graph), reverse=False, **SAVE
    ),
    "Save Wan 2.2 Video, backwards": lambda graph: graph.add(
        "WanDuet_SaveVideo", video=loaded(graph), reverse=True, **SAVE
    ),
    "Wan 2.2 Video Sampler": sampling,
    "a remote job": remote,
}


def seconds_to_stop(client: Client, graph: Graph) -> float | None:
    """The seconds that a prompt goes on after an interrupt; None if it ended before."""
    id = client.queue(graph.prompt)
    time.sleep(AFTER)
    if client.request(f"/history/{id}"):
        return None
    begin = time.perf_counter()
    client.interrupt()
    while not client.request(f"/history/{id}"):
        if time.perf_counter() > begin + LIMIT:
            sys.exit(f"no end {LIMIT:g} s after an interrupt")
        time.sleep(0.01)
    return time.perf_counter() - begin


def main() -> int:
    """Print the seconds of each case, and as the last line all of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="interrupt each once in place of three times")
    parser.add_argument("--node", default="", help="only cases with this in their name")
    options = parser.parse_args()
    figures: dict[str, float | None] = {}
    with (
        TemporaryDirectory() as inputs,
        fuzz_server(Path(os.environ[INSIDE]), BASE, "--input-directory", inputs) as (client, _, fakes),
    ):
        long_film(Path(inputs, "long.mp4"))
        fakes["fal"].running = 600.0
        for name, build in CASES.items():
            if options.node not in name:
                continue
            times = []
            print(f"{name:28} ", end="", flush=True)
            for _ in range(1 if options.quick else 3):
                graph = Graph()
                graph.add("Test_End", value=build(graph)[0])
                times.append(seconds_to_stop(client, graph))
            known = [seconds for seconds in times if seconds is not None]
            figures[name] = round(max(known), 2) if known else None
            print(f"{'ended before' if not known else f'{max(known):5.2f} s'}", flush=True)
    print(json.dumps({"seconds_to_stop": figures}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
