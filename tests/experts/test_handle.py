"""Who owns opened weights, and for how long."""

import gc
import weakref
from types import SimpleNamespace

import comfy.sd
import pytest
import torch
from comfy.model_patcher import ModelPatcher
from safetensors.torch import save_file
from wan_duet.dev import dynamic_vram
from wan_duet.dev.tiny import transformer
from wan_duet.experts.checkpoint.contents import read_checkpoint
from wan_duet.experts.handle import FileHandle, ModelHandle
from wan_duet.experts.pair import Expert, Experts


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A tiny T2V expert with real weights."""
    path = tmp_path_factory.mktemp("handle") / "expert.safetensors"
    save_file({name: weight.bfloat16() for name, weight in transformer(0, layers=1).items()}, path)
    return str(path)


@pytest.fixture
def handle(file: str) -> FileHandle:
    return FileHandle("expert", file, read_checkpoint(file))


def test_a_file_is_read_at_the_first_open_and_never_again(handle: FileHandle) -> None:
    assert not handle.in_memory
    patcher = handle.open()
    assert handle.in_memory
    assert handle.open() is patcher


def test_opened_weights_are_those_of_the_file(handle: FileHandle) -> None:
    weights = handle.open().model.diffusion_model.state_dict()
    assert torch.equal(
        weights["patch_embedding.weight"].bfloat16(), transformer(0, layers=1)["patch_embedding.weight"].bfloat16()
    )


def test_the_weight_dtype_is_the_hosts(file: str) -> None:
    handle = FileHandle("expert", file, read_checkpoint(file), weight_dtype="fp8_e4m3fn")
    theirs = comfy.sd.load_diffusion_model(file, model_options={"dtype": torch.float8_e4m3fn})
    ours = [patcher.model.diffusion_model.blocks[0].ffn[0].weight.dtype for patcher in (handle.open(), theirs)]
    assert ours[0] == ours[1]
    assert dynamic_vram.wanted() or ours[0] == torch.float8_e4m3fn  # which leaves weights as they are in the file


def test_opened_weights_die_with_their_handle(file: str) -> None:
    handle = FileHandle("expert", file, read_checkpoint(file))
    model = weakref.ref(handle.open().model)
    del handle
    gc.collect()
    assert model() is None


def test_a_change_is_made_to_a_clone_at_every_opening(handle: FileHandle) -> None:
    def change(patcher: ModelPatcher) -> None:
        patcher.model_options["changes"] = [*patcher.model_options.get("changes", []), "made"]

    expert = Experts(Expert(handle)).with_change(change).with_change(change).high
    first, second = expert.open(), expert.open()
    assert first.model_options["changes"] == second.model_options["changes"] == ["made", "made"]
    assert first is not second
    assert first.model is handle.open().model
    assert "changes" not in handle.open().model_options


def test_a_change_reaches_both_experts_and_leaves_the_old_pair_alone(handle: FileHandle) -> None:
    def change(patcher: ModelPatcher) -> None:
        pass

    experts = Experts(Expert(handle), Expert(handle))
    assert [expert.changes for expert in experts.with_change(change)] == [(change,), (change,)]
    assert [expert.changes for expert in experts] == [(), ()]


def test_a_single_expert_stands_in_for_the_low_one(handle: FileHandle) -> None:
    experts = Experts(Expert(handle))
    assert experts["low"] is experts["high"] is experts.high


def test_a_model_is_known_as_its_file_is(handle: FileHandle) -> None:
    found, expected = ModelHandle(handle.open(), "high MODEL").checkpoint, handle.checkpoint
    assert (found.variant, found.dim, found.layers, found.in_dim) == (
        expected.variant,
        expected.dim,
        expected.layers,
        expected.in_dim,
    )


def test_a_model_is_opened_as_it_was_connected(handle: FileHandle) -> None:
    patcher = handle.open()
    connected = ModelHandle(patcher, "high MODEL")
    assert connected.open() is patcher and connected.in_memory


@pytest.mark.parametrize(
    ("unet_config", "what"), [({"image_model": "flux"}, "a flux model"), ({"model_channels": 320}, "a different model")]
)
def test_a_model_that_is_no_wan_is_refused_in_words(unet_config: dict[str, object], what: str) -> None:
    model = SimpleNamespace(model_config=SimpleNamespace(unet_config=unet_config))
    patcher = SimpleNamespace(model=model, model_size=lambda: 0)
    with pytest.raises(ValueError, match=f"the low MODEL is {what}, not a Wan transformer; connect a Wan 2.2 expert"):
        ModelHandle(patcher, "low MODEL")
