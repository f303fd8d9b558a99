"""Tiny models of each kind, opened once, and what a LoRA makes of their weights."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import comfy.ops
import comfy.sd
import folder_paths
import pytest
import torch
from comfy.model_management import load_models_gpu, unload_all_models
from comfy.model_patcher import ModelPatcher
from safetensors.torch import save_file
from wan_duet.dev.tiny import transformer
from wan_duet.experts.handle import ModelHandle
from wan_duet.experts.pair import Expert, Experts
from wan_duet.host.patching import is_dynamic
from wan_duet.tests.experts.lora.layouts import DIM, I2V, I2V_21, LAYOUTS, T2V, build
from wan_duet.tests.one_thread import one_thread as one_thread

SETTINGS = {T2V: {"in_dim": 16}, I2V: {"in_dim": 36}, I2V_21: {"in_dim": 36, "model_type": "i2v"}}


@pytest.fixture(autouse=True)
def as_the_executor_runs_nodes():
    with torch.inference_mode():
        yield


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
    """The weights in fp32 as the host uses them while the patcher is loaded; the model itself is left as it was."""
    load_models_gpu([patcher])
    try:
        yield {**patcher.model.state_dict(), **(brought_in(patcher.model) if is_dynamic(patcher) else {})}
    finally:
        unload_all_models()


def brought_in(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The weights that DynamicVRAM brings in, with LoRAs applied on the way, as a layer gets them."""
    weights = {}
    for name, layer in model.named_modules():
        if hasattr(layer, "_v"):
            found = comfy.ops.cast_bias_weight(layer, dtype=torch.float32, device=torch.device("cpu"))
            weights |= {f"{name}.{kind}": w for kind, w in zip(("weight", "bias"), found, strict=True) if w is not None}
    return weights


@pytest.fixture
def loras(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Write a file to a models/loras of the test's own; returns the name by which nodes know it."""
    folder = tmp_path / "loras"
    folder.mkdir()
    monkeypatch.setitem(folder_paths.folder_names_and_paths, "loras", ([str(folder)], {".safetensors", ".pt"}))
    monkeypatch.setattr(folder_paths, "filename_list_cache", {})

    def write(name: str, tensors: dict[str, torch.Tensor], **metadata: str) -> str:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        save_file(tensors, folder / name, metadata or None)
        return name

    return write


@pytest.fixture(scope="session")
def pair() -> Experts:
    """Two T2V experts of different weights, as connected MODELs."""
    return Experts(*(Expert(ModelHandle(open_tiny(seed), role)) for seed, role in enumerate(("high", "low"))))


@pytest.fixture(scope="session")
def file_of(base: dict[str, dict[str, torch.Tensor]]) -> Callable[..., dict[str, torch.Tensor]]:
    """The tensors of one of the 46 layouts, made for the tiny T2V."""
    shapes = {name: weight.shape for name, weight in base[T2V].items()}

    def tensors(name: str, seed: int = 0) -> dict[str, torch.Tensor]:
        return build(next(layout for layout in LAYOUTS if layout.name == name), shapes, seed)[0]

    return tensors
