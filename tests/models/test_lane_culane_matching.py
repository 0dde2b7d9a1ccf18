"""CULane's matching: cases worked by hand from the official script, and slow references of its parts."""

import math
from itertools import pairwise, permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.arrays import Floats
from models.lane.culane_matching import curve, matches, overlaps, paired
from models.records import Lane, Lanes

Points = list[tuple[float, float]]


def lanes(*lines: Points, width: int = 1640, height: int = 590) -> Lanes:
    return Lanes(width, height, tuple(Lane(tuple(line)) for line in lines))


def upright(x: float, top: float = 100, bottom: float = 500) -> Points:
    return [(x, bottom), (x, top)]


# A line 30 px broad is 31 columns: 401 rows of them, and a disc of 709 pixels less its middle row, 31.
AREA = 401 * 31 + 709 - 31


@pytest.mark.parametrize(("offset", "matched"), [(0, True), (9, True), (10, True), (11, False), (31, False)])
def test_upright_lines_match_up_to_ten_pixels(offset: int, matched: bool) -> None:
    predicted, truth = lanes(upright(800 + offset)), lanes(upright(800))
    assert matches(predicted, truth) == ([(0, 0)] if matched else [])
    assert overlaps(predicted, truth)[0, 0] == pytest.approx((31 - offset) / (31 + offset), abs=0.01)


def test_the_overlap_by_hand() -> None:
    assert overlaps(lanes(upright(800)), lanes(upright(800)))[0, 0] == 1
    assert overlaps(lanes(upright(800)), lanes(upright(900)))[0, 0] == 0
    half = overlaps(lanes(upright(800)), lanes(upright(800, top=300)))[0, 0]
    assert half == (AREA - 200 * 31) / AREA


def test_exactly_half_is_no_match() -> None:
    # The image ends in the middle of both: 16 columns of the true line, and 8 of them under the predicted one.
    truth, predicted = lanes(upright(0, 0, 589)), lanes(upright(-8, 0, 589))
    assert overlaps(predicted, truth)[0, 0] == 0.5
    assert matches(predicted, truth) == []


@pytest.mark.parametrize("scale", [0.25, 1, 4])
def test_the_breadth_scales_with_the_image(scale: float) -> None:
    def at(x: float) -> Lanes:
        line = [(px * scale, py * scale) for px, py in upright(x)]
        return lanes(line, width=round(1640 * scale), height=round(590 * scale))

    assert matches(at(808), at(800)) == [(0, 0)]
    assert matches(at(812), at(800)) == []
    assert overlaps(at(808), at(800))[0, 0] == overlaps(lanes(upright(808)), lanes(upright(800)))[0, 0]


def test_a_line_beyond_the_image_overlaps_nothing() -> None:
    away = lanes(upright(-500))
    assert overlaps(away, away)[0, 0] == 0
    assert matches(away, away) == []
    far = lanes([(1e9, 500.0), (800.0, 100.0)])
    assert overlaps(far, far)[0, 0] == 1


def test_a_line_that_repeats_a_point_is_the_line() -> None:
    line = [(800.0, 500.0), (820.0, 300.0), (900.0, 100.0)]
    assert overlaps(lanes([line[0], *line]), lanes(line))[0, 0] == 1
    dot = [(800.0, 500.0)] * 3
    assert overlaps(lanes(dot), lanes(dot))[0, 0] == 1
    near = [(0.0, 1.0), (0.0, 0.0), (0.0, 6e-42)]
    assert overlaps(lanes(near), lanes(near[:2]))[0, 0] == 1


def slow_curve(points: Points) -> list[tuple[float, float]]:
    """A natural cubic spline over the chord length: its moments, then 50 places a piece and the last point."""
    n = len(points)
    h = [math.dist(a, b) for a, b in pairwise(points)]
    found: list[list[float]] = []
    for axis in range(2):
        v = [point[axis] for point in points]
        system = [[0.0] * n for _ in range(n)]
        right = [0.0] * n
        system[0][0] = system[-1][-1] = 1.0
        for i in range(1, n - 1):
            system[i][i - 1 : i + 2] = [h[i - 1], 2 * (h[i - 1] + h[i]), h[i]]
            right[i] = 6 * ((v[i + 1] - v[i]) / h[i] - (v[i] - v[i - 1]) / h[i - 1])
        m = np.linalg.solve(system, right)
        places = []
        for i in range(n - 1):
            b = (v[i + 1] - v[i]) / h[i] - (2 * h[i] * m[i] + h[i] * m[i + 1]) / 6
            for k in range(50):
                t = h[i] * k / 50
                places.append(v[i] + b * t + m[i] / 2 * t**2 + (m[i + 1] - m[i]) / (6 * h[i]) * t**3)
        found.append([*places, v[-1]])
    return list(zip(*found, strict=True))


WHOLE = st.integers(0, 300).map(float)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(WHOLE, WHOLE), min_size=3, max_size=8, unique=True))
def test_the_curve_is_the_natural_spline(points: Points) -> None:
    assert np.allclose(curve(np.array(points)), slow_curve(points), atol=1e-6)


def test_two_points_stay_a_straight_line() -> None:
    assert curve(np.array([(0.0, 0.0), (7.0, 9.0)])).tolist() == [[0, 0], [7, 9]]


def test_a_spline_bends_where_straight_segments_would_not_match() -> None:
    # Three points of a bend, and places on its spline: straight pieces between the three cut the corner.
    bend = [(500.0, 550.0), (1000.0, 300.0), (500.0, 50.0)]
    dense = [(float(x), float(y)) for x, y in curve(np.array(bend))[::10]]
    straight = [bend[0], (750.0, 425.0), (999.0, 301.0), bend[1], (999.0, 299.0), (750.0, 175.0), bend[2]]
    assert overlaps(lanes(bend), lanes(dense))[0, 0] > 0.95
    assert overlaps(lanes(straight), lanes(dense))[0, 0] < 0.5


@pytest.mark.parametrize(
    ("similarity", "pairs"),
    [
        ([[], []], []),
        ([[0.2]], [(0, 0)]),
        ([[0.9, 0.8], [0.8, 0.1]], [(0, 1), (1, 0)]),  # the sum counts, not the best pair
        ([[0.6, 0.0, 0.7], [0.0, 0.0, 0.8]], [(0, 0), (1, 2)]),
        ([[0.1], [0.9], [0.5]], [(1, 0)]),
        # One true line and two predicted, alike within 0.01: the first of them wins though the second is better.
        ([[0.4995], [0.505]], [(0, 0)]),
        ([[0.49], [0.505]], [(1, 0)]),
        # Two true lines and one predicted: the predicted line chooses, again the first within 0.01.
        ([[0.4995, 0.505]], [(0, 0)]),
        # As many: true lines choose in their order. The second pushes the first to its other, nearly equal partner.
        ([[0.7, 0.695], [0.695, 0.0]], [(0, 1), (1, 0)]),
        ([[0.495, 0.495], [0.504, 0.508]], [(0, 0), (1, 1)]),  # predicted lines in their order would cross
    ],
)
def test_pairs_by_hand(similarity: list[list[float]], pairs: list[tuple[int, int]]) -> None:
    assert paired(np.array(similarity, float).reshape(len(similarity), len(similarity[0]))) == pairs


def best_sum(similarity: Floats) -> float:
    """The largest sum over all ways to pair one to one."""
    wide = similarity if similarity.shape[0] <= similarity.shape[1] else similarity.T
    return max(
        float(sum(wide[pair] for pair in enumerate(way))) for way in permutations(range(wide.shape[1]), len(wide))
    )


@settings(max_examples=80, deadline=None)
@given(st.integers(1, 4), st.integers(1, 4), st.data())
def test_pairs_sum_to_the_most_but_for_what_is_taken_for_equal(rows: int, columns: int, data: st.DataObject) -> None:
    cells = st.lists(st.integers(0, 100), min_size=rows * columns, max_size=rows * columns)
    similarity = np.array(data.draw(cells)).reshape(rows, columns) / 100
    pairs = paired(similarity)
    assert len(pairs) == len({i for i, _ in pairs}) == len({j for _, j in pairs}) == min(rows, columns)
    total = sum(similarity[pair] for pair in pairs)
    assert total >= best_sum(similarity) - 0.01 * len(pairs) - 1e-9
    apart = np.round(similarity * 10) * 2  # differences of at least 0.2: nothing is nearly equal
    assert sum(apart[pair] for pair in paired(apart)) == pytest.approx(best_sum(apart))
