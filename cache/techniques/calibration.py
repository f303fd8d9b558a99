"""MagCache's ratios measured on the user's own checkpoints, a small file for each in ComfyUI's user folder."""

import json
import os
import uuid
from collections.abc import Sequence
from pathlib import Path

import folder_paths

Point = tuple[float, float]
"""A sigma, and the ratio of the residual's size there to that at the sigma before."""


def path_of(name: str) -> Path:
    """Return the file with the ratios of a checkpoint, by its name with its folders: `t2v/high` is not `i2v/high`."""
    file = Path(folder_paths.get_user_directory(), "wan_duet", "magnitudes", name.replace("\\", "/"))
    return file.with_suffix(".json")


def load(name: str) -> list[Point] | None:
    """Return the measured points at falling sigmas; None if there are none. Raises ValueError for a damaged file."""
    path = path_of(name)
    if not path.is_file():
        return None
    try:
        points = [(float(sigma), float(ratio)) for sigma, ratio in json.loads(path.read_text(encoding="utf-8"))]
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path} is damaged: {error}. Delete it, or measure the ratios again.") from error
    return points


def save(name: str, points: Sequence[Point]) -> Path:
    """Store measured points in the place of earlier ones, and return the file."""
    path = path_of(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.partial")  # another server may write it too
    try:
        partial.write_text(json.dumps(points), encoding="utf-8")
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    return path
