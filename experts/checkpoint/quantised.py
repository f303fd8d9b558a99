"""The tensors of a file in the host's own model of it, as its loader puts them there."""

from collections.abc import Mapping, Sequence, Set
from typing import Any

import comfy.model_management
import torch
from torch import Tensor, nn

from ...host.models import BaseModel, disable_weight_init, model_config_from_unet
from ...host.quantised import in_one_spelling, is_quantised

SCALES = (".weight_scale", ".scale_weight")  # of a weight, in ComfyUI's newer and older files
_OF_INPUTS = (".input_scale", ".scale_input")  # they speed up what is right without them
CPU = torch.device("cpu")


def as_host_reads(
    tensors: Mapping[str, Tensor], metadata: Mapping[str, str], wanted: Sequence[str] = ()
) -> tuple[BaseModel, list[str]]:
    """The host's model with the tensors of a file in it, and the names of those it leaves out.

    The model computes in fp32. Tensors may be on the meta device, but for those of the modules `wanted`. Raises what
    the host raises when it doesn't understand them.
    """
    state = {key: tensor for key, tensor in tensors.items() if not key.endswith(_OF_INPUTS)}
    state, said = in_one_spelling(state, metadata)
    known: Any = model_config_from_unet(state, "", metadata=said)
    known.set_inference_dtype(torch.float32, torch.float32)
    model = known.get_model({}, "", device=torch.device("meta"))
    network: Any = model.diffusion_model
    for name, module in list(network.named_modules()):
        if name.startswith(tuple(wanted)) and _has_values_of_its_own(module):
            own = type(module)(module.in_features, module.out_features, module.bias is not None, device=CPU)
            setattr(network.get_submodule(name.rpartition(".")[0]), name.rpartition(".")[2], own)
    types = {name: parameter.dtype for name, parameter in network.named_parameters()}
    state = {key: value.to(types.get(key, value.dtype)) for key, value in state.items()}  # as the host copies them
    left = network.load_state_dict(known.process_unet_state_dict(state), strict=False, assign=True)
    return model, left.unexpected_keys


def unpacked(network: nn.Module, name: str, device: torch.device = CPU) -> Tensor:
    """A weight that the host has read, in fp32."""
    owner, _, own = name.rpartition(".")
    module = network.get_submodule(owner)
    convert = getattr(module, f"convert_{own}", lambda weight: weight)
    return convert(getattr(module, own).to(device)).float()


def is_rounded(module: nn.Module) -> bool:
    """Say whether the host rounds the weight of this module to less than 16 bits when it puts a changed one there."""
    weight: Any = module._parameters.get("weight")
    if weight is None or not weight.is_floating_point():  # GGUF loaders leave theirs as it is
        return False
    return is_quantised(weight.detach()) or weight.dtype.itemsize == 1


def misread(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> str | None:
    """The mistake that this host would make with the packed weights of a file; None if it reads them all.

    Left to itself it writes a line into its log and goes on, and the video is noise.
    """
    packed = {key for key, tensor in tensors.items() if key.endswith(".weight") and tensor.dtype.itemsize == 1}
    if not packed:
        return None
    try:
        model, left = as_host_reads(tensors, metadata)
        packed &= {f"{name}.weight" for name, _ in model.diffusion_model.named_modules()}
        return _left_out(packed, left) or _taken_as_plain(packed, tensors, model) or _wrong_rows(tensors, metadata)
    except Exception as error:  # the host's loader raises what it likes
        said = " ".join(str(error).split())
        return f"its loader stops ({type(error).__name__}: {said[:200]})"


def _left_out(packed: Set[str], left: Sequence[str]) -> str | None:
    lost = [key for key in left if f"{key.rpartition('.')[0]}.weight" in packed]
    return f"it leaves out {len(lost)} tensors that belong to weights, such as {lost[0]}" if lost else None


def _taken_as_plain(packed: Set[str], tensors: Mapping[str, Tensor], model: BaseModel) -> str | None:
    for key in sorted(packed):
        weight: Any = model.diffusion_model.get_submodule(key.rpartition(".")[0]).weight
        if type(weight.detach()) is Tensor and not tensors[key].is_floating_point():
            return f"it takes the packed {key} for plain numbers"
    return None


def _wrong_rows(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> str | None:
    """The fault of a host that reads a scale for each row as something else, tried on the device that will compute."""
    by_row = [key for key in tensors if key.endswith(SCALES) and is_by_row(tensors, key)]
    if not by_row:
        return None
    scale = min(by_row, key=lambda key: tensors[key].numel())
    stem = scale.rpartition(".")[0]
    weight, rows = tensors[f"{stem}.weight"], torch.arange(tensors[scale].numel()) % 4
    made = {
        f"{stem}.weight": torch.ones(weight.shape).to(weight.dtype),
        scale: (2.0**rows).reshape(tensors[scale].shape).to(tensors[scale].dtype),
    }
    model, _ = as_host_reads({**tensors, **made}, metadata, (stem,))
    device: Any = comfy.model_management.get_torch_device()
    found = unpacked(model.diffusion_model, f"{stem}.weight", device).cpu()
    if torch.equal(found, found[:1] * 2.0 ** rows[:, None]):
        return None
    return f"it reads {scale}, a scale for each row, as something else"


def is_by_row(tensors: Mapping[str, Tensor], scale: str) -> bool:
    """Say whether a tensor of this name has a scale for each row of its weight."""
    weight = tensors.get(f"{scale.rpartition('.')[0]}.weight")
    rows = 0 if weight is None else len(weight)
    return rows > 1 and tensors[scale].shape in ((rows,), (rows, 1))


def _has_values_of_its_own(module: nn.Module) -> bool:
    """Say whether the host gave a linear scales, or takes what is given to the device that it was made on."""
    return hasattr(module, "in_features") and type(module) is not disable_weight_init.Linear
