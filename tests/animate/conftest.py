"""Real pictures of people and independent detectors: the tests marked `live` use them, nothing of them is kept."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
PYTHON = "Scripts/python.exe" if sys.platform == "win32" else "bin/python"
Arrays = dict[str, np.ndarray]


def live_folder() -> Path:
    return Path(os.environ["WAN_DUET_LIVE"])


def in_environment(script: str, *args: str | Path) -> str:
    """What a script of dev/live prints when mediapipe's environment runs it."""
    command = [live_folder() / "mediapipe" / PYTHON, ROOT / "dev" / "live" / script, *args]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout


def picture(name: str) -> np.ndarray:
    """A photograph that a package of the live environments carries, [H, W, 3] in bytes."""
    (path,) = (path for folder in ("people", "mediapipe") for path in (live_folder() / folder).rglob(name))
    return np.asarray(Image.open(path).convert("RGB"))


@pytest.fixture
def official(tmp_path: Path) -> Callable[[str, np.ndarray, np.ndarray], list[np.ndarray]]:
    """A function that gives what a function of dev/live/official_preprocessing.py makes of each pair of arguments."""

    def run(name: str, first: np.ndarray, second: np.ndarray) -> list[np.ndarray]:
        np.savez(tmp_path / "given.npz", **{f"{name}.0": first, f"{name}.1": second})  # pyright: ignore[reportArgumentType]
        wan = live_folder() / "flow_schedulers" / "wan"
        in_environment("official_preprocessing.py", wan, tmp_path / "given.npz", tmp_path / "made.npz")
        made = np.load(tmp_path / "made.npz")
        return [made[f"{name}.{i}"] for i in range(len(first))]

    return run


@pytest.fixture
def litert(tmp_path: Path) -> Callable[[Arrays], Arrays]:
    """A function that gives LiteRT's outputs, NAME.0 and so on, for the inputs of each network."""

    def run(inputs: Arrays) -> Arrays:
        np.savez(tmp_path / "inputs.npz", **inputs)  # pyright: ignore[reportArgumentType]
        in_environment("litert.py", tmp_path / "inputs.npz", tmp_path / "outputs.npz")
        return dict(np.load(tmp_path / "outputs.npz"))

    return run
