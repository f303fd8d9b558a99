"""MagCache beside what its authors have published."""

import math
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from wan_duet.cache.settings import CacheSettings
from wan_duet.cache.step_rules import StepRange
from wan_duet.cache.techniques import calibration, published
from wan_duet.cache.techniques.magcache import MagCachePolicy, curve_of, published_curve
from wan_duet.experts.variant import HIGH, LOW
from wan_duet.tests.cache.planned import decide, strip


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
    changes = policy.forecast(None, at)  # pyright: ignore[reportArgumentType]
    warmup = policy.warmup(len(own))
    assert warmup == math.ceil(retention * len(own))
    settings = CacheSettings(0.06, max_consecutive=2, warmup=warmup)
    planned = strip(decide(policy, changes, settings, StepRange((*run, 0.0), tuple(own), "." * 40), 0.06))
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
