"""Solvers that ask more than once a step, go back up or stand still: what they ask within a step is computed."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from comfy.model_patcher import ModelPatcher
from comfy.patcher_extension import WrappersMP
from wan_duet.tests.cache.models import always, blocks, cached, calls, sample, sigmas

SOLVERS = ["euler", "uni_pc", "dpmpp_2m", "heun", "dpmpp_2s_ancestral", "res_multistep", "euler_ancestral"]


@contextmanager
def evaluations(model: ModelPatcher) -> Iterator[list[tuple[float, bool]]]:
    """The sigma of every evaluation, and whether all blocks ran."""
    found: list[tuple[float, bool]] = []

    def watch(executor: Any, x: Any, timestep: torch.Tensor, *args: Any) -> Any:
        with calls([blocks(model)[-1]]) as ran:
            result = executor(x, timestep, *args)
        found.append((timestep.max().item(), ran[0] > 0))
        return result

    model.add_wrapper_with_key(WrappersMP.PREDICT_NOISE, "watch", watch)
    yield found


@pytest.mark.parametrize("solver", SOLVERS)
def test_only_what_starts_a_step_is_reused(base: ModelPatcher, solver: str) -> None:
    model = cached(base, **always())
    with evaluations(model) as found:
        result = sample(model, solver=solver)
    starts = set(sigmas()[:-1].tolist())
    lowest = float("inf")
    for sigma, computed in found:
        assert computed or (sigma in starts and sigma < lowest)
        lowest = min(lowest, sigma)
    assert not all(computed for _, computed in found)
    assert result.isfinite().all()


@pytest.mark.parametrize("solver", SOLVERS)
def test_at_threshold_0_every_solver_makes_what_it_made(base: ModelPatcher, solver: str) -> None:
    assert torch.equal(sample(cached(base), solver=solver), sample(base, solver=solver))


def test_where_noise_is_added_again_the_step_is_computed(base: ModelPatcher) -> None:
    up = torch.tensor([1.0, 0.9, 0.8, 0.7, 0.85, 0.75, 0.6, 0.4, 0.0])
    model = cached(base, **always())
    with evaluations(model) as found:
        sample(model, given=up)
    assert [computed for _, computed in found] == [True, False, False, False, True, False, False, True]


@pytest.mark.parametrize("given", [[1.0, 0.8, 0.8, 0.5, 0.5, 0.2, 0.0], [0.0, 0.0]], ids=["twice the same", "none"])
def test_sigmas_that_stand_still_divide_nothing_by_0(base: ModelPatcher, given: list[float]) -> None:
    schedule = torch.tensor(given)
    torch.testing.assert_close(
        sample(cached(base), given=schedule), sample(base, given=schedule), rtol=0, atol=0, equal_nan=True
    )
    reused = sample(cached(base, **always()), given=schedule)
    assert reused.isfinite().all() or not any(given)  # euler itself divides by the first sigma
