"""The conds of the second expert are made by its own model, from what the first one's are made from."""

from typing import Any

import pytest
import torch
from comfy.model_patcher import ModelPatcher
from torch import Tensor
from wan_duet.tests.samplers.runs import SIZE, Job, duet, pair, random


def same(one: Any, other: Any) -> bool:
    return torch.equal(one, other) if isinstance(one, Tensor) else one == other


@pytest.mark.parametrize("latent", [torch.zeros(SIZE), random(*SIZE, seed=3)], ids=["empty", "video"])
def test_each_model_makes_its_conds_from_the_same_latents(
    latent: Tensor, high: ModelPatcher, other: ModelPatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, list[dict[str, Any]]] = {"high": [], "low": []}
    for role, model in (("high", high), ("low", other)):
        usual = model.model.extra_conds

        def note(role: str = role, usual: Any = usual, **about: Any) -> dict[str, Any]:
            asked[role].append(about)
            return usual(**about)

        monkeypatch.setattr(model.model, "extra_conds", note)
    duet(pair(high, other), Job(latent=latent, mask=torch.ones(1, 1, 8, 8)))

    assert [about["prompt_type"] for about in asked["low"]] == ["positive", "negative"]
    given = ("noise", "latent_image", "denoise_mask", "seed", "latent_shapes", "device", "width", "height")
    for first, second in zip(asked["high"], asked["low"], strict=True):
        assert [name for name in given if not same(first[name], second[name])] == []
