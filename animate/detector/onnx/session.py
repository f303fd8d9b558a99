"""A network in an ONNX file of the user's, run by onnxruntime, which nothing else in the pack needs."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

CUDA, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"
SIZE_IF_FREE = 640  # what is given to a file that takes any size: those are YOLOs
TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16}


class OnnxSession:
    """An open file: images [N, 3, *size] in, a list of arrays out; `shapes` are theirs for one image.

    Raises RuntimeError if onnxruntime is missing or does not give the device, ValueError if the file is broken or takes
    something else.
    """

    def __init__(self, path: Path, device: torch.device):
        self.name = path.name
        self._session = _opened(path, device)
        given = self._session.get_inputs()
        shape = given[0].shape if len(given) == 1 else []
        if len(shape) != 4 or shape[1] != 3 or given[0].type not in TYPES:
            inputs = ", ".join(f"{one.name} {one.type} {one.shape}" for one in given)
            raise ValueError(f"{self.name} takes {inputs}, where a picture [1, 3, height, width] was expected.")
        self._input, self._type = given[0].name, TYPES[given[0].type]
        self._one_at_a_time = shape[0] == 1
        self.size = tuple(side if isinstance(side, int) else SIZE_IF_FREE for side in shape[2:])
        with _broken(path, f"run on a picture {[1, 3, *self.size]}"):
            self.shapes = [value.shape for value in self(torch.zeros(1, 3, *self.size))]

    def __call__(self, images: Tensor) -> list[np.ndarray]:
        """Outputs of the network for images [N, 3, *size], each in 32 bits."""
        parts = images.split(1 if self._one_at_a_time else len(images))
        made = [self._session.run(None, {self._input: part.numpy().astype(self._type)}) for part in parts]
        return [np.concatenate(values).astype(np.float32) for values in zip(*made, strict=True)]


@contextmanager
def _broken(path: Path, what: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # onnxruntime's own kinds have nothing in common
        raise ValueError(
            f"{path.name} can't be {what}: {error}. Is the file whole, and the one with its weights, if it has one, "
            "beside it?"
        ) from error


def need_onnxruntime(name: str) -> Any:
    """The module onnxruntime. Raises RuntimeError, about the file called `name`, if it can't be imported."""
    try:
        import onnxruntime
    except ImportError as error:
        raise RuntimeError(
            f"{name} needs onnxruntime, which ComfyUI's Python can't import ({error}). Install onnxruntime-gpu for an "
            "NVIDIA card, or else onnxruntime, or choose embedded."
        ) from error
    return onnxruntime


def _opened(path: Path, device: torch.device) -> Any:
    onnxruntime = need_onnxruntime(path.name)
    providers = [(CUDA, {"device_id": device.index or 0}), CPU] if device.type == "cuda" else [CPU]
    with _broken(path, "opened"):
        session = onnxruntime.InferenceSession(str(path), providers=providers)
    if device.type == "cuda" and CUDA not in (given := session.get_providers()):
        raise RuntimeError(
            f"{path.name} was to run on {device}, but onnxruntime {onnxruntime.__version__} gives {', '.join(given)}. "
            "Uninstall onnxruntime and onnxruntime-gpu, install onnxruntime-gpu alone, made for the CUDA of torch "
            f"({torch.version.cuda}), or set device to cpu."
        )
    return session
