"""Tracked lines between keyframes, worked by hand along CVAT's rules."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.cvat.polylines import Point, between, length

LINE = [(0.0, 0.0), (10.0, 0.0), (20.0, 0.0)]

lines = st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99)), min_size=2, max_size=6).filter(
    lambda points: length(points) > 0
)


@pytest.mark.parametrize(
    ("left", "right", "share", "there"),
    [
        (LINE, [(0, 8), (10, 8), (20, 8)], 0.25, [(0, 2), (10, 2), (20, 2)]),  # point by point
        ([(0, 0), (20, 0)], [(0, 8), (9, 8), (20, 8)], 0.5, [(0, 4), (4.5, 4), (20, 4)]),  # the middle leaves the first
        ([(0, 0), (20, 0)], [(0, 8), (9, 8), (20, 8)], 0.1, [(0.45, 0.8), (20, 0.8)]),  # and is not told apart at once
        ([(0, 0), (9, 0), (20, 0)], [(0, 8), (20, 8)], 0.5, [(0, 4), (4.5, 4), (20, 4)]),  # it falls into the first
        ([(0, 0), (9, 0), (20, 0)], [(0, 8), (20, 8)], 0.9, [(0.45, 7.2), (20, 7.2)]),
        (
            [(0, 0), (20, 0)], [(0, 8), (1, 8), (9, 8), (20, 8)], 0.5, [(0, 4), (4.5, 4), (20, 4)],
        ),  # of three one is too near to the one before, and the last stays
    ],
)  # fmt: skip
def test_by_hand(left: list[Point], right: list[Point], share: float, there: list[Point]) -> None:
    assert between(left, right, share) == [pytest.approx(point) for point in there]


@given(lines, lines, st.floats(0, 1))
def test_no_point_lies_outside_of_what_both_lines_span(left: list[Point], right: list[Point], share: float) -> None:
    found = between(left, right, share)
    for axis in (0, 1):
        sides = [point[axis] for point in [*left, *right]]
        assert all(min(sides) - 1e-9 <= point[axis] <= max(sides) + 1e-9 for point in found)


@given(lines, st.tuples(st.integers(-9, 9), st.integers(-9, 9)))
def test_a_line_that_moves_as_a_whole_keeps_its_points(line: list[Point], way: Point) -> None:
    points = [point for point, before in zip(line, [None, *line], strict=False) if point != before]
    moved = between(points, [(x + way[0], y + way[1]) for x, y in points], 0.5)
    assert moved == [pytest.approx((x + way[0] / 2, y + way[1] / 2)) for x, y in points]
