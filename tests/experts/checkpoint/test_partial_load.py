"""A few weights of an expert, read while it is closed."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from wan_duet.dev.tiny import transformer
from wan_duet.experts.checkpoint import partial_load
from wan_duet.experts.checkpoint.contents import read_checkpoint
from wan_duet.experts.checkpoint.quantised import unpacked
from wan_duet.experts.handle import FileHandle, MissingHandle, ModelHandle
from wan_duet.tests.experts.quantised import FORMATS, made_here
from wan_duet.tests.samplers.runs import relative_difference

MODULES = ("time_embedding", "time_projection")
Weights = dict[str, Tensor]
Written = Callable[..., FileHandle]


@pytest.fixture(scope="module")
def weights() -> Weights:
    return {name: weight.bfloat16() for name, weight in transformer(0, layers=1).items()}


@pytest.fixture
def written(tmp_path: Path) -> Written:
    """A function that writes a checkpoint and returns a handle on it."""

    def write(weights: Weights, metadata: dict[str, str] | None = None) -> FileHandle:
        path = str(tmp_path / "expert.safetensors")
        save_file(weights, path, metadata)
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


NAME = "time_embedding.0.weight"


def time_embedding(handle: FileHandle) -> Tensor | None:
    """The first weight of it, if it can be read."""
    model = handle.part(MODULES)
    return None if model is None else model.diffusion_model.time_embedding[0].weight


def test_plain_fp8_is_read(written: Written, weights: Weights) -> None:
    plain = weights[NAME].to(torch.float8_e4m3fn)
    found = time_embedding(written({**weights, NAME: plain}))
    assert found is not None and torch.equal(found, plain.float())


@pytest.mark.parametrize("prefix", ["", "model.diffusion_model."])
@pytest.mark.parametrize("name", FORMATS)
def test_packed_weights_are_those_of_the_opened_model(
    written: Written, weights: Weights, name: str, prefix: str
) -> None:
    stored = made_here(name, {name: weight.float() for name, weight in weights.items()})
    try:
        handle = written({prefix + key: tensor for key, tensor in stored.tensors.items()}, stored.metadata)
    except ValueError as refused:
        pytest.skip(str(refused))
    part, opened = handle.part(MODULES), handle.open().model.diffusion_model
    assert part is not None
    for key, weight in part.diffusion_model.state_dict().items():
        if key.startswith(MODULES):
            assert torch.equal(weight, unpacked(opened, key))
    key = "time_projection.1.weight"
    assert relative_difference(part.diffusion_model.time_projection[1].weight, weights[key].float()) < 0.2


def test_scaled_fp8_is_read_by_its_scale(written: Written, weights: Weights) -> None:
    """Also where some layers have none, and with a scale for inputs, as in ComfyUI's own files of 2025."""
    scale, stem = torch.tensor(0.37), NAME.removesuffix("weight")
    scaled = (weights[NAME].float() / scale).to(torch.float8_e4m3fn)
    beside = {f"{stem}scale_weight": scale, f"{stem}scale_input": torch.ones(()), "scaled_fp8": scaled[0, :2].clone()}
    found = time_embedding(written({**weights, NAME: scaled, **beside}))
    assert found is not None and torch.equal(found, scaled.float() * scale)


def test_a_file_that_lacks_one_of_them_is_not_read(written: Written, weights: Weights) -> None:
    handle = written({name: weight for name, weight in weights.items() if name != NAME})
    assert handle.part(MODULES) is None


def test_a_file_too_large_to_be_mapped_is_not_read(
    written: Written, weights: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    handle = written(weights)

    def fail(*_: object) -> None:
        raise RuntimeError("unable to mmap 28 GB: Cannot allocate memory")

    monkeypatch.setattr(partial_load, "read_header", fail)
    assert handle.part(MODULES) is None
    model = handle.part(())  # which asks for nothing of the file
    assert model is not None and model.diffusion_model.time_embedding[0].weight.is_meta


def test_of_a_connected_model_all_is_there_and_of_a_missing_file_nothing(written: Written, weights: Weights) -> None:
    patcher = written(weights).open()
    assert ModelHandle(patcher, "expert").part(MODULES) is patcher.model
    assert MissingHandle("expert", "it is not there").part(MODULES) is None
