"""Frames between frames, by the host's own nodes, which hosts before 2026 lack."""

import importlib

import folder_paths
import torch

FOLDER = "frame_interpolation"
NONE, INTERPOLATIONS = "none", ("none", "film", "rife")


def interpolate(images: torch.Tensor, model: str, between: int) -> torch.Tensor:
    """Images [B, H, W, C] with `between` new ones in each gap. `model` is film or rife.

    Raises ValueError on a host without the nodes, FileNotFoundError without a model file.
    """
    try:
        host = importlib.import_module("comfy_extras.nodes_frame_interpolation")
    except ImportError as error:
        raise ValueError(
            f"interpolation is '{model}', but this ComfyUI has no frame interpolation. Update ComfyUI, "
            f"or set interpolation to '{NONE}'."
        ) from error
    names = [name for name in folder_paths.get_filename_list(FOLDER) if model in name.lower()]
    if not names:
        raise FileNotFoundError(
            f"interpolation is '{model}', but models/{FOLDER} holds no file with {model} in its name. "
            f"Put one there, or set interpolation to '{NONE}'."
        )
    loaded = host.FrameInterpolationModelLoader.execute(names[0]).args[0]
    return host.FrameInterpolate.execute(loaded, images, between + 1).args[0]
