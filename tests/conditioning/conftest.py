"""A tiny VAE of the real class, and images to give to it."""

from typing import Any

import comfy.sd
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from wan_duet.dev.tiny import vae as tiny_vae
from wan_duet.tests.one_thread import one_thread as one_thread


@pytest.fixture(scope="session")
def vae(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The host's VAE object over random weights."""
    path = tmp_path_factory.mktemp("vae") / "vae.safetensors"
    save_file(tiny_vae(0), path)
    return comfy.sd.VAE(sd=load_file(path))


def images(count: int = 1, width: int = 64, height: int = 64, seed: int = 0, channels: int = 3) -> Tensor:
    """Random images [B, H, W, C] in 0..1."""
    return torch.rand((count, height, width, channels), generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="session")
def make_images() -> Any:
    return images
