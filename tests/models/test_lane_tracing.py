"""Tracing on ideal maps: each line is found once, where it is, with the doubt that was put into the map."""

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.lane.metrics import distances
from models.lane.runtime import doubts, features, score, to_lane
from models.lane.tracing import Trace, trace, untraced
from models.records import Lane

ROWS, COLUMNS, RIDGE = 48, 96, 0.75

Points = Sequence[tuple[float, float]]
Maps = tuple[NDArray[np.float32], NDArray[np.float32]]


def _maps(lines: Sequence[Points], spread: float = 0.0, existence: float = 1.0) -> Maps:
    """Heat and directions that a perfect network gives for lines whose place is known up to ``spread`` cells."""
    y, x = np.mgrid[:ROWS, :COLUMNS]
    cells = np.stack([x.ravel(), y.ravel()], axis=1).astype(float)
    wide = math.hypot(RIDGE, spread)
    heat, doubled, nearest = np.zeros(len(cells)), np.zeros(len(cells)), np.full(len(cells), np.inf)
    for line in lines:
        for start, end in pairwise(line):
            away = distances(cells, Lane((start, end)))
            closer = away < nearest
            doubled[closer] = 2 * math.atan2(end[1] - start[1], end[0] - start[0])
            heat[closer] = existence * RIDGE / wide * np.exp(-0.5 * (away[closer] / wide) ** 2)
            nearest[closer] = away[closer]
    directions = np.stack([np.cos(doubled), np.sin(doubled)]).reshape(2, ROWS, COLUMNS)
    return heat.reshape(ROWS, COLUMNS).astype(np.float32), directions.astype(np.float32)


def _arc(centre: tuple[float, float], radius: float, first: float, last: float) -> Points:
    return [
        (centre[0] + radius * math.cos(math.radians(a)), centre[1] - radius * math.sin(math.radians(a)))
        for a in np.linspace(first, last, 40)
    ]


def _found(lines: Sequence[Points]) -> list[Trace]:
    return trace(*_maps(lines), RIDGE)


def _assert_same(traces: Sequence[Trace], lines: Sequence[Points], off: float = 0.6, ends: float = 1.7) -> None:
    """One trace a line, no inner point of it far from the line, and the line's ends reached and hardly passed."""
    assert len(traces) == len(lines)
    for line in lines:
        true = Lane(tuple(line))
        best = min(traces, key=lambda found: float(distances(found.points, true).max()))
        assert distances(best.points, true).max() < ends
        assert distances(best.points[2:-2], true).max() < off
        reached = distances(np.array([line[0], line[-1]]), Lane(tuple((float(x), float(y)) for x, y in best.points)))
        assert reached.max() < ends


UPRIGHT: Points = [(40, 47), (40, 3)]
STEEP: Points = [(10, 47), (45, 5)]
SHALLOW: Points = [(2, 30), (90, 18)]
LEVEL: Points = [(5, 20), (90, 20)]


@pytest.mark.parametrize("line", [UPRIGHT, STEEP, SHALLOW, LEVEL, [(60, 40), (66, 32)]])
def test_one_line_at_any_angle_long_or_short(line: Points) -> None:
    _assert_same(_found([line]), [line])


def test_a_bend_that_turns_past_the_horizontal() -> None:
    line = _arc((60, 30), 22, 225, 60)
    _assert_same(_found([line]), [line])


def test_no_heat_no_line() -> None:
    assert trace(*_maps([]), RIDGE) == []


def test_six_lines_that_nearly_meet() -> None:
    lines = [[(48 + 3.5 * k, 6.0), (48 + 18 * k, 46.0)] for k in (-2.5, -1.5, -0.5, 0.5, 1.5, 2.5)]
    _assert_same(_found(lines), lines)


def test_lines_that_cross_go_straight_on() -> None:
    lines: list[Points] = [[(10, 45), (80, 5)], [(10, 5), (80, 45)]]
    _assert_same(_found(lines), lines, off=0.8)


def test_lines_that_meet_at_the_horizon_are_two() -> None:
    lines: list[Points] = [[(10, 46), (47, 8)], [(49, 8), (86, 46)]]
    _assert_same(_found(lines), lines, off=1.2)


def test_pieces_with_a_gap_are_one_line_and_lines_side_by_side_are_two() -> None:
    dashed: list[Points] = [[(20, 46), (34, 32)], [(42, 24), (56, 10)]]
    _assert_same(_found(dashed), [[(20, 46), (56, 10)]])
    apart: list[Points] = [[(20, 46), (34, 32)], [(52, 24), (66, 10)]]
    _assert_same(_found(apart), apart)


def test_a_line_that_leaves_the_picture_ends_on_its_border() -> None:
    (found,) = _found([[(-20, 60), (40, 10)]])
    # y = 60 - (x + 20) * 5 / 6 meets the left border x = -0.5 at y = 43.75.
    lowest = found.points[np.argmax(found.points[:, 1])]
    assert lowest == pytest.approx((-0.5, 43.75), abs=0.3)


@pytest.mark.parametrize("line", [UPRIGHT, STEEP, SHALLOW])
@pytest.mark.parametrize("spread", [0.5, 1.0])
@pytest.mark.parametrize("existence", [1.0, 0.8])
def test_deviation_and_existence_are_those_put_in(line: Points, spread: float, existence: float) -> None:
    (found,) = trace(*_maps([line], spread, existence), RIDGE)
    inner = slice(5, -5)
    assert found.std[inner].mean() == pytest.approx(spread, rel=0.12)
    assert found.existence[inner].mean() == pytest.approx(existence, abs=0.05)
    # In the picture a slice along the row is longer by one over the sine of the line's angle.
    sine = abs(line[1][1] - line[0][1]) / math.dist(line[0], line[1])
    lane = to_lane(found, across=5.0, down=4.0)
    assert np.mean(lane.std_px[2:-2]) == pytest.approx(5 * spread / max(sine, 0.2), rel=0.15)
    assert lane.confidence == pytest.approx(existence, abs=0.1)


def test_a_sure_line_has_hardly_any_deviation() -> None:
    (found,) = _found([STEEP])
    assert found.std.mean() < 0.2
    assert doubts(found, COLUMNS).mean() < 0.08


def test_pixels_of_a_lane_are_cell_centres_scaled() -> None:
    steady = np.ones(5)
    line = Trace(np.array([(10.0, 20.0 + k) for k in range(5)]), 0.5 * steady, steady, 0.9 * steady)
    lane = to_lane(line, across=4, down=2)
    assert lane.points == ((42.0, 41.0), (42.0, 49.0))  # (10 + 0.5) * 4; (20 + 0.5) * 2 and (24 + 0.5) * 2
    assert lane.std_px == (2.0, 2.0)
    assert lane.confidence == pytest.approx(0.9)


def test_doubt_of_a_point_by_hand() -> None:
    one = np.ones(2)
    line = Trace(np.zeros((2, 2)), 1.5 * one, one, 0.8 * one)
    # 8 px of 512 is 1.5 of 96 cells: one deviation, within which lies 0.6827 of a normal distribution.
    assert doubts(line, 96) == pytest.approx([1 - 0.8 * 0.6827] * 2, abs=1e-4)


def test_heat_away_from_the_traces_is_what_may_be_missed() -> None:
    heat, directions = _maps([STEEP, [(60, 40), (60, 20)]])
    both = trace(heat, directions, RIDGE)
    assert untraced(heat, both, RIDGE) < 1
    long, short = sorted(both, key=lambda line: -line.length)
    assert untraced(heat, [long], RIDGE) == pytest.approx(short.length, abs=2)


def test_score_rises_with_doubt_and_with_what_may_be_missed_not_with_the_number_of_lines() -> None:
    sure, unsure = (trace(*_maps([STEEP], spread), RIDGE)[0] for spread in (0.0, 1.2))
    assert score([], 0.0, COLUMNS) == 1
    assert score([sure], 0.0, COLUMNS) < 0.1 < score([unsure], 0.0, COLUMNS)
    assert score([sure] * 6, 0.0, COLUMNS) == pytest.approx(score([sure], 0.0, COLUMNS))
    assert score([sure], 1.0, COLUMNS) > 0.6
    assert features([], 0.5, COLUMNS).keys() == features([sure, unsure], 0.0, COLUMNS).keys()


@settings(max_examples=15, deadline=None)
@given(st.floats(3, 92), st.floats(3, 44), st.floats(0, math.pi), st.floats(8, 60))
def test_any_straight_line_is_found_once(x: float, y: float, angle: float, length: float) -> None:
    half = length / 2
    line = [(x + side * half * math.cos(angle), y + side * half * math.sin(angle)) for side in (-1, 1)]
    inside = [(min(max(a, 0.0), COLUMNS - 1.0), min(max(b, 0.0), ROWS - 1.0)) for a, b in line]
    if math.dist(*inside) < 8:
        return
    _assert_same(_found([inside]), [inside])


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_noise_never_breaks_the_tracer(seed: int) -> None:
    rng = np.random.default_rng(seed)
    heat = rng.random((ROWS, COLUMNS)).astype(np.float32) ** 4
    directions = rng.normal(size=(2, ROWS, COLUMNS)).astype(np.float32)
    for line in trace(heat, directions, RIDGE):
        assert np.isfinite(line.points).all()
        assert (line.points >= -1.5).all()
        assert (line.std > 0).all()
        assert ((line.existence >= 0) & (line.existence <= 1)).all()
