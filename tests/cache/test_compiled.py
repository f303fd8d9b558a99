"""torch.compile: block by block it changes nothing; around the whole model only what needs no block is reused."""

import pytest
import torch
from comfy.model_patcher import ModelPatcher
from comfy_api.torch_helpers import set_torch_compile_wrapper
from wan_duet.cache.techniques.base import Technique
from wan_duet.cache.techniques.seacache import SeaCache
from wan_duet.cache.techniques.teacache import TeaCache
from wan_duet.tests.cache.models import always, blocks, cached, calls, patcher, sample

NETWORK = "diffusion_model"
ORDERS = ["the cache first", "the compiler first"]


@pytest.fixture(scope="module")
def base() -> ModelPatcher:
    """Two blocks: tracing takes its time."""
    return patcher("base", blocks=2)


def compiled(model: ModelPatcher, *keys: str) -> ModelPatcher:
    """The MODEL as the host's own function compiles it: the whole network, or single modules."""
    clone = model.clone()
    set_torch_compile_wrapper(clone, backend="eager", keys=list(keys))
    return clone


def per_block(model: ModelPatcher) -> ModelPatcher:
    return compiled(model, *(f"diffusion_model.blocks.{number}" for number in range(len(blocks(model)))))


def graphs() -> int:
    """How many graphs have been compiled."""
    return torch._dynamo.utils.counters["stats"]["unique_graphs"]


def run(model: ModelPatcher) -> torch.Tensor:
    return sample(model, cfg=1.0, steps=4)


@pytest.fixture(scope="module")
def whole(base: ModelPatcher) -> torch.Tensor:
    """What the model makes that is compiled as one, which takes its time only once."""
    found = run(compiled(base, NETWORK))
    assert graphs() > 0
    return found


@pytest.mark.parametrize("order", ORDERS)
def test_a_whole_is_left_alone_by_a_cache_that_must_look_between_its_blocks(
    base: ModelPatcher, whole: torch.Tensor, caplog: pytest.LogCaptureFixture, order: str
) -> None:
    caplog.set_level("INFO", "wan_duet")
    first = compiled(cached(base, **always()), NETWORK)
    both = first if order == ORDERS[0] else cached(compiled(base, NETWORK), **always())
    before = graphs()
    assert torch.equal(run(both), whole)
    assert graphs() == before
    assert "Compile block by block" in caplog.text
    assert "4 of 4 evaluations" in caplog.text


@pytest.mark.parametrize("technique", [TeaCache(), SeaCache()], ids=lambda technique: technique.name)
@pytest.mark.parametrize("order", ORDERS)
def test_of_a_whole_a_cache_that_decides_before_it_reuses_the_output(
    base: ModelPatcher, whole: torch.Tensor, caplog: pytest.LogCaptureFixture, technique: Technique, order: str
) -> None:
    caplog.set_level("INFO", "wan_duet")
    settings = always(mask="#.##")
    first = compiled(cached(base, technique, **settings), NETWORK)
    both = first if order == ORDERS[0] else cached(compiled(base, NETWORK), technique, **settings)
    before = graphs()
    with calls([base.model.diffusion_model]) as asked:
        found = run(both)
    assert graphs() == before
    assert asked == [3]
    assert not torch.equal(found, whole)
    assert (found - whole).norm() < 0.3 * whole.norm()
    assert torch.equal(run(compiled(cached(base, technique), NETWORK)), whole)


def test_block_by_block_the_cache_does_what_it_does_and_nothing_is_compiled_again(base: ModelPatcher) -> None:
    settings = always(mask="#.##")
    expected = run(cached(base, **settings))
    run(per_block(base))
    before = graphs()
    for both in (per_block(cached(base, **settings)), cached(per_block(base), **settings)):
        assert (run(both) - expected).norm() < 1e-4 * expected.norm()
    assert graphs() == before > 0
