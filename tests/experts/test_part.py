"""A few weights of an expert, read while it is closed."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from wan_duet.dev.tiny import transformer
from wan_duet.experts import part
from wan_duet.experts.checkpoint import read_checkpoint
from wan_duet.experts.handle import FileHandle, MissingHandle, ModelHandle

MODULES = ("time_embedding", "time_projection")
Weights = dict[str, Tensor]
Written = Callable[[Weights], FileHandle]


@pytest.fixture(scope="module")
def weights() -> Weights:
    return {name: weight.bfloat16() for name, weight in transformer(0, layers=1).items()}


@pytest.fixture
def written(tmp_path: Path) -> Written:
    """A function that writes a checkpoint and returns a handle on it."""

    def write(weights: Weights) -> FileHandle:
        path = str(tmp_path / "expert.safetensors")
        save_file(weights, path)
        return FileHandle("expert", path, read_checkpoint(path))

    return write


@pytest.mark.parametrize("prefix", ["", "model.diffusion_model."])
def test_the_modules_asked_for_are_there_in_fp32_and_nothing_else_is(
    written: Written, weights: Weights, prefix: str
) -> None:
    handle = written({prefix + name: weight for name, weight in weights.items()})
    model = handle.part(MODULES)
    assert model is not None and not handle.in_memory
    for name, weight in model.diffusion_model.state_dict().items():
        if name.startswith(MODULES):
            assert torch.equal(weight, weights[name].float())
        else:
            assert weight.is_meta


def test_plain_fp8_is_read_and_scaled_fp8_is_not(written: Written, weights: Weights) -> None:
    name = "time_embedding.0.weight"
    plain = {**weights, name: weights[name].to(torch.float8_e4m3fn)}
    model = written(plain).part(MODULES)
    assert model is not None
    assert torch.equal(model.diffusion_model.time_embedding[0].weight, plain[name].float())
    scaled = {**plain, "time_embedding.0.scale_weight": torch.ones(()), "scaled_fp8": torch.zeros(0)}
    assert written(scaled).part(MODULES) is None


def test_a_file_too_large_to_be_mapped_is_not_read(
    written: Written, weights: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    handle = written(weights)

    def fail(*_: object) -> None:
        raise RuntimeError("unable to mmap 28 GB: Cannot allocate memory")

    monkeypatch.setattr(part, "read_header", fail)
    assert handle.part(MODULES) is None
    model = handle.part(())  # which asks for nothing of the file
    assert model is not None and model.diffusion_model.time_embedding[0].weight.is_meta


def test_of_a_connected_model_all_is_there_and_of_a_missing_file_nothing(written: Written, weights: Weights) -> None:
    patcher = written(weights).open()
    assert ModelHandle(patcher, "expert").part(MODULES) is patcher.model
    assert MissingHandle("expert", "it is not there").part(MODULES) is None
