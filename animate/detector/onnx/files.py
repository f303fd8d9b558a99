"""The ONNX files in models/detection: which there are, and what one is, by the shapes of its tensors alone."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import folder_paths
import torch

from ...pose import POINTS
from .persons import YOLO, YOLOV10, YOLOX, OnnxPersons, grid
from .points import OnnxPoints, read_axes, read_heat_maps
from .session import OnnxSession

FOLDER = "detection"
PERSONS, POSES = "a YOLOX or YOLOv10", "a ViTPose wholebody or DWPose"
WIDGETS = {OnnxPersons: "person_model", OnnxPoints: "pose_model"}
Kind = TypeVar("Kind", OnnxPersons, OnnxPoints)
COCO_CLASSES = 80


def onnx_files() -> list[str]:
    """The names of the files in models/detection, sub-folders included, the same on every system."""
    found = set()
    for folder in _folders():
        names, _ = folder_paths.recursive_search(folder, excluded_dir_names=[".git"])
        found |= {name.replace(os.sep, "/") for name in names if name.lower().endswith(".onnx")}
    return sorted(found)


def onnx_path(name: str) -> Path:
    """The path of a file in models/detection. Raises FileNotFoundError with what to do about it."""
    _folders()
    if path := folder_paths.get_full_path(FOLDER, name):
        return Path(path)
    raise FileNotFoundError(f"{name} is not in models/{FOLDER}. Put it there, or choose another file, or embedded.")


def _folders() -> list[str]:
    """Folders where the host keeps such files; a host that does not know the folder yet is told."""
    if FOLDER not in folder_paths.folder_names_and_paths:
        folder_paths.add_model_folder_path(FOLDER, os.path.join(folder_paths.models_dir, FOLDER))
    return folder_paths.get_folder_paths(FOLDER)


def open_persons(name: str, device: torch.device) -> OnnxPersons:
    """The network for persons in a file. Raises ValueError, which says what the file is, if there is none in it."""
    return _as(OnnxPersons, name, device, f"which finds somebody's points. Choose it as pose_model, and {PERSONS}")


def open_points(name: str, device: torch.device) -> OnnxPoints:
    """The network for points in a file. Raises ValueError, which says what the file is, if there is none in it."""
    return _as(OnnxPoints, name, device, f"which finds persons only. Choose it as person_model, and {POSES}")


def _as(kind: type[Kind], name: str, device: torch.device, otherwise: str) -> Kind:
    found = _open(name, device)
    if isinstance(found, kind):
        return found
    place = WIDGETS[kind]
    raise ValueError(f"{place} is {name}, {otherwise} file, or embedded, as {place}.")


def _open(name: str, device: torch.device) -> OnnxPersons | OnnxPoints:
    session = OnnxSession(onnx_path(name), device)
    match session.shapes:
        case [(1, n, values)] if n == len(grid(session.size)[0]) and values in (5 + 1, 5 + COCO_CLASSES):
            return OnnxPersons(session, YOLOX)
        case [(1, _, 6)]:
            return OnnxPersons(session, YOLOV10)
        case [(1, values, _)] if values == 4 + COCO_CLASSES:
            return OnnxPersons(session, YOLO)
        case [(1, points, _, _)] if points == POINTS:
            return OnnxPoints(session, read_heat_maps)
        case [(1, first, _), (1, second, _)] if first == second == POINTS:
            return OnnxPoints(session, read_axes)
    raise ValueError(_unknown(name, session.size, session.shapes))


def _unknown(name: str, size: Sequence[int], shapes: Sequence[Sequence[int]]) -> str:
    made = " and ".join(str(list(shape)) for shape in shapes)
    return (
        f"{name} makes {made} of a picture {[1, 3, *size]}, which is no known network. Known are ViTPose wholebody "
        f"({[1, POINTS, size[0] // 4, size[1] // 4]}), DWPose ({[1, POINTS, 2 * size[1]]} and "
        f"{[1, POINTS, 2 * size[0]]}), YOLOv10 ([1, 300, 6]) and YOLOX ({[1, len(grid(size)[0]), 85]})."
    )
