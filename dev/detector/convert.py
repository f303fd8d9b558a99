"""The weights in animate/detector/mediapipe/weights, from the networks that the wheel of mediapipe 0.10.21 carries.

python3 dev/detector/convert.py

A network becomes NAME.safetensors, its weights as torch lays them out, and NAME.json, the steps that
animate/detector/network.py runs. Weights stay the half floats that they are; hand_recrop's floats become half.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
FOLDER = HERE.parents[1] / "animate" / "detector" / "mediapipe" / "weights"
NETWORKS = {
    "face_detection/face_detection_short_range": "bbff11cebd1eb27a1e004cae0b0e63ec8c551cbf34a4451148b4908b8db3eca8",
    "face_landmark/face_landmark": "1055cb9d4a9ca8b8c688902a3a5194311138ba256bcc94e336d8373a5f30c814",
    "hand_landmark/hand_landmark_full": "11c272b891e1a99ab034208e23937a8008388cf11ed2a9d776ed3d01d0ba00e3",
    "holistic_landmark/hand_recrop": "67d996ce96f9d36fe17d2693022c6da93168026ab2f028f9e2365398d8ac7d5d",
    "pose_detection/pose_detection": "9ba9dd3d42efaaba86b4ff0122b06f29c4122e756b329d89dca1e297fd8f866c",
    "pose_landmark/pose_landmark_full": "e9a5c5cb17f736fafd4c2ec1da3b3d331d6edbe8a0d32395855aeb2cdfd64b9f",
    "selfie_segmentation/selfie_segmentation": "9ee168ec7c8f2a16c56fe8e1cfbc514974cbbb7e434051b455635f1bd1462f5c",
}


def main() -> int:
    """Set up mediapipe's environment and go on there, or convert if this is it."""
    try:
        import mediapipe
    except ImportError:
        sys.path.insert(0, str(HERE.parent))
        from environment import live_python

        return subprocess.run([live_python("mediapipe"), __file__]).returncode
    modules = Path(mediapipe.__path__[0], "modules")
    FOLDER.mkdir(parents=True, exist_ok=True)
    total = sum(convert(modules / f"{name}.tflite", sha256) for name, sha256 in NETWORKS.items())
    print(f"{total / 1e6:.1f} MB in all")
    return 0


def convert(path: Path, sha256: str) -> int:
    """Convert one network and return the bytes written; raise ValueError if the file is not the one it should be."""
    from safetensors.numpy import save_file
    from steps_of import steps_of
    from tflite_file import TfliteFile

    if (found := hashlib.sha256(path.read_bytes()).hexdigest()) != sha256:
        raise ValueError(f"{path} has sha256 {found}, not {sha256}. Install mediapipe==0.10.21.")
    graph, weights = steps_of(TfliteFile(path))
    target = FOLDER / path.stem
    target.with_suffix(".json").write_text(as_lines(graph), encoding="utf-8")
    save_file(weights, target.with_suffix(".safetensors"))
    size = sum(target.with_suffix(suffix).stat().st_size for suffix in (".json", ".safetensors"))
    print(f"{path.stem}: {size / 1e6:.2f} MB")
    return size


def as_lines(graph: dict[str, Any]) -> str:
    """JSON with one step a line."""
    *others, (_, steps) = graph.items()
    head = "".join(f" {json.dumps(key)}: {json.dumps(value)},\n" for key, value in others)
    return "{\n" + head + ' "steps": [\n  ' + ",\n  ".join(map(json.dumps, steps)) + "\n ]\n}\n"


if __name__ == "__main__":
    sys.exit(main())
