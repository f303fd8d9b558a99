"""Outputs of LiteRT for inputs to the networks of mediapipe 0.10.21: litert.py INPUTS.npz OUTPUTS.npz

INPUTS has images [B, H, W, 3] under a network's name, OUTPUTS its outputs under NAME.0, NAME.1 and so on.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import mediapipe
import numpy as np
from ai_edge_litert.interpreter import Interpreter

MODULES = Path(mediapipe.__path__[0], "modules")


def outputs_of(name: str, images: np.ndarray) -> list[np.ndarray]:
    """Each output for all images, in the order of the file."""
    (path,) = MODULES.rglob(f"{name}.tflite")
    interpreter = Interpreter(str(path))
    interpreter.allocate_tensors()
    (source,) = interpreter.get_input_details()
    found = []
    for image in images:
        interpreter.set_tensor(source["index"], image[None])
        interpreter.invoke()
        found.append([interpreter.get_tensor(output["index"]) for output in interpreter.get_output_details()])
    return [np.concatenate(output) for output in zip(*found, strict=True)]


if __name__ == "__main__":
    given = np.load(sys.argv[1])
    made = {name: outputs_of(name, given[name]) for name in given.files}
    flat: dict[str, Any] = {f"{name}.{i}": value for name in made for i, value in enumerate(made[name])}
    np.savez(sys.argv[2], **flat)
