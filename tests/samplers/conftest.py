"""Tiny experts in files and in memory: `high` and `twin` hold equal weights, `other` different ones."""

from collections.abc import Iterator
from pathlib import Path

import comfy.sd
import pytest
import torch
from comfy.model_patcher import ModelPatcher
from safetensors.torch import save_file
from wan_duet.dev.tiny import transformer

pytest.register_assert_rewrite("wan_duet.tests.samplers.runs")


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Networks this small lose more time to handing work over than they win."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the three checkpoints."""
    folder = tmp_path_factory.mktemp("experts")
    for name, seed in (("high", 0), ("twin", 0), ("other", 1)):
        save_file(transformer(seed), folder / f"{name}.safetensors")
    return folder


def _load(path: Path) -> ModelPatcher:
    return comfy.sd.load_diffusion_model(str(path))


@pytest.fixture(scope="module")
def high(files: Path) -> ModelPatcher:
    return _load(files / "high.safetensors")


@pytest.fixture(scope="module")
def twin(files: Path) -> ModelPatcher:
    return _load(files / "twin.safetensors")


@pytest.fixture(scope="module")
def other(files: Path) -> ModelPatcher:
    return _load(files / "other.safetensors")
