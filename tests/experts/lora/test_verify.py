"""The report says "changed" only where a layer was seen to change."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from comfy.lora import calculate_weight
from comfy.model_patcher import ModelPatcher
from wan_duet.dev import dynamic_vram
from wan_duet.experts.handle import ModelHandle
from wan_duet.experts.lora.apply import apply_loras
from wan_duet.experts.lora.spec import LoraSpec
from wan_duet.experts.lora.verify import takes_patches
from wan_duet.experts.pair import Expert, Experts
from wan_duet.tests.experts.lora.conftest import copy_of, open_tiny

STYLE = "style.safetensors"
NOT_VERIFIED = "warning: not verified on this loader: a layer was not seen to change"


class Hidden(torch.nn.Module):
    """Keeps a copy of its weight where nobody patches it; what is in `weight` is for show."""

    def __init__(self, linear: torch.nn.Linear):
        super().__init__()
        self.weight, self.bias = linear.weight, linear.bias
        self.own = linear.weight.detach().clone()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.linear(x, self.own.to(x), self.bias.to(x))


class Int8(torch.nn.Module):
    """Keeps its weight as whole numbers and one scale: a small change is rounded away."""

    def __init__(self, linear: torch.nn.Linear):
        super().__init__()
        self.scale = linear.weight.detach().abs().max() / 127
        self.weight = torch.nn.Parameter((linear.weight.detach() / self.scale).round().to(torch.int8), False)
        self.bias = linear.bias

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.linear(x, self.weight.to(x) * self.scale, self.bias.to(x))


class Packed(Int8):
    """Unpacks its weight as it runs, and adds what its loader's patcher has hung on it."""

    def __init__(self, linear: torch.nn.Linear):
        super().__init__(linear)
        self.hung: tuple[str, list[Any]] = ("", [])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        name, patches = self.hung
        weight = calculate_weight(patches, self.weight.float() * self.scale, name)
        return torch.nn.functional.linear(x, weight.to(x), self.bias.to(x))


class Broken(Hidden):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("not for you")


class Own(torch.nn.Module):
    """A layer of another pack that does use its weight as it is."""

    def __init__(self, linear: torch.nn.Linear):
        super().__init__()
        self.weight, self.bias = linear.weight, linear.bias

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.linear(x, self.weight.to(x), self.bias.to(x))


def with_layers(kind: type[torch.nn.Module]) -> ModelPatcher:
    """A T2V whose linears are of another kind."""
    patcher = open_tiny(0)
    for name, module in list(patcher.model.named_modules()):
        if isinstance(module, torch.nn.Linear):
            owner, _, attribute = name.rpartition(".")
            setattr(patcher.model.get_submodule(owner), attribute, kind(module))
    return patcher


@pytest.fixture
def said(loras: Callable, file_of: Callable) -> Callable[[ModelPatcher], str]:
    def text(patcher: ModelPatcher, **row: float) -> str:
        loras(STYLE, file_of("native_peft"))
        experts = Experts(Expert(ModelHandle(patcher, "high MODEL")))
        return apply_loras(experts, (LoraSpec(STYLE, **row),))[1]

    return text


@pytest.mark.parametrize("kind", [Hidden, Int8, Broken])
def test_layers_that_leave_a_lora_aside_are_not_said_to_be_changed(kind: type, said: Callable) -> None:
    text = said(with_layers(kind))
    assert "20 of 20 weights to change" in text
    assert NOT_VERIFIED in text


def test_the_hosts_own_layers_are_seen_to_change(said: Callable) -> None:
    text = said(open_tiny(0))
    assert "20 of 20 weights changed" in text
    assert "verified" not in text


def test_it_is_the_layer_that_counts_not_the_name_of_its_class(said: Callable) -> None:
    class GGUFModelPatcher(type(open_tiny(0))):  # the host's own in all but its name
        pass

    patcher = open_tiny(0)
    patcher.__class__ = GGUFModelPatcher
    assert "20 of 20 weights changed" in said(patcher)


def test_a_lora_that_adds_nothing_is_no_proof_against_a_loader(loras: Callable, file_of: Callable) -> None:
    tensors = file_of("native_peft")
    loras(STYLE, {key: torch.zeros_like(tensor) if "lora_B" in key else tensor for key, tensor in tensors.items()})
    experts = Experts(Expert(ModelHandle(open_tiny(0), "high MODEL")))
    assert "20 of 20 weights changed" in apply_loras(experts, (LoraSpec(STYLE),))[1]


def test_a_loader_without_a_plain_layer_is_not_taken_at_its_word() -> None:
    patcher = open_tiny(0)
    shapes = {"blocks.0.modulation": torch.Size([1, 6, 128]), "patch_embedding.weight": torch.Size([128, 16, 1, 2, 2])}
    assert takes_patches(patcher, shapes, shapes) is False


# DynamicVRAM puts LoRAs on in layers of the host's own alone
@pytest.mark.parametrize(("kind", "verified"), [(Own, not dynamic_vram.wanted()), (Hidden, False), (Int8, False)])
def test_a_foreign_loader_is_believed_as_far_as_its_layers_go(kind: type, verified: bool, said: Callable) -> None:
    """Its patcher has a class of its own, as GGUF's has and others' may; what counts is what the layers do."""

    class ForeignPatcher(type(open_tiny(0))):
        pass

    patcher = with_layers(kind)
    patcher.__class__ = ForeignPatcher
    text = said(patcher)
    assert ("20 of 20 weights changed" in text, NOT_VERIFIED in text) == (verified, not verified)


@pytest.mark.parametrize("hangs", [True, False])
def test_a_loader_that_patches_as_its_layers_run_is_believed_once_it_is_seen(hangs: bool, said: Callable) -> None:
    class PackedPatcher(ModelPatcher):
        """Leaves packed weights as they are; what is to be added it hangs on their layers, or forgets."""

        def patch_weight_to_device(self, key: str, *args: Any, **kwargs: Any) -> Any:
            layer = self.get_model_object(key.rpartition(".")[0])
            if not (isinstance(layer, Packed) and key.endswith(".weight")):
                return super().patch_weight_to_device(key, *args, **kwargs)
            layer.hung = (key, self.patches.get(key, []) if hangs else [])

    patcher = with_layers(Packed)
    patcher.__class__ = PackedPatcher
    text = said(patcher)
    assert ("20 of 20 weights changed" in text, NOT_VERIFIED in text) == (hangs, not hangs)
    layers = [module for module in patcher.model.modules() if isinstance(module, Packed)]
    assert layers and not any(layer.hung[1] for layer in layers)  # they are tried on copies


def test_trying_a_layer_leaves_the_model_as_it_was(said: Callable) -> None:
    patcher = open_tiny(0)
    before, patches = copy_of(patcher), copy.copy(patcher.patches)
    said(patcher)
    assert all(torch.equal(weight, before[name]) for name, weight in patcher.model.state_dict().items())
    assert (patcher.patches, patcher.backup) == (patches, {})


def test_a_model_that_is_loaded_with_a_lora_is_tried_all_the_same(said: Callable) -> None:
    from comfy.model_management import load_models_gpu, unload_all_models

    patcher = open_tiny(0)
    load_models_gpu([patcher])
    before = copy_of(patcher)
    assert "20 of 20 weights changed" in said(patcher)
    assert all(torch.equal(weight, before[name]) for name, weight in patcher.model.state_dict().items())
    unload_all_models()
