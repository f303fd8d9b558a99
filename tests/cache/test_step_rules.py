"""Rules force an evaluation, whatever the technique says."""

from wan_duet.cache.settings import CacheSettings, StepWindow
from wan_duet.cache.step_rules import StepRange, parse_mask
from wan_duet.cache.techniques.base import AccumulatedChange
from wan_duet.tests.cache.planned import decide, steps_of, strip


def test_a_rule_holds_for_each_of_its_reasons() -> None:
    always = {"threshold": 1e9, "max_consecutive": 99}

    def planned(own: range = range(12), mask: str = "", **settings: object) -> str:
        chosen = CacheSettings(**{**always, **settings})  # pyright: ignore[reportArgumentType]
        made = StepRange(steps_of(12).sigmas, tuple(own), parse_mask(mask, 12))
        return strip(decide(AccumulatedChange(), [0.0] * len(own), chosen, made, 1e9))

    assert planned() == "#..........#"
    assert planned(warmup=4) == "####.......#"
    assert planned(max_consecutive=2) == "#..#..#..#.#"
    assert planned(window=StepWindow(3, 7)) == "###....#####"
    assert planned(window=StepWindow(start_percent=25, end_percent=50)) == "###...######"
    assert planned(mask="#..## .....#.", warmup=1) == "#..##.....##"
    assert planned(own=range(5, 12), warmup=2) == "##....#"
    assert planned(own=range(5, 12), window=StepWindow(6, 8)) == "#..####"
