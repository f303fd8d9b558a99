"""Lines, discs and convex shapes on the pixels that OpenCV would choose, which is what Wan was trained on."""

from collections.abc import Sequence

import numpy as np

Colour = Sequence[int]


def draw_line(picture: np.ndarray, start: Sequence[int], end: Sequence[int], colour: Colour, thick: int = 1) -> None:
    """A line on a picture [H, W, 3], in place; one of several pixels has round ends."""
    if thick == 1:
        columns, rows = _lines(np.array([[*start, *end]]))
        _paint(picture, columns, rows, colour)
        return
    along = np.subtract(end, start).astype(np.float64)
    across = np.array([-along[1], along[0]]) * (thick / 2 / max(float(np.hypot(*along)), 1e-6))
    corners = [start + across, end + across, end - across, start - across]
    fill_convex(picture, np.rint(corners).astype(int), colour)
    for place in (start, end):
        draw_disc(picture, place, thick // 2, colour)


def draw_disc(picture: np.ndarray, middle: Sequence[int], radius: int, colour: Colour) -> None:
    """A filled circle, by the midpoint algorithm, on a picture [H, W, 3], in place."""
    reach = np.zeros(2 * radius + 1, int)  # of each row, to both sides
    across, along, error = radius, 0, 0
    while across >= along:
        for row, width in ((along, across), (across, along)):
            reach[radius - row] = max(reach[radius - row], width)
            reach[radius + row] = max(reach[radius + row], width)
        along += 1
        error += 2 * along - 1
        if error > 0:
            across -= 1
            error -= 2 * across + 1
    _fill_rows(picture, middle[1] - radius, middle[0] - reach, middle[0] + reach, colour)


def fill_convex(picture: np.ndarray, corners: np.ndarray, colour: Colour) -> None:
    """A convex shape with corners [N, 2] in whole pixels, edge included, on a picture [H, W, 3], in place."""
    edges = np.concatenate([corners, np.roll(corners, -1, axis=0)], 1)
    columns, rows = _lines(edges)
    further, _ = _lines(edges, half_up=True)
    top = int(rows.min())
    left = np.full(int(rows.max()) - top + 1, np.iinfo(int).max)
    right = np.full(len(left), np.iinfo(int).min)
    np.minimum.at(left, rows - top, columns)
    np.maximum.at(right, rows - top, np.maximum(columns, further))
    _fill_rows(picture, top, left, right, colour)


def _lines(ends: np.ndarray, *, half_up: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Columns and rows of the pixels of lines [N, 4] from x, y to x, y: Bresenham's, from left to right.

    Half a pixel aside is none yet, or one in the column of a steep line.
    """
    ends = np.where(ends[:, :1] > ends[:, 2:3], ends[:, [2, 3, 0, 1]], ends)
    run, rise = ends[:, 2] - ends[:, 0], ends[:, 3] - ends[:, 1]
    longer, shorter = np.maximum(run, np.abs(rise)), np.minimum(run, np.abs(rise))
    steps = np.arange(longer.max() + 1)[None, :]
    inside = steps <= longer[:, None]
    twice = 2 * np.maximum(longer, 1)[:, None]
    flat, down = (run >= np.abs(rise))[:, None], np.sign(rise)[:, None]
    aside = -((longer[:, None] - 2 * steps * shorter[:, None]) // twice)
    if half_up:
        aside = np.where(flat, aside, (2 * steps * shorter[:, None] + longer[:, None]) // twice)
    columns = ends[:, :1] + np.where(flat, steps, aside)
    rows = ends[:, 1:2] + down * np.where(flat, aside, steps)
    return columns[inside], rows[inside]


def _paint(picture: np.ndarray, columns: np.ndarray, rows: np.ndarray, colour: Colour) -> None:
    height, width = picture.shape[:2]
    inside = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
    picture[rows[inside], columns[inside]] = colour


def _fill_rows(picture: np.ndarray, top: int, left: np.ndarray, right: np.ndarray, colour: Colour) -> None:
    height, width = picture.shape[:2]
    for row, first, last in zip(range(top, top + len(left)), left.tolist(), right.tolist(), strict=True):
        if 0 <= row < height and last >= 0 and first < width:
            picture[row, max(first, 0) : last + 1] = colour
