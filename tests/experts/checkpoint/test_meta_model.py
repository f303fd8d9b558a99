"""A skeleton knows every weight, on hosts too whose layers have none until a file is read."""

from typing import Any

import comfy.ops
import pytest
import torch
from torch import nn
from wan_duet.dev.tiny import transformer
from wan_duet.experts.checkpoint.meta_model import skeleton

CONFIG: dict[str, Any] = {
    "image_model": "wan2.1",
    "model_type": "t2v",
    **{"dim": 128, "ffn_dim": 256, "num_heads": 1, "num_layers": 2, "in_dim": 16, "out_dim": 16},
}


class LazyLinear(nn.Linear, comfy.ops.CastWeightBiasOp):
    """As under DynamicVRAM: without a weight until a file is read, unless a subclass reads files in its own way."""

    def __init__(self, in_features: int, out_features: int, bias: bool = True, device: Any = None, dtype: Any = None):
        if type(self)._load_from_state_dict is not LazyLinear._load_from_state_dict:
            super().__init__(in_features, out_features, bias, device, dtype)
            return
        nn.Module.__init__(self)
        self.weight = self.bias = None

    def _load_from_state_dict(self, state_dict: dict[str, torch.Tensor], prefix: str, *_: Any) -> None:
        self.weight = nn.Parameter(state_dict[f"{prefix}weight"], requires_grad=False)
        self.bias = nn.Parameter(state_dict[f"{prefix}bias"], requires_grad=False)


class FusedLinear(nn.Linear, comfy.ops.CastWeightBiasOp):
    """As from 0.40 on: a Linear takes along what comes before and after it."""

    def forward(self, input: torch.Tensor, prologue: Any = None, epilogue: Any = None) -> torch.Tensor:
        before = input if prologue is None else prologue(input)
        with_weight = torch.nn.functional.linear(before, self.weight, self.bias)
        return with_weight if epilogue is None else epilogue(with_weight)


@pytest.mark.parametrize("linear", [None, LazyLinear, FusedLinear], ids=["this host's", "lazy", "fused"])
def test_it_has_every_weight_of_the_file(linear: type[nn.Linear] | None, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = {name: weight.shape for name, weight in transformer(0).items()}
    if linear is not None:
        monkeypatch.setattr(comfy.ops.disable_weight_init, "Linear", linear)
    weights = skeleton(CONFIG).diffusion_model.state_dict()
    assert {name: weight.shape for name, weight in weights.items()} == wanted
    assert all(weight.is_meta for weight in weights.values())


def test_the_lazy_stand_in_has_no_weight() -> None:
    assert LazyLinear(2, 2).weight is None


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_its_weights_and_its_computing_have_the_precision_asked_for(dtype: torch.dtype) -> None:
    model = skeleton(CONFIG, dtype)
    assert (model.get_dtype(), model.manual_cast_dtype) == (dtype, None)
    assert model.diffusion_model.blocks[0].self_attn.q.weight.dtype == dtype
