"""Settings are plain values, and refuse what can't be meant."""

import pytest
from wan_duet.cache.settings import CacheSettings, StepWindow


def test_settings_are_plain_values() -> None:
    assert CacheSettings(0.1) == CacheSettings(0.1) and hash(CacheSettings(0.1)) == hash(CacheSettings(0.1))


@pytest.mark.parametrize("steps", [{"start_step": 2}, {"end_step": 9}])
@pytest.mark.parametrize("percent", [{"start_percent": 10}, {"end_percent": 90}])
def test_a_window_in_steps_and_in_percent_at_once_is_refused(steps: dict[str, int], percent: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"both steps .* and percent .*\. Set start_step and end_step back to 0"):
        StepWindow(**steps, **percent)
