"""LoRA files: where they are, which expert each was made for, and what is in them."""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import comfy.utils
import folder_paths
import torch

from ..checkpoint.header import read_header
from ..fingerprint import fingerprint
from ..partner import partner_of, role_of, roles_of
from ..variant import HIGH, LOW
from .scale import Scale, beside_of, read_scale
from .spec import AUTO, SAME, LoraSpec

FOLDER = "loras"
# Numbers that the host looks at while it sorts the keys
_READ = re.compile(r"[._]alpha(?:\.[^.]+)?$|\.reshape_weight$")
_SAFETENSORS = (".safetensors", ".sft")


def lora_files() -> list[str]:
    """The LoRA files the host offers, sub-folders included."""
    return folder_paths.get_filename_list(FOLDER)


def lora_path(name: str) -> str:
    """The full path of a LoRA. Raises FileNotFoundError with what to do about it."""
    path = folder_paths.get_full_path(FOLDER, name)
    if path is None:
        raise FileNotFoundError(f"{name} is not in models/{FOLDER}. Put it there, or choose another file")
    return path


def files_of(spec: LoraSpec, available: Sequence[str]) -> dict[str, str]:
    """The file of each expert a LoRA is for: of a pair, each expert's own half.

    Raises ValueError when `auto` finds several partners, or only the half that it is not for.
    """
    if spec.low_file == SAME:
        return dict.fromkeys(spec.roles, spec.file)
    pair: dict[str, str] = {HIGH: spec.file, LOW: spec.file}
    own = role_of(spec.file)
    if spec.low_file != AUTO:
        pair[LOW] = spec.low_file
    elif spec.roles != (own,):
        partner = partner_of(spec.file, available, trained_apart=True)
        if partner is not None:
            pair[LOW if roles_of(spec.file, partner)[0] == HIGH else HIGH] = partner
        elif own and own not in spec.roles:
            raise ValueError(
                f"expert is '{spec.expert}', but {spec.file} is the {own} half by its name, and no other half "
                f"of it is there. Choose the {spec.expert} half, or low_file '{SAME}' to use this very file"
            )
    return {role: pair[role] for role in spec.roles}


def fingerprints(spec: LoraSpec) -> list[tuple[object, ...] | None]:
    """Values that change when a file of the LoRA does."""
    try:
        names = files_of(spec, lora_files()).values()
    except ValueError:  # several partners: said when it is applied
        names = [spec.file]
    return [found and (*found, _settings_beside(found[0])) for found in (fingerprint(name, FOLDER) for name in names)]


def _settings_beside(path: str) -> float:
    beside = beside_of(path)
    return os.stat(beside).st_mtime if beside else 0.0


def read_names(path: str) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """The keys and shapes of a LoRA, on the meta device, and its metadata; of the values only its few numbers."""
    if Path(path).suffix.lower() not in _SAFETENSORS:
        weights = read_weights(path)
        return {key: tensor if _READ.search(key) else tensor.to("meta") for key, tensor in weights.items()}, {}
    tensors, metadata = read_header(path)
    numbers = tuple(filter(_READ.search, tensors))
    return (read_header(path, numbers)[0] if numbers else tensors), metadata


def scale_of(path: str) -> Scale:
    """The scale that a LoRA states outside its keys."""
    return read_scale(path, read_names(path)[1])


def read_weights(path: str) -> dict[str, torch.Tensor]:
    """The tensors of a LoRA; entries of another type are left out, beside a dict of tensors as trainers write it."""
    held: Any = comfy.utils.load_torch_file(path, safe_load=True)
    tensors = _tensors(held)
    inside = [found for value in held.values() if isinstance(value, dict) and (found := _tensors(value))]
    return inside[0] if len(inside) == 1 and not tensors else tensors


def _tensors(held: dict[str, Any]) -> dict[str, torch.Tensor]:
    return {key: tensor for key, tensor in held.items() if isinstance(tensor, torch.Tensor)}


def claimed_role(name: str, metadata: dict[str, str]) -> str | None:
    """The expert a LoRA says it was trained for: by its timestep range, its name, or the name it was saved under."""
    first, _, last = metadata.get("modelspec.timestep_range", "").partition(",")
    if first.strip().isdecimal() and last.strip().isdecimal() and (int(first) > 0) != (int(last) < 1000):
        return HIGH if int(first) > 0 else LOW
    return role_of(name) or role_of(metadata.get("ss_output_name", ""))
