"""What we know of the host's LoRA code without being told: where things are, and what they take."""

import inspect

import comfy.lora
import pytest
import torch
from comfy.model_patcher import ModelPatcher
from wan_duet.host import lora

ORDER = {  # of an adapter's weights, by the names of the file
    lora.LoRAAdapter: (".lora_up.weight", ".lora_down.weight", None, ".lora_mid.weight", ".dora_scale"),
    lora.LoHaAdapter: (
        *(".hada_w1_a", ".hada_w1_b", None, ".hada_w2_a", ".hada_w2_b"),
        *(".hada_t1", ".hada_t2", ".dora_scale"),
    ),
    lora.LoKrAdapter: (
        *(".lokr_w1", ".lokr_w2", None, ".lokr_w1_a", ".lokr_w1_b"),
        *(".lokr_w2_a", ".lokr_w2_b", ".lokr_t2", ".dora_scale"),
    ),
    lora.GLoRAAdapter: (".a1.weight", ".a2.weight", ".b1.weight", ".b2.weight", None, ".dora_scale"),
    lora.OFTAdapter: (".oft_blocks", ".rescale", None, ".dora_scale"),
    lora.BOFTAdapter: (".oft_blocks", ".rescale", None, ".dora_scale"),
}


@pytest.mark.parametrize("adapter", ORDER, ids=lambda adapter: adapter.__name__)
def test_an_adapter_keeps_its_weights_where_we_look_for_them(adapter: type) -> None:
    dims = 4 if adapter is lora.BOFTAdapter else 3
    file = {f"x{name}": torch.zeros([1] * dims) for name in ORDER[adapter] if name}
    loaded = adapter.load("x", file, 2.0, file["x.dora_scale"], set())
    for value, name in zip(loaded.weights, ORDER[adapter], strict=False):
        assert value is file[f"x{name}"] if name else value == 2.0
    assert lora.magnitude(loaded) is file["x.dora_scale"]


def test_a_difference_is_a_pair_of_word_and_tensor() -> None:
    file = {"x.diff": torch.ones(2), "x.diff_b": torch.ones(3)}
    assert lora.load_lora(file, {"x": "x.weight"}, log_missing=False) == {
        "x.weight": ("diff", (file["x.diff"],)),
        "x.bias": ("diff", (file["x.diff_b"],)),
    }


@pytest.mark.parametrize(
    ("function", "positional", "keywords"),
    [
        (comfy.lora.load_lora, 2, ("log_missing",)),
        (comfy.lora.model_lora_keys_unet, 2, ()),
        (comfy.lora.calculate_weight, 3, ()),
        (lora.convert_lora, 1, ()),
        (ModelPatcher.add_patches, 3, ()),
        (ModelPatcher.add_object_patch, 3, ()),
        (ModelPatcher.get_model_object, 2, ()),
    ],
    ids=lambda value: getattr(value, "__qualname__", ""),
)
def test_the_host_takes_our_call(function, positional: int, keywords: tuple[str, ...]) -> None:
    inspect.signature(function).bind(*[None] * positional, **dict.fromkeys(keywords))


def test_a_patcher_counts_its_patches_by_a_uuid_that_clones_share() -> None:
    device = torch.device("cpu")
    patcher = ModelPatcher(torch.nn.Linear(1, 1), load_device=device, offload_device=device)
    clone = patcher.clone()
    assert clone.patches_uuid == patcher.patches_uuid
    clone.add_patches({"weight": ("diff", (torch.zeros(1, 1),))})
    assert clone.patches_uuid != patcher.patches_uuid
