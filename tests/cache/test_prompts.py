"""What one prompt made is never another's: batched, one by one, in windows, from two threads."""

import inspect
import threading
from collections.abc import Callable
from itertools import chain, cycle, repeat
from typing import Any

import comfy.context_windows
import comfy.samplers
import pytest
import torch
from comfy.model_patcher import ModelPatcher
from comfy.patcher_extension import WrappersMP
from wan_duet.cache.techniques.base import Technique
from wan_duet.cache.techniques.dual_block import DualBlock
from wan_duet.cache.techniques.seacache import SeaCache
from wan_duet.cache.techniques.teacache import TeaCache
from wan_duet.tests.cache.models import STEPS, Cond, always, blocks, cached, calls, prompt, sample, sigmas

TECHNIQUES = [DualBlock(1), TeaCache(), SeaCache()]
MASK = "#..#.#.#"
Free = Callable[[Any], None]
# Newer hosts show a window the frame before it
HANDLER = inspect.signature(comfy.context_windows.IndexListContextHandler).parameters
WINDOWS_APART: dict[str, Any] = {name: False for name in ("causal_window_fix",) if name in HANDLER}


def near(found: torch.Tensor, expected: torch.Tensor) -> bool:
    """Equal but for what a batch of two rounds in another way than two of one."""
    return bool((found - expected).norm() < 1e-3 * expected.norm())


def reused(model: ModelPatcher, technique: Technique, **settings: Any) -> torch.Tensor:
    return sample(cached(model, technique, **always(mask=MASK)), **settings)


@pytest.mark.parametrize("technique", TECHNIQUES, ids=lambda technique: technique.name)
def test_batched_one_by_one_and_in_turns_come_to_the_same(
    base: ModelPatcher, free_memory: Free, technique: Technique
) -> None:
    free_memory(False)
    alone = reused(base, technique)
    free_memory(True)
    batched = reused(base, technique)
    free_memory(chain([True, True], cycle([False, False, True])))  # now a pair, now each prompt by itself
    in_turns = reused(base, technique)
    assert near(batched, alone) and near(in_turns, alone)
    assert not near(sample(base), alone)  # something was reused


def test_the_negative_prompt_is_never_answered_with_the_positives_result(base: ModelPatcher, free_memory: Free) -> None:
    """With the same text in both places guidance changes nothing; with different texts it must."""
    free_memory(False)
    both = {"positive": prompt("base", 1), "negative": prompt("base", 1)}
    assert torch.equal(reused(base, DualBlock(1), **both, cfg=5.0), reused(base, DualBlock(1), **both, cfg=5.0))
    same = reused(base, DualBlock(1), **both, cfg=5.0)
    assert near(same, reused(base, DualBlock(1), positive=prompt("base", 1), cfg=1.0))
    assert not near(same, reused(base, DualBlock(1), cfg=5.0))


@pytest.mark.parametrize("technique", TECHNIQUES, ids=lambda technique: technique.name)
def test_no_prompt_is_given_what_another_one_was(base: ModelPatcher, free_memory: Free, technique: Technique) -> None:
    """Packs that count calls answer the negative prompt with the positive's last result."""
    free_memory(False)
    model, last = cached(base, technique, **always(mask=MASK)), {}

    def watch(executor: Any, x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        options = args[4]
        result = executor(x, *args, **kwargs)
        truth = base.model.apply_model(x, *args[:4], {**options, "wrappers": {}}, **kwargs)
        own = options["uuids"][0]
        for other in last.keys() - {own}:
            assert (result - truth).norm() < 0.4 * (last[other] - truth).norm()
        last[own] = result.clone()
        return result

    model.wrappers[WrappersMP.APPLY_MODEL] = {"watch": [watch], **model.wrappers[WrappersMP.APPLY_MODEL]}
    with calls([blocks(base)[-1]]) as ran:
        sample(model, given=torch.linspace(0.5, 0.499, STEPS + 1))  # so near that one's own result still fits
    assert len(last) == 2
    assert ran[0] == 2 * (STEPS + MASK.count("#"))


@pytest.mark.parametrize("technique", TECHNIQUES, ids=lambda technique: technique.name)
def test_videos_in_one_batch_are_those_made_alone(base: ModelPatcher, free_memory: Free, technique: Technique) -> None:
    free_memory(True)
    noise = torch.cat([torch.randn(1, 16, 3, 8, 8, generator=torch.Generator().manual_seed(n)) for n in (7, 8)])

    def film(noise: torch.Tensor) -> torch.Tensor:
        guider = comfy.samplers.CFGGuider(cached(base, technique, **always(mask=MASK)))
        guider.set_conds(prompt("base", 1), prompt("base", 2))
        guider.set_cfg(3.0)
        sampler = comfy.samplers.sampler_object("euler")
        return guider.sample(noise, torch.zeros_like(noise), sampler, sigmas(), disable_pbar=True)

    assert near(film(noise), torch.cat([film(noise[:1]), film(noise[1:])]))


def area(cond: Cond, x: int) -> Cond:
    """The prompt for a half of the frame: 3 x 8 x 4 of 3 x 8 x 8, from column `x`."""
    return [[text, {**values, "area": (3, 8, 4, 0, 0, x), "strength": 1.0}] for text, values in cond]


@pytest.mark.parametrize("technique", TECHNIQUES, ids=lambda technique: technique.name)
def test_prompts_for_parts_of_the_frame_keep_to_themselves(
    base: ModelPatcher, free_memory: Free, technique: Technique
) -> None:
    """Two halves with one text, each on its own, are what the halves are that know nothing of each other."""
    positive = [*area(prompt("base", 1), 0), *area(prompt("base", 3), 4)]
    free_memory(False)
    alone = reused(base, technique, positive=positive)
    free_memory(True)
    assert near(reused(base, technique, positive=positive), alone)


def test_without_guidance_there_is_one_prompt_and_it_is_reused(base: ModelPatcher) -> None:
    with calls(blocks(base)) as ran:
        reused(base, DualBlock(1), cfg=1.0)
    assert ran == [STEPS, *[4] * 5]


@pytest.mark.parametrize("batch", [True, False], ids=["batched", "one by one"])
def test_a_prompt_that_joins_late_is_computed_with_all_the_others(
    base: ModelPatcher, free_memory: Free, caplog: pytest.LogCaptureFixture, batch: bool
) -> None:
    free_memory(batch)
    caplog.set_level("INFO", "wan_duet")
    late = [*prompt("base", 1), *prompt("base", 3, start_percent=0.5)]
    sample(cached(base, **always()), positive=late)
    assert "3 of 8 evaluations computed  #...#..#" in caplog.text
    assert "1 new prompt" in caplog.text


def windows(model: ModelPatcher, length: int, schedule: str = "batched", overlap: int = 0) -> ModelPatcher:
    """The MODEL with the host's context windows."""
    model.model_options["context_handler"] = comfy.context_windows.IndexListContextHandler(
        context_schedule=comfy.context_windows.get_matching_context_schedule(schedule),
        fuse_method=comfy.context_windows.get_matching_fuse_method("flat"),
        context_length=length,
        context_overlap=overlap,
        dim=2,
        **WINDOWS_APART,
    )
    return model


def test_windows_of_one_prompt_never_share(base: ModelPatcher) -> None:
    """Two windows side by side that don't overlap are two films: each as if it had been made alone."""

    def film(frames: slice) -> torch.Tensor:
        draw = torch.randn((1, 16, 6, 8, 8), generator=torch.Generator().manual_seed(7))[:, :, frames]
        guider = comfy.samplers.CFGGuider(windows(cached(base, **always(mask=MASK)), 3))
        guider.set_conds(prompt("base", 1), prompt("base", 2))
        guider.set_cfg(3.0)
        sampler = comfy.samplers.sampler_object("euler")
        return guider.sample(draw, torch.zeros_like(draw), sampler, sigmas(), disable_pbar=True)

    apart = torch.cat([film(slice(0, 3)), film(slice(3, 6))], dim=2)
    assert torch.equal(film(slice(0, 6)), apart)


@pytest.mark.parametrize("technique", TECHNIQUES, ids=lambda technique: technique.name)
def test_windows_that_move_from_step_to_step_are_computed_and_the_report_says_why(
    base: ModelPatcher, caplog: pytest.LogCaptureFixture, technique: Technique
) -> None:
    caplog.set_level("INFO", "wan_duet")
    sample(windows(cached(base, technique, **always()), 3, "standard_uniform", overlap=1), frames=7)
    assert "other windows or weights" in caplog.text


def divided(model: ModelPatcher) -> ModelPatcher:
    """The MODEL on a host that divides prompts over GPUs: each prompt in a thread of its own, all at once."""

    def divide(_: Any, base: Any, conds: Any, x: Any, timestep: Any, options: Any) -> Any:
        whole = {key: value for key, value in options.items() if key != "multigpu_clones"}  # or the host divides it too
        found: dict[int, Any] = {}
        errors: list[BaseException] = []
        together = threading.Barrier(len([cond for cond in conds if cond is not None]))

        def work(place: int) -> None:
            alone = [cond if number == place else None for number, cond in enumerate(conds)]
            try:
                together.wait(10)
                with torch.no_grad():
                    found[place] = comfy.samplers._calc_cond_batch(base, alone, x, timestep, whole)[place]
            except BaseException as error:  # raised again in the thread that waits, whatever it is
                errors.append(error)

        threads = [threading.Thread(target=work, args=(place,)) for place, cond in enumerate(conds) if cond is not None]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        if errors:
            raise errors[0]
        return [found.get(place, torch.zeros_like(x)) for place in range(len(conds))]

    model.model_options["multigpu_clones"] = {}
    model.add_wrapper_with_key(WrappersMP.CALC_COND_BATCH, "divide", divide)
    return model


@pytest.mark.parametrize("technique", TECHNIQUES, ids=lambda technique: technique.name)
@pytest.mark.parametrize("threshold", [0.0, 0.2, 1e9])
def test_two_threads_come_to_exactly_what_one_does(
    base: ModelPatcher, free_memory: Free, technique: Technique, threshold: float
) -> None:
    free_memory(False)
    settings = {"threshold": threshold, "max_consecutive": 2}
    expected = sample(cached(base, technique, **settings))
    for _ in repeat(None, 3):
        assert torch.equal(sample(divided(cached(base, technique, **settings))), expected)


def test_a_thread_that_fails_leaves_nobody_waiting(base: ModelPatcher, free_memory: Free) -> None:
    free_memory(False)
    model = divided(cached(base, **always()))
    seen: list[int] = []

    def fail(executor: Any, *args: Any, **kwargs: Any) -> Any:
        options = args[5] if len(args) > 5 else kwargs["transformer_options"]
        seen.append(options["cond_or_uncond"][0])
        if len(seen) > 6 and options["cond_or_uncond"] == [1]:
            raise RuntimeError("out of memory")
        return executor(*args, **kwargs)

    model.add_wrapper_with_key(WrappersMP.APPLY_MODEL, "fail", fail)
    with pytest.raises(RuntimeError, match="out of memory"):
        sample(model)
    assert type(base.model.diffusion_model.blocks) is torch.nn.ModuleList
