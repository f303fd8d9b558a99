"""A clip at another frame rate shows at every moment the frame that is nearest to it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wan_duet.conditioning.resample import resample

rates = st.sampled_from([4.0, 8.0, 12.5, 15.0, 16.0, 23.976, 24.0, 25.0, 29.97, 30.0, 50.0, 59.94, 60.0, 120.0])


@pytest.mark.parametrize(
    ("count", "source", "target", "indices"),
    [
        (5, 16, 16, [0, 1, 2, 3, 4]),
        (5, 32, 16, [0, 2, 4]),
        (4, 32, 16, [0, 2]),
        (3, 8, 16, [0, 1, 1, 2, 2]),
        (7, 24, 16, [0, 2, 3, 5, 6]),
        (1, 24, 16, [0]),
        (0, 24, 16, []),
    ],
)
def test_the_nearest_frame_is_taken(count: int, source: float, target: float, indices: list[int]) -> None:
    assert resample(count, source, target) == indices


@given(st.integers(1, 500), rates, rates)
def test_frames_stay_in_order_near_their_time_and_the_duration_stays(count: int, source: float, target: float) -> None:
    indices = resample(count, source, target)
    assert indices[0] == 0 and indices == sorted(indices) and indices[-1] < count
    assert all(abs(index / source - frame / target) <= 0.5 / source + 1e-6 for frame, index in enumerate(indices))
    assert (len(indices) - 1) / target <= (count - 1) / source + 1e-6 < len(indices) / target + 1e-5
    assert source != target or indices == list(range(count))


any_rate = st.just(0.0) | st.floats(0.01, 1000)


@given(st.integers(0, 50), any_rate, any_rate)
def test_no_rate_crashes_it(count: int, source: float, target: float) -> None:
    if source <= 0 or target <= 0:
        with pytest.raises(ValueError, match="must be above 0"):
            resample(count, source, target)
    elif count / source * target < 1e5:
        assert all(0 <= index < count for index in resample(count, source, target))


def test_a_rate_of_zero_is_refused() -> None:
    with pytest.raises(ValueError, match=r"fps is 0 for a video at 24 fps\. Both must be above 0\."):
        resample(5, 24, 0)
