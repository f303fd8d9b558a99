"""Every Wan class: untouched where nothing may be reused, and exactly what was left out where something was."""

import comfy.utils
import pytest
import torch
from comfy.model_patcher import ModelPatcher
from wan_duet.cache.block_skip import Gate
from wan_duet.cache.settings import StepWindow
from wan_duet.cache.techniques.base import Technique
from wan_duet.cache.techniques.dual_block import DualBlock
from wan_duet.cache.techniques.seacache import SeaCache
from wan_duet.cache.techniques.teacache import TeaCache
from wan_duet.tests.cache.models import (
    CLASSES,
    SIDE_BLOCKS,
    STEPS,
    always,
    blocks,
    cached,
    calls,
    generator,
    inputs,
    layers,
    patcher,
    sample,
)


@pytest.fixture(scope="module", params=CLASSES)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def model(kind: str) -> ModelPatcher:
    return patcher(kind)


@pytest.fixture(scope="module")
def plain(model: ModelPatcher, kind: str) -> torch.Tensor:
    """The run without a cache."""
    return sample(model, kind)


@pytest.mark.parametrize(
    "technique", [DualBlock(1), DualBlock(3), TeaCache(), SeaCache()], ids=lambda technique: technique.name
)
def test_nothing_changes_at_threshold_0(
    model: ModelPatcher, kind: str, plain: torch.Tensor, technique: Technique
) -> None:
    assert torch.equal(sample(cached(model, technique), kind), plain)


def test_nothing_changes_where_the_guards_forbid(model: ModelPatcher, kind: str, plain: torch.Tensor) -> None:
    assert torch.equal(sample(cached(model, **always(window=StepWindow(7, 8))), kind), plain)


@pytest.mark.parametrize("first", [0, 1, 3])
def test_a_reused_evaluation_runs_the_first_blocks_and_their_side_branches_only(
    model: ModelPatcher, kind: str, first: int
) -> None:
    technique = DualBlock(first) if first else TeaCache()
    computed = 4  # the first and the last step, and two between them
    with calls(blocks(model)) as ran:
        sample(cached(model, technique, **always(mask="#..#..##")), kind)
    assert ran == [STEPS] * first + [computed] * (layers(kind) - first)


def test_side_branches_after_the_first_blocks_are_left_out_too(model: ModelPatcher, kind: str) -> None:
    if kind not in SIDE_BLOCKS:
        pytest.skip("this class has no side branches")
    side = comfy.utils.get_attr(model.model.diffusion_model, SIDE_BLOCKS[kind])
    side = [module for module in (side.values() if isinstance(side, torch.nn.ModuleDict) else side)]
    with calls(side) as without:
        sample(model, kind)
    with calls(side) as ran:
        sample(cached(model, DualBlock(1), **always(mask="#..#..##")), kind)
    assert [count * STEPS for count in ran[1:]] == [count * 4 for count in without[1:]]
    assert ran[0] in (without[0], without[0] * 4 // STEPS)


@pytest.mark.parametrize("depth", [0, 1, 3])
def test_reusing_a_residual_on_the_same_input_gives_the_same_output(model: ModelPatcher, kind: str, depth: int) -> None:
    draw = generator(5)
    x, text = draw(2, 48 if kind == "5b" else 16, 3, 8, 8), draw(2, 12, 32)
    extra = {name: torch.cat([value, value.flip(-1)]) for name, value in inputs(kind).items()}
    if kind == "vace":
        extra["vace_strength"] = [1.0]  # pyright: ignore[reportArgumentType]
    net, kept = model.model.diffusion_model, []
    before = x.clone()

    def run(reuse: torch.Tensor | None) -> torch.Tensor:
        with torch.no_grad(), Gate(net, depth, lambda _: reuse, kept.append):
            return net(x, torch.full((2,), 700.0), context=text, transformer_options={}, **extra)

    with torch.no_grad():
        expected = net(x, torch.full((2,), 700.0), context=text, transformer_options={}, **extra)
    assert torch.equal(run(None), expected)
    assert (run(kept[0]) - expected).abs().max() < 2e-5 * expected.abs().max()
    assert torch.equal(x, before)
    assert len(kept) == 1
