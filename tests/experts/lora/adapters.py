"""How each kind of adapter is written into a file, and its own formula in fp32: the oracle of the merge."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor

Formula = Callable[[Tensor, float], Tensor]
RANK = 4


@dataclass
class Written:
    """The tensors of one module, by suffix, and what they make of its weight (and bias) at a strength."""

    tensors: dict[str, Tensor]
    weight: Formula | None = None
    bias: Formula | None = None
    extra: dict[str, Tensor] = field(default_factory=dict)


Adapter = Callable[[torch.Size], Written]


def _random(*shape: int) -> Tensor:
    return torch.randn(shape) * 0.3


def _plus(delta: Tensor) -> Formula:
    return lambda weight, strength: weight + strength * delta.reshape(weight.shape)


def _decomposed(delta: Tensor, magnitude: Tensor) -> Formula:
    """DoRA as the host has it: the direction is scaled by magnitude over the norm of the weight it finds."""

    def formula(weight: Tensor, strength: float) -> Tensor:
        scaled = (weight + delta) * magnitude.reshape(-1, 1) / weight.norm(dim=1, keepdim=True)
        return weight + strength * (scaled - weight)

    return formula


def lora(
    shape: torch.Size,
    down: str,
    up: str,
    alpha: float | None = None,
    magnitude: str = "",
    dtype: torch.dtype | None = None,
) -> Written:
    """Low rank; conv weights too."""
    first, second = _random(RANK, *shape[1:]), _random(shape[0], RANK, *[1] * (len(shape) - 2))
    if dtype:
        first, second = first.to(dtype), second.to(dtype)
    tensors = {down: first, up: second}
    scale = 1.0
    if alpha is not None:
        tensors[".alpha"] = torch.tensor(alpha)
        scale = alpha / RANK
    delta = scale * second.float().flatten(1) @ first.float().flatten(1)
    if not magnitude:
        return Written(tensors, _plus(delta))
    lengths = 1 + _random(shape[0]).abs()
    tensors[magnitude] = lengths.reshape(-1, 1) if magnitude == ".dora_scale" else lengths
    return Written(tensors, _decomposed(delta, lengths))


def side_path(shape: torch.Size) -> Written:
    """Stand-In: layers beside the model's own, which no weight can hold."""
    return Written(lora(shape, "_loras.down.weight", "_loras.up.weight").tensors)


def lora_with_bias(shape: torch.Size) -> Written:
    written = PEFT(shape)
    bias = _random(shape[0])
    return Written({**written.tensors, ".lora_B.bias": bias}, written.weight, _plus(bias))


def lora_and_differences(shape: torch.Size) -> Written:
    """lightx2v: low rank on the weight, a difference on the bias."""
    written, bias = lora(shape, ".lora_down.weight", ".lora_up.weight"), _random(shape[0])
    return Written({**written.tensors, ".diff_b": bias}, written.weight, _plus(bias))


def lora_and_difference(shape: torch.Size) -> Written:
    """Both on one weight."""
    written, other = lora(shape, ".lora_down.weight", ".lora_up.weight"), _random(*shape)
    tensors = {**written.tensors, ".diff": other}
    both: Formula = lambda weight, strength: written.weight(weight, strength) + strength * other  # noqa: E731
    return Written(tensors, both)


def difference(shape: torch.Size, suffix: str = ".diff") -> Written:
    delta = _random(*shape)
    return Written({suffix: delta}, _plus(delta))


def difference_and_bias(shape: torch.Size) -> Written:
    delta, bias = _random(*shape), _random(shape[0])
    return Written({".diff": delta, ".diff_b": bias}, _plus(delta), _plus(bias))


def norms(shape: torch.Size) -> Written:
    delta, bias = _random(*shape), _random(*shape)
    return Written({".w_norm": delta, ".b_norm": bias}, _plus(delta), _plus(bias))


def replaced(shape: torch.Size) -> Written:
    value = _random(*shape)
    return Written({".set_weight": value}, lambda weight, strength: value)


def lokr(shape: torch.Size) -> Written:
    """Kronecker product with one factor of low rank."""
    rows, columns = shape
    w1, a, b = _random(8, 8), _random(rows // 8, RANK), _random(RANK, columns // 8)
    tensors = {".lokr_w1": w1, ".lokr_w2_a": a, ".lokr_w2_b": b, ".alpha": torch.tensor(2.0)}
    return Written(tensors, _plus(torch.kron(w1, a @ b) * 2.0 / RANK))


def lokr_full(shape: torch.Size) -> Written:
    """Both factors whole: alpha is a huge number that means nothing."""
    w1, w2 = _random(8, 8), _random(shape[0] // 8, shape[1] // 8)
    return Written({".lokr_w1": w1, ".lokr_w2": w2, ".alpha": torch.tensor(1e10)}, _plus(torch.kron(w1, w2)))


def loha(shape: torch.Size) -> Written:
    a1, b1, a2, b2 = _random(shape[0], RANK), _random(RANK, shape[1]), _random(shape[0], RANK), _random(RANK, shape[1])
    tensors = {".hada_w1_a": a1, ".hada_w1_b": b1, ".hada_w2_a": a2, ".hada_w2_b": b2, ".alpha": torch.tensor(2.0)}
    return Written(tensors, _plus((a1 @ b1) * (a2 @ b2) * 2.0 / RANK))


def glora(shape: torch.Size) -> Written:
    a1, a2 = _random(shape[1], RANK), _random(RANK, shape[1])
    b1, b2 = _random(shape[0], RANK), _random(RANK, shape[1])
    tensors = {".a1.weight": a1, ".a2.weight": a2, ".b1.weight": b1, ".b2.weight": b2, ".alpha": torch.tensor(2.0)}
    return Written(tensors, lambda w, s: w + s * 2.0 / RANK * (w @ a1 @ a2 + b1 @ b2))


def oft(shape: torch.Size) -> Written:
    blocks = 0.1 * torch.randn(shape[0] // 8, 8, 8)
    skew = blocks - blocks.transpose(1, 2)
    turn = (torch.eye(8) + skew) @ torch.linalg.inv(torch.eye(8) - skew) - torch.eye(8)

    def formula(weight: Tensor, strength: float) -> Tensor:
        turned = torch.einsum("knm,kni->kmi", turn, weight.view(-1, 8, weight.shape[1])).reshape(weight.shape)
        return weight + strength**2 * turned  # the host multiplies by the strength twice

    return Written({".oft_blocks": blocks}, formula)


def boft(shape: torch.Size) -> Written:
    """Two butterfly factors of 8x8 turns; the host needs the alpha (its constraint) to be there."""
    count = shape[0] // 8
    blocks = 0.1 * torch.randn(2, count, 8, 8)
    skew = blocks - blocks.transpose(-1, -2)
    turns = (torch.eye(8) + skew) @ torch.linalg.inv(torch.eye(8) - skew)

    def formula(weight: Tensor, strength: float) -> Tensor:
        turned = weight
        for level, factor in enumerate(turns):
            factor = factor * strength + (1 - strength) * torch.eye(8)
            stride = 4 * 2**level
            rows = torch.arange(shape[0]).view(-1, 2, stride).transpose(1, 2).reshape(count, 8)
            mixed = torch.einsum("bij,bjk->bik", factor, turned[rows])
            turned = torch.empty_like(weight).index_copy_(0, rows.flatten(), mixed.flatten(0, 1))
        return weight + strength * (turned - weight)

    return Written({".oft_blocks": blocks, ".alpha": torch.tensor(1e3)}, formula)


PEFT = partial(lora, down=".lora_A.weight", up=".lora_B.weight")
PEFT_BF16 = partial(PEFT, dtype=torch.bfloat16)
PEFT_DEFAULT = partial(lora, down=".lora_A.default.weight", up=".lora_B.default.weight")
PEFT_MAGNITUDE = partial(PEFT, magnitude=".lora_magnitude_vector")
PEFT_DORA = partial(PEFT, magnitude=".dora_scale")
DOWN_UP = partial(lora, down=".lora_down.weight", up=".lora_up.weight")
KOHYA = partial(DOWN_UP, alpha=2.0)
KOHYA_DORA = partial(KOHYA, magnitude=".dora_scale")
DIFFERENCE_M = partial(difference, suffix=".diff_m")
WHOLE = partial(difference, suffix=".weight")
