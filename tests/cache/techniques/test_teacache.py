"""TeaCache beside what its authors have published."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from wan_duet.cache.settings import CacheSettings
from wan_duet.cache.techniques import published
from wan_duet.cache.techniques.base import AccumulatedChange
from wan_duet.cache.techniques.published import TEACACHE_E, TEACACHE_E0, Polynomial
from wan_duet.cache.techniques.teacache import TeaCache, rescale
from wan_duet.experts.variant import HIGH
from wan_duet.tests.cache.models import patcher, sigmas
from wan_duet.tests.cache.planned import decide, steps_of

POLYNOMIALS = {
    **{f"{name} e": p for name, p in TEACACHE_E.items()},
    **{f"{name} e0": p for name, p in TEACACHE_E0.items()},
}


@pytest.mark.parametrize("polynomial", POLYNOMIALS.values(), ids=POLYNOMIALS.keys())
def test_a_polynomial_is_the_published_one_where_it_is_positive_and_never_below_0(polynomial: Polynomial) -> None:
    official = np.poly1d(polynomial.coefficients)
    for change in np.linspace(0, 1, 301):
        ours = rescale(polynomial, change)
        if polynomial.low <= change <= polynomial.high:
            assert ours == pytest.approx(max(official(change), 0), abs=1e-9)
        assert 0 <= ours <= max(official(np.linspace(polynomial.low, polynomial.high, 1001)).max(), 0) * 1.001


def test_one_small_step_does_not_sink_the_sum() -> None:
    """At t2v 14B a change of .05 is -4.1 by the published polynomial: everything after it would be reused."""
    polynomial = TEACACHE_E[published.T2V_14B]
    assert np.poly1d(polynomial.coefficients)(0.05) < -4
    changes = [math.inf, *(rescale(polynomial, change) for change in (0.05, 0.2, 0.25, 0.3, 0.3, 0.3))]
    settings = CacheSettings(0.3, max_consecutive=99)
    assert decide(AccumulatedChange(), changes, settings, steps_of(7), 0.3)[2:] != [False] * 4 + [True]


@given(st.lists(st.floats(0, 0.3), min_size=12, max_size=40), st.floats(0.01, 1.0))
def test_teacache_adds_up_as_the_official_code_does(changes: list[float], threshold: float) -> None:
    expected, total = [], 0.0
    for number, change in enumerate(changes):
        total += change
        computed = number in (0, len(changes) - 1) or not total < threshold
        total = 0.0 if computed else total
        expected.append(computed)
    settings = CacheSettings(threshold, max_consecutive=99)
    assert decide(AccumulatedChange(), changes, settings, steps_of(len(changes)), threshold) == expected


def test_teacache_watches_the_embedding_that_the_network_makes() -> None:
    model = patcher("base").model
    net, at = model.diffusion_model, sigmas()[:-1]
    seen: list[torch.Tensor] = []
    hooks = [module.register_forward_hook(lambda *args: seen.append(args[-1])) for module in (net.time_embedding,)]
    with torch.no_grad():
        for sigma in at:
            net(torch.zeros(1, 16, 1, 2, 2), model.model_sampling.timestep(sigma).reshape(1), torch.zeros(1, 4, 32))
        official = [float((b - a).abs().mean() / a.abs().mean()) for a, b in pairwise(seen)]
        hooks[0].remove()
        assert TeaCache("none").policy(model, HIGH).forecast(model, at)[1:] == pytest.approx(official, rel=1e-5)
