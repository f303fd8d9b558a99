"""Whatever is decided and however the host batches: what is reused was made in this run, for this prompt and window."""

from types import SimpleNamespace

import torch
from hypothesis import given
from hypothesis import strategies as st
from wan_duet.cache.settings import CacheSettings
from wan_duet.cache.state import UNKNOWN, Batch, StageState
from wan_duet.cache.step_rules import StepRange
from wan_duet.cache.techniques.dual_block import DualBlock
from wan_duet.cache.techniques.seacache import SeaCache

PROMPTS = ("positive", "negative", "another")
WINDOWS = (None, (0, 1, 2), (2, 3, 4))

marks = st.text("#.", min_size=3, max_size=16)
batching = st.lists(st.integers(1, 3), min_size=1, max_size=8)
orders = st.lists(st.permutations(PROMPTS), min_size=1, max_size=4)


@given(marks, batching, orders, st.sampled_from([WINDOWS[:1], WINDOWS[1:]]), st.booleans())
def test_a_reused_residual_is_ones_own(
    mask: str, sizes: list[int], orders: list[list[str]], windows: tuple, extrapolate: bool
) -> None:
    """Residuals carry who made them and when: reused ones must come from the same, and from computed evaluations."""
    steps = len(mask)
    sigmas = tuple(torch.linspace(1, 0, steps + 1).tolist())
    settings = CacheSettings(1e9, max_consecutive=99, extrapolate=extrapolate)
    state = StageState(settings, DualBlock(1), StepRange(sigmas, tuple(range(steps)), mask), torch.tensor(sigmas), "")
    owners = {(prompt, window): 10.0**n for n, (prompt, window) in enumerate((p, w) for p in PROMPTS for w in windows)}
    computed_at: list[float] = []
    for step in range(steps):
        evaluation, order, made = state.begin(sigmas[step], (), torch.zeros(1)), orders[step % len(orders)], []
        for window in windows:
            todo = list(order)
            while todo:
                size = sizes[(step + len(todo)) % len(sizes)]
                prompts, todo = todo[:size], todo[size:]
                frames = None if window is None else SimpleNamespace(index_list=list(window))
                keys = evaluation.keys(torch.zeros(len(prompts), 1), {"uuids": prompts, "context_window": frames})
                with Batch(state, evaluation, keys) as batch:
                    residual = batch.decide(torch.ones(len(prompts), 4, 1))
                    own = torch.tensor([[[owners[prompt, window]]] for prompt in prompts], dtype=torch.float64)
                    if residual is None:
                        batch.keep(own * (1 + sigmas[step]))
                if residual is not None:
                    when = residual / own - 1  # a line through times is the time itself
                    if extrapolate and len(computed_at) > 1:
                        assert torch.allclose(when, torch.full_like(when, sigmas[step]), atol=1e-6)
                    else:
                        assert torch.allclose(when, torch.full_like(when, computed_at[-1]), atol=1e-6)
                made.append(residual is None)
        state.end(evaluation)
        assert len(set(made)) == 1  # all prompts of an evaluation are computed, or none is
        must = mask[step] == "#" or step in (0, steps - 1)
        assert made[0] or not must
        if made[0]:
            computed_at.append(sigmas[step])


def test_a_window_that_was_elsewhere_meanwhile_is_computed_anew() -> None:
    """What was kept of it is older than the decision knows of, and is let go when the others are computed."""
    settings = CacheSettings(1e9, max_consecutive=99, extrapolate=False)
    sigmas = tuple(torch.linspace(1, 0, 5).tolist())
    state = StageState(settings, SeaCache(), StepRange(sigmas, tuple(range(4)), "##.#"), torch.tensor(sigmas), "")
    x, made, held = torch.ones(1, 4, 1, 1, 1), [], []
    for sigma, frames in zip(sigmas, ([0, 1], [1, 2], [0, 1], [0, 1]), strict=False):
        evaluation = state.begin(sigma, (), x)
        options = {"uuids": PROMPTS[:1], "context_window": SimpleNamespace(index_list=frames)}
        with Batch(state, evaluation, evaluation.keys(x, options)) as batch:
            made.append(batch.decide(None) is None)
            if made[-1]:
                batch.keep(x)
        state.end(evaluation)
        held.append(len(state.residuals))
    assert made == [True] * 4
    assert held == [1] * 4


def test_another_leading_prompt_is_compared_with_nothing_and_so_computed() -> None:
    """The first blocks' output for one prompt says nothing about their change for another."""
    steps = 6
    sigmas = tuple(torch.linspace(1, 0, steps + 1).tolist())
    stage = StepRange(sigmas, tuple(range(steps)), "." * steps)
    state = StageState(CacheSettings(1e9, max_consecutive=99), DualBlock(1), stage, torch.tensor(sigmas), "")
    made: list[tuple[bool, str | None]] = []
    for step, prompts in enumerate([["a", "b"], ["a", "b"], ["b", "a"], ["b", "a"]]):
        evaluation = state.begin(sigmas[step], (), torch.zeros(1))
        with Batch(state, evaluation, evaluation.keys(torch.zeros(2, 1), {"uuids": prompts})) as batch:
            reused = batch.decide(torch.ones(2, 4, 1)) is not None
            if not reused:
                batch.keep(torch.ones(2, 4, 1))
        state.end(evaluation)
        made.append((reused, evaluation.forced))
    assert [reused for reused, _ in made] == [False, True, False, True]
    assert made[2][1] == UNKNOWN
