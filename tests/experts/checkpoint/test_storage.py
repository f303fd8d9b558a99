"""The format of a file by its name, and files that this host would misread."""

import json
from collections.abc import Callable
from pathlib import Path

import comfy.sd
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from wan_duet.dev.tiny import transformer
from wan_duet.experts.checkpoint.contents import read_checkpoint
from wan_duet.tests.experts.quantised import (
    BY_HAND,
    FORMATS,
    Stored,
    Weights,
    fp8_by_marker,
    in_fp8,
    in_int8,
    made_here,
)
from wan_duet.tests.samplers.runs import Job, plain, relative_difference

JOB = Job(given=(1.0, 0.5, 0.0))
NOISE = 0.5  # relative to the exact video; the coarsest format that is read is .2 off
NAMES = {
    "scaled_fp8": "fp8 e4m3 scaled",
    "scaled_fp8 by row": "fp8 e4m3 scaled",
    "fp8 by metadata": "fp8 e4m3 scaled",
    "fp8": "fp8 e4m3 scaled",
    "fp8 by row": "fp8 e4m3 scaled",
    "fp8 e5m2": "fp8 e5m2 scaled",
    "nvfp4": "nvfp4",
    "mxfp8": "mxfp8",
    "int8": "int8",
    "int8 by row": "int8",
    "int8 rotated": "int8 rotated",
    "w4a4": "w4a4",
    "w4a8": "w4a8",
}


@pytest.fixture(scope="module")
def weights() -> Weights:
    return transformer(0, layers=1)


@pytest.fixture
def write(tmp_path: Path) -> Callable[[Stored], str]:
    """A function that writes a file and returns its path."""

    def write(stored: Stored) -> str:
        path = str(tmp_path / "expert.safetensors")
        save_file(stored.tensors, path, stored.metadata)
        return path

    return write


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_is_called_by_its_name_where_it_is_read_and_where_it_is_not(
    write: Callable, weights: Weights, name: str
) -> None:
    path = write(made_here(name, weights))
    try:
        assert read_checkpoint(path).storage == NAMES[name]
    except ValueError as refused:
        assert f"stores its weights as {NAMES[name]}, and this ComfyUI would misread them" in str(refused)


@pytest.mark.parametrize(
    ("dtype", "name"),
    [
        (torch.bfloat16, "bf16"),
        (torch.float16, "fp16"),
        (torch.float32, "fp32"),
        (torch.float8_e4m3fn, "fp8 e4m3"),
        (torch.float8_e5m2, "fp8 e5m2"),
    ],
)
def test_a_file_without_scales_is_called_by_its_type(
    write: Callable, weights: Weights, dtype: torch.dtype, name: str
) -> None:
    """By most of its weights: the small ones are often kept in another."""
    stored = {key: weight.to(dtype) if weight.ndim == 2 else weight for key, weight in weights.items()}
    checkpoint = read_checkpoint(write(Stored(stored)))
    assert checkpoint.storage == name
    assert str(checkpoint).endswith(f"MB, {name}")


def test_what_is_not_of_the_transformer_does_not_count(write: Callable, weights: Weights) -> None:
    """A text encoder in the same file, and a module that this kind of transformer doesn't have."""
    packed, scale = in_int8(torch.randn(8, 8))
    others = {
        f"{stem}.weight{end}": part.clone()
        for stem in ("text_encoders.umt5.q", "model.diffusion_model.extra.q")
        for end, part in (("", packed), ("_scale", scale))
    }
    stored = {f"model.diffusion_model.{name}": weight.bfloat16() for name, weight in weights.items()}
    assert read_checkpoint(write(Stored({**stored, **others}))).storage == "bf16"


def with_scales(weights: Weights, pack: Callable[[Tensor], tuple[Tensor, Tensor]], **said: object) -> Stored:
    """Every linear packed, beside its scale, and beside what it says of itself if that is anything."""
    made = dict(weights)
    for name, weight in weights.items():
        if name.endswith(".weight") and weight.ndim == 2:
            made[name], made[f"{name}_scale"] = pack(weight)
            if said:
                told = torch.tensor(list(json.dumps(said).encode()), dtype=torch.uint8)
                made[name.replace(".weight", ".comfy_quant")] = told
    return Stored(made)


def in_halves(weight: Tensor) -> tuple[Tensor, Tensor]:
    """As nvfp4 lies in a file: two weights a byte."""
    return torch.zeros(weight.shape[0], weight.shape[1] // 2, dtype=torch.uint8), torch.ones(())


def flat(weight: Tensor) -> tuple[Tensor, Tensor]:
    """A scale for each row, in one dimension."""
    packed, scale = in_fp8(weight, by_row=True)
    return packed, scale.flatten()


def bare(weights: Weights) -> Stored:
    """Packed weights and nothing else."""
    return Stored(
        {name: weight for name, weight in with_scales(weights, in_int8).tensors.items() if "_scale" not in name}
    )


def unmarked(weights: Weights) -> Stored:
    """Scaled fp8 without the marker that says so."""
    return Stored({name: tensor for name, tensor in fp8_by_marker(weights).tensors.items() if name != "scaled_fp8"})


SPELLINGS: dict[str, Callable[[Weights], Stored]] = {
    **{name: FORMATS[name] for name in BY_HAND},
    "int8 of other loaders": lambda weights: with_scales(weights, in_int8),
    "int8 by row of other loaders": lambda weights: with_scales(weights, lambda weight: in_int8(weight, by_row=True)),
    "fp8 of other loaders": lambda weights: with_scales(weights, in_fp8),
    "fp8 by row in one dimension": lambda weights: with_scales(weights, flat, format="float8_e4m3fn"),
    "fp8 without the marker": unmarked,
    "nvfp4 without its words": lambda weights: with_scales(weights, in_halves),
    "int8 without scales": bare,
    "an unknown word": lambda weights: with_scales(weights, in_int8, format="int9"),
}


@pytest.mark.parametrize("name", SPELLINGS)
def test_a_file_is_refused_just_where_the_hosts_own_loader_makes_noise_of_it(
    write: Callable, weights: Weights, name: str
) -> None:
    path = write(SPELLINGS[name](weights))
    try:
        read_checkpoint(path)
        refused = None
    except ValueError as error:
        refused = str(error)
    with torch.inference_mode():
        exact = plain(comfy.sd.load_diffusion_model_state_dict(dict(weights)), JOB)
        try:
            found = plain(comfy.sd.load_diffusion_model(path), JOB)
            good = relative_difference(found, exact) < NOISE
        except Exception:
            good = False
    assert (refused is None) == good, refused
    if refused:
        assert "it knows bf16, fp16, fp8 e4m3 scaled" in refused and "Experts From Models" in refused
