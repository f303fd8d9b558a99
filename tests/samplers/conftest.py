"""Tiny experts in files and in memory: `high` and `twin` hold equal weights, `other` different ones."""

from pathlib import Path

import comfy.sd
import pytest
from comfy.model_patcher import ModelPatcher
from safetensors.torch import save_file
from wan_duet.dev.tiny import transformer
from wan_duet.tests.one_thread import one_thread as one_thread

pytest.register_assert_rewrite("wan_duet.tests.samplers.runs")


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
