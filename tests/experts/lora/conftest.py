"""Tiny models of each kind, opened once, and what a LoRA makes of their weights."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import comfy.sd
import pytest
import torch
from comfy.model_patcher import ModelPatcher
from safetensors.torch import save_file
from wan_duet.dev.tiny import transformer
from wan_duet.tests.experts.lora.layouts import DIM, I2V, I2V_21, T2V

SETTINGS = {T2V: {"in_dim": 16}, I2V: {"in_dim": 36}, I2V_21: {"in_dim": 36, "model_type": "i2v"}}


@pytest.fixture(autouse=True)
def as_the_executor_runs_nodes():
    with torch.inference_mode():
        yield


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Tensors this small take longer to share out than to work on."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def tiny() -> dict[str, ModelPatcher]:
    return {kind: open_tiny(0, **settings) for kind, settings in SETTINGS.items()}


def open_tiny(seed: int, **settings) -> ModelPatcher:
    with torch.inference_mode():
        weights = transformer(seed, dim=DIM, layers=2, **settings)
        return comfy.sd.load_diffusion_model_state_dict(weights, model_options={"dtype": torch.float32})


@pytest.fixture(scope="session")
def base(tiny: dict[str, ModelPatcher]) -> dict[str, dict[str, torch.Tensor]]:
    """The weights of each model as they are in its file."""
    return {kind: copy_of(patcher) for kind, patcher in tiny.items()}


@pytest.fixture
def saved(tmp_path: Path) -> Callable[..., str]:
    """Write tensors to a file and return its path."""

    def save(tensors: dict[str, torch.Tensor], name: str = "lora.safetensors", **metadata: str) -> str:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(tensors, path, metadata or None)
        return str(path)

    return save


def copy_of(patcher: ModelPatcher) -> dict[str, torch.Tensor]:
    return {name: weight.clone() for name, weight in patcher.model.state_dict().items()}


@contextmanager
def loaded(patcher: ModelPatcher) -> Iterator[dict[str, torch.Tensor]]:
    """The weights as they are while the patcher is loaded; the model itself is left as it was."""
    patcher.patch_model()
    try:
        yield patcher.model.state_dict()
    finally:
        patcher.unpatch_model()
