"""The techniques' rules, beside what their authors have published."""

import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from wan_duet.cache.guards import Stage
from wan_duet.cache.masks import mask_of
from wan_duet.cache.planning import Outlook, solved
from wan_duet.cache.settings import Settings, Window
from wan_duet.cache.techniques import calibration, published
from wan_duet.cache.techniques.base import Accumulated, Policy
from wan_duet.cache.techniques.magcache import MagCachePolicy, curve_of, published_curve
from wan_duet.cache.techniques.published import TEACACHE_E, TEACACHE_E0, Polynomial
from wan_duet.cache.techniques.teacache import TeaCache, rescaled
from wan_duet.experts.variant import HIGH, LOW
from wan_duet.tests.cache.models import patcher, sigmas

POLYNOMIALS = {
    **{f"{name} e": p for name, p in TEACACHE_E.items()},
    **{f"{name} e0": p for name, p in TEACACHE_E0.items()},
}


def strip(computed: list[bool]) -> str:
    return "".join("#" if it else "." for it in computed)


def stage(steps: int, own: range | None = None) -> Stage:
    return Stage(tuple(torch.linspace(1, 0, steps + 1).tolist()), tuple(own or range(steps)), "." * steps)


def decisions(policy: Policy, changes: list[float], settings: Settings, stage: Stage, threshold: float) -> list[bool]:
    """What is computed of a run of one expert."""
    return Outlook(policy, settings, stage, changes).decisions(threshold)


@pytest.mark.parametrize("polynomial", POLYNOMIALS.values(), ids=POLYNOMIALS.keys())
def test_a_polynomial_is_the_published_one_where_it_is_positive_and_never_below_0(polynomial: Polynomial) -> None:
    official = np.poly1d(polynomial.coefficients)
    for change in np.linspace(0, 1, 301):
        ours = rescaled(polynomial, change)
        if polynomial.low <= change <= polynomial.high:
            assert ours == pytest.approx(max(official(change), 0), abs=1e-9)
        assert 0 <= ours <= max(official(np.linspace(polynomial.low, polynomial.high, 1001)).max(), 0) * 1.001


def test_one_small_step_does_not_sink_the_sum() -> None:
    """At t2v 14B a change of .05 is -4.1 by the published polynomial: everything after it would be reused."""
    polynomial = TEACACHE_E[published.T2V_14B]
    assert np.poly1d(polynomial.coefficients)(0.05) < -4
    changes = [math.inf, *(rescaled(polynomial, change) for change in (0.05, 0.2, 0.25, 0.3, 0.3, 0.3))]
    settings = Settings(0.3, max_consecutive=99)
    assert decisions(Accumulated(), changes, settings, stage(7), 0.3)[2:] != [False] * 4 + [True]


@given(st.lists(st.floats(0, 0.3), min_size=12, max_size=40), st.floats(0.01, 1.0))
def test_teacache_adds_up_as_the_official_code_does(changes: list[float], threshold: float) -> None:
    expected, total = [], 0.0
    for number, change in enumerate(changes):
        total += change
        computed = number in (0, len(changes) - 1) or not total < threshold
        total = 0.0 if computed else total
        expected.append(computed)
    settings = Settings(threshold, max_consecutive=99)
    assert decisions(Accumulated(), changes, settings, stage(len(changes)), threshold) == expected


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
        assert TeaCache("none").policy(model, HIGH).changes(model, at)[1:] == pytest.approx(official, rel=1e-5)


def official_magcache(ratios: list[float], threshold: float, most: int, active: list[bool]) -> str:
    """The rule as the paper gives it, on the branch with the prompt."""
    size, error, streak, marks = 1.0, 0.0, 0, ""
    for ratio, may in zip(ratios, active, strict=True):
        if may:
            size *= ratio
            streak += 1
            error += abs(1 - size)
            if error < threshold and streak <= most:
                marks += "."
                continue
        size, error, streak = 1.0, 0.0, 0
        marks += "#"
    return marks


@pytest.mark.parametrize(
    ("table", "role", "retention"),
    [
        (published.T2V_A14B, HIGH, 0.4),
        (published.T2V_A14B, LOW, 0.4),
        (published.I2V_A14B, HIGH, 1.0),
        (published.I2V_A14B, LOW, 0.1),
    ],
)
def test_magcache_replays_the_authors_schedule_of_wan_2_2(
    table: published.Magnitudes, role: str, retention: float
) -> None:
    times = [1 - step / 40 for step in range(40)]
    run = [table.shift * time / (1 + (table.shift - 1) * time) for time in times]
    own = [step for step in range(40) if (run[step] >= table.boundary) == (role == HIGH)]
    policy = MagCachePolicy(published_curve(table, role), retention)
    at = torch.tensor([run[step] for step in own], dtype=torch.float64)
    changes = policy.changes(None, at)  # pyright: ignore[reportArgumentType]
    warmup = math.ceil(retention * len(own))
    settings = Settings(0.06, max_consecutive=2, warmup=warmup)
    planned = strip(decisions(policy, changes, settings, Stage((*run, 0.0), tuple(own), "." * 40), 0.06))
    active = [number >= warmup for number in range(len(own))]
    official = official_magcache([table.ratios[step] for step in own], 0.06, 2, active)
    assert planned[:-1] == official[:-1]
    assert planned[-1] == "#"


def test_the_switch_is_in_neither_experts_curve() -> None:
    """At the switch the residual's size falls to .655 of the other expert's, which says nothing about a step."""
    for role, low, high in ((HIGH, 0.875, 1.0), (LOW, 0.0, 0.875)):
        curve = published_curve(published.T2V_A14B, role)
        assert (curve.low, curve.high) == (low, high)
        steps = [math.exp(b - a) for a, b in pairwise(curve.sizes)]
        assert min(steps) > 0.8


@pytest.mark.parametrize("folders", [("t2v/", "i2v/"), ("t2v\\", "i2v\\"), ("", "i2v/")])
def test_ratios_of_files_with_one_name_in_two_folders_are_kept_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folders: tuple[str, str]
) -> None:
    monkeypatch.setattr("folder_paths.get_user_directory", lambda: str(tmp_path))
    names = [f"{folder}wan2.2_high_noise.safetensors" for folder in folders]
    for number, name in enumerate(names):
        calibration.save(name, [(1.0, 1.0), (0.5, 0.1 * number)])
    assert [calibration.load(name) for name in names] == [[(1.0, 1.0), (0.5, 0.1 * number)] for number in (0, 1)]


def test_a_curve_means_the_same_at_any_number_of_steps_and_nothing_outside_its_range() -> None:
    curve = curve_of([1.0, 0.75, 0.5, 0.25], [1.0, 0.9, 0.9, 0.9], low=0.2)
    assert curve.at(1.0) - curve.at(0.5) == pytest.approx(-2 * math.log(0.9))
    halves = [curve.at(sigma) for sigma in (1.0, 0.875, 0.75)]
    assert halves[1] == pytest.approx((halves[0] + halves[2]) / 2)
    assert curve.at(0.22) == curve.at(0.25)
    assert math.isnan(curve.at(0.1)) and math.isnan(curve.at(1.1))


@pytest.mark.parametrize("target", [1.2, 1.5, 2.0, 2.5])
def test_a_target_is_met_by_the_lowest_threshold_that_does(target: float) -> None:
    changes = [math.inf, *(0.01 * (1 + step % 7) for step in range(39))]
    settings = Settings(0.0, max_consecutive=5)
    threshold = solved([Outlook(Accumulated(), settings, stage(40), changes)], target)
    assert sum(decisions(Accumulated(), changes, settings, stage(40), threshold)) <= 40 / target
    assert sum(decisions(Accumulated(), changes, settings, stage(40), threshold * 0.95)) > 40 / target


def test_a_target_beyond_what_the_guards_allow_is_met_as_nearly_as_can_be() -> None:
    changes = [math.inf, *[0.01] * 19]
    settings = Settings(0.0, max_consecutive=1)
    threshold = solved([Outlook(Accumulated(), settings, stage(20), changes)], 5.0)
    assert strip(decisions(Accumulated(), changes, settings, stage(20), threshold)) == "#." * 9 + "##"[:2]


@pytest.mark.parametrize("steps", [{"start_step": 2}, {"end_step": 9}])
@pytest.mark.parametrize("percent", [{"start_percent": 10}, {"end_percent": 90}])
def test_a_window_in_steps_and_in_percent_at_once_is_refused(steps: dict[str, int], percent: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"both steps .* and percent .*\. Set start_step and end_step back to 0"):
        Window(**steps, **percent)


def test_guards_hold_for_each_of_their_reasons() -> None:
    always = {"threshold": 1e9, "max_consecutive": 99}

    def planned(own: range = range(12), mask: str = "", **settings: object) -> str:
        chosen = Settings(**{**always, **settings})  # pyright: ignore[reportArgumentType]
        made = Stage(stage(12).sigmas, tuple(own), mask_of(mask, 12))
        return strip(decisions(Accumulated(), [0.0] * len(own), chosen, made, 1e9))

    assert planned() == "#..........#"
    assert planned(warmup=4) == "####.......#"
    assert planned(max_consecutive=2) == "#..#..#..#.#"
    assert planned(window=Window(3, 7)) == "###....#####"
    assert planned(window=Window(start_percent=25, end_percent=50)) == "###...######"
    assert planned(mask="#..## .....#.", warmup=1) == "#..##.....##"
    assert planned(own=range(5, 12), warmup=2) == "##....#"
    assert planned(own=range(5, 12), window=Window(6, 8)) == "#..####"
