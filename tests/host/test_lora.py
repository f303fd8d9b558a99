"""A layer tried apart from its model."""

import torch
from wan_duet.host.lora import unloaded_copy


def test_a_copy_of_a_layer_has_its_values_in_parameters_of_its_own() -> None:
    layer = torch.nn.Linear(4, 3, bias=False)
    copied = unloaded_copy(layer)
    assert isinstance(copied, torch.nn.Linear) and copied.bias is None
    assert torch.equal(copied.weight, layer.weight) and copied.weight is not layer.weight
    copied.weight = torch.nn.Parameter(torch.zeros(3, 4))
    assert layer.weight.any()
