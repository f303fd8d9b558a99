"""torch.compile: block by block it changes nothing; around the whole model only what needs no block is reused."""

from typing import Any

import pytest
import torch
from comfy.model_patcher import ModelPatcher
from comfy_api.torch_helpers import set_torch_compile_wrapper
from torch import nn
from wan_duet.cache.teacache import TeaCache
from wan_duet.tests.cache.models import always, blocks, cached, calls, patcher, sample

ORDERS = ["the cache first", "the compiler first"]


@pytest.fixture(scope="module")
def base() -> ModelPatcher:
    """Two blocks: tracing takes its time."""
    return patcher("base", blocks=2)


class Compiled(nn.Module):
    """In place of a network that torch.compile has as a whole: it may not find another list of blocks in it."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self._orig_mod = model

    def __getattr__(self, name: str) -> Any:
        return super().__getattr__(name) if name == "_orig_mod" else getattr(self._orig_mod, name)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        assert type(self._orig_mod.blocks) is nn.ModuleList
        return self._orig_mod(*args, **kwargs)


@pytest.fixture
def whole_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", lambda model, **_: Compiled(model))


def compiled(model: ModelPatcher, *keys: str) -> ModelPatcher:
    """The MODEL as the host's own function compiles it: the whole network, or single modules."""
    clone = model.clone()
    set_torch_compile_wrapper(clone, backend="eager", keys=list(keys))
    return clone


def per_block(model: ModelPatcher) -> ModelPatcher:
    return compiled(model, *(f"diffusion_model.blocks.{number}" for number in range(len(blocks(model)))))


def graphs(model: ModelPatcher) -> tuple[torch.Tensor, int]:
    """What a short run makes, and how many graphs it compiles."""
    torch.compiler.reset()
    counters = torch._dynamo.utils.counters
    counters.clear()
    return sample(model, cfg=1.0, steps=4), counters["stats"]["unique_graphs"]


def test_block_by_block_the_cache_does_what_it_does_and_nothing_is_compiled_again(base: ModelPatcher) -> None:
    settings = always(mask="#.##")
    expected = sample(cached(base, **settings), cfg=1.0, steps=4)
    _, uncached = graphs(per_block(base))
    for both in (per_block(cached(base, **settings)), cached(per_block(base), **settings)):
        found, compiled_graphs = graphs(both)
        assert (found - expected).norm() < 1e-4 * expected.norm()
        assert compiled_graphs == uncached > 0


@pytest.mark.usefixtures("whole_at_once")
@pytest.mark.parametrize("order", ORDERS)
def test_a_whole_is_left_alone_by_a_cache_that_must_look_between_its_blocks(
    base: ModelPatcher, caplog: pytest.LogCaptureFixture, order: str
) -> None:
    caplog.set_level("INFO", "wan_duet")
    network = "diffusion_model"
    first = compiled(cached(base, **always()), network)
    both = first if order == ORDERS[0] else cached(compiled(base, network), **always())
    assert torch.equal(sample(both), sample(base))
    assert "Compile block by block" in caplog.text
    assert "8 of 8 evaluations" in caplog.text


@pytest.mark.usefixtures("whole_at_once")
@pytest.mark.parametrize("order", ORDERS)
def test_of_a_whole_a_planned_cache_reuses_the_output(base: ModelPatcher, order: str) -> None:
    settings, network = always(mask="#.#.#.##"), "diffusion_model"
    first = compiled(cached(base, TeaCache(), **settings), network)
    both = first if order == ORDERS[0] else cached(compiled(base, network), TeaCache(), **settings)
    with calls([base.model.diffusion_model.patch_embedding]) as asked:
        found = sample(both)
    assert asked == [5]
    plain = sample(base)
    assert not torch.equal(found, plain)
    assert (found - plain).norm() < 0.3 * plain.norm()
    assert torch.equal(sample(compiled(cached(base, TeaCache()), network)), plain)
