"""Points of a body are placed exactly by their heat maps, where these are sure."""

import numpy as np
import pytest
from wan_duet.animate.detector.mediapipe.body import WINDOW, refine

CELLS = 64


def heat(*spots: tuple[int, int, float]) -> np.ndarray:
    """A map [1, 64, 64, 1] that is 0 but at cells (row, column)."""
    cells = np.zeros((1, CELLS, CELLS, 1))
    for row, column, value in spots:
        cells[0, row, column] = value
    return cells


@pytest.mark.parametrize(
    ("spots", "expected"),
    [
        ([(21, 31, 0.9)], (31, 21)),
        ([(20, 30, 0.8), (20, 32, 0.8)], (31, 20)),
        ([(20, 30, 0.9), (20, 32, 0.3)], (30.5, 20)),
        ([(20, 30, 0.3), (22, 32, 0.4)], (30.4, 20.6)),  # nothing sure: it stays
        ([(20, 30 + WINDOW + 1, 0.9)], (30.4, 20.6)),  # out of reach
    ],
)
def test_a_point_moves_to_the_middle_of_the_sure_cells_around_it(spots: list, expected: tuple[float, float]) -> None:
    place = np.array([[[30.4, 20.6]]]) / CELLS
    assert refine(place, heat(*spots))[0, 0] * CELLS == pytest.approx(expected)


def test_a_point_at_the_edge_or_beyond_it_is_no_error() -> None:
    places = np.array([[[0.1, 63.9]], [[-40.0, 100.0]]]) / CELLS
    made = refine(places, np.concatenate([heat((63, 0, 0.9)), heat((63, 0, 0.9))])) * CELLS
    assert made[0, 0] == pytest.approx((0, 63))
    assert made[1, 0] == pytest.approx((-40, 100))
