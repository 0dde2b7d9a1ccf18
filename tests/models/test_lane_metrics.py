"""Lane metrics: hand-worked tables, then a slow independent reference."""

import math
from dataclasses import astuple
from itertools import pairwise, permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import InvalidInput
from models.lane.metrics import differs, distances, matches, measure, overlaps
from models.records import Boxes, Lane, Lanes

WIDTH, HEIGHT = 512, 256


def _lanes(*lines: tuple[tuple[float, float], ...]) -> Lanes:
    return Lanes(WIDTH, HEIGHT, tuple(Lane(line) for line in lines))


def _upright(x: float, top: float = 0, bottom: float = 250) -> tuple[tuple[float, float], ...]:
    return ((x, bottom), (x, top))


# On 512 px a line is drawn 30 * 512 / 1640 = 9.4, so 9 px wide; two upright ones d px apart have IoU (9-d)/(9+d).
@pytest.mark.parametrize(
    ("offset", "matched", "changed"),
    [(0, True, False), (3, True, False), (4, False, False), (7, False, False), (9, False, True), (20, False, True)],
)
def test_upright_lines_match_up_to_three_pixels(offset: float, matched: bool, changed: bool) -> None:
    predicted, truth = _lanes(_upright(100 + offset)), _lanes(_upright(100))
    assert matches(predicted, truth) == ([(0, 0)] if matched else [])
    assert overlaps(predicted, truth)[0, 0] == pytest.approx(max(0, (9 - offset) / (9 + offset)), abs=0.03)
    assert differs(predicted, truth) is changed


@pytest.mark.parametrize(
    ("predicted", "truth", "f1", "precision", "recall", "f1_8px"),
    [
        ((), (), 1.0, 1.0, 1.0, 1.0),
        ((), (100,), 0.0, 1.0, 0.0, 0.0),
        ((100,), (), 0.0, 0.0, 1.0, 0.0),
        ((100,), (100,), 1.0, 1.0, 1.0, 1.0),
        ((107,), (100,), 0.0, 0.0, 0.0, 1.0),  # too far for IoU, near enough for 8 px
        ((109,), (100,), 0.0, 0.0, 0.0, 0.0),
        ((100, 300), (100,), 2 / 3, 0.5, 1.0, 2 / 3),
        ((100,), (100, 300), 2 / 3, 1.0, 0.5, 2 / 3),
        ((100, 101), (100,), 2 / 3, 0.5, 1.0, 1.0),  # the same line twice counts once; its points are near all the same
    ],
)
def test_totals_by_hand(
    predicted: tuple[float, ...], truth: tuple[float, ...], f1: float, precision: float, recall: float, f1_8px: float
) -> None:
    got = measure([(_lanes(*map(_upright, predicted)), _lanes(*map(_upright, truth)))])
    assert astuple(got) == pytest.approx((f1, precision, recall, f1_8px, 1))
    assert got.quality == got.f1_8px


def test_totals_are_of_all_images_not_means_of_images() -> None:
    right = _lanes(_upright(50), _upright(150), _upright(250))
    got = measure([(right, right), (_lanes(), _lanes(_upright(100)))])
    assert got.recall == 3 / 4
    assert got.f1 == pytest.approx(2 * 1 * 0.75 / 1.75)
    assert got.n == 2


def test_half_a_line_is_half_the_recall_at_8_px() -> None:
    got = measure([(_lanes(_upright(100, top=125)), _lanes(_upright(100)))])
    # 8 px of the missing half are still near: precision 1, recall (125 + 8) / 250.
    assert got.f1_8px == pytest.approx(2 * 0.532 / 1.532, abs=0.01)


def test_widths_scale_with_the_image() -> None:
    def both(scale: int, offset: float) -> tuple[Lanes, Lanes]:
        size = WIDTH * scale, HEIGHT * scale
        lines = [Lane(((x * scale, 250.0 * scale), (x * scale, 0.0))) for x in (100 + offset, 100.0)]
        return Lanes(*size, (lines[0],)), Lanes(*size, (lines[1],))

    for scale in (1, 4):
        assert measure([both(scale, 2)]).f1 == 1
        assert measure([both(scale, 5)]).f1 == 0
        assert measure([both(scale, 7)]).f1_8px == 1
        assert measure([both(scale, 9)]).f1_8px == 0


def test_points_beyond_the_image_count_nothing() -> None:
    truth = _lanes(((100.0, 400.0), (100.0, 0.0)))
    assert measure([(_lanes(_upright(100, bottom=256)), truth)]).f1_8px == 1


@pytest.mark.parametrize(("bend", "changed"), [(20, False), (60, True)])
def test_a_line_may_leave_the_true_one_for_less_than_a_tenth_of_it(bend: float, changed: bool) -> None:
    # It bends away by 20 px over its last `bend` px, so 0.6 of that part (beyond 8 of 20 px) is off: 12 or 36 of 250.
    truth = _lanes(_upright(100))
    bent = _lanes(((100.0, 250.0), (100.0, bend), (120.0, 0.0)))
    assert differs(bent, truth) is changed
    assert differs(truth, bent) is changed


@pytest.mark.parametrize(
    ("predicted", "truth", "changed"),
    [
        ((), (), False),
        ((), (100,), True),
        ((100,), (), True),
        ((100, 104), (100, 300), True),
        ((300, 101), (100, 302), False),
    ],
)
def test_a_missed_or_false_line_differs_and_order_does_not(
    predicted: tuple[float, ...], truth: tuple[float, ...], changed: bool
) -> None:
    assert differs(_lanes(*map(_upright, predicted)), _lanes(*map(_upright, truth))) is changed


def test_half_a_line_differs() -> None:
    assert differs(_lanes(_upright(100, top=125)), _lanes(_upright(100)))


def test_other_sizes_and_other_labels_are_refused() -> None:
    with pytest.raises(InvalidInput, match="512x256, got 100x50"):
        measure([(Lanes(100, 50), _lanes())])
    with pytest.raises(InvalidInput, match="expected lanes, got Boxes"):
        measure([(Boxes(WIDTH, HEIGHT), _lanes())])


_POINT = st.tuples(st.floats(0, 128), st.floats(0, 64))
_LINE = st.lists(_POINT, min_size=2, max_size=4).map(tuple)
_SMALL = st.lists(_LINE, max_size=3).map(lambda lines: Lanes(128, 64, tuple(Lane(line) for line in lines)))


@settings(max_examples=40, deadline=None)
@given(_SMALL, _SMALL)
def test_matching_finds_the_largest_sum_of_overlaps_one_to_one(predicted: Lanes, truth: Lanes) -> None:
    overlap = overlaps(predicted, truth)
    wide = overlap if len(overlap) <= overlap.shape[1] else overlap.T
    orders = [list(enumerate(order)) for order in permutations(range(wide.shape[1]), len(wide))]
    totals = [sum(wide[pair] for pair in order) for order in orders]
    best = [order for order, total in zip(orders, totals, strict=True) if total >= max(totals) - 1e-9]
    counts = {sum(wide[pair] >= 0.5 for pair in order) for order in best}
    pairs = matches(predicted, truth)
    assert len(pairs) in counts
    assert len({i for i, _ in pairs}) == len({j for _, j in pairs}) == len(pairs)
    assert all(overlap[pair] >= 0.5 for pair in pairs)


@settings(max_examples=30, deadline=None)
@given(st.lists(_POINT, min_size=1, max_size=5), _LINE)
def test_distances_are_those_to_a_finely_sampled_line(
    points: list[tuple[float, float]], line: tuple[tuple[float, float], ...]
) -> None:
    fine = [
        (a[0] + share * (b[0] - a[0]), a[1] + share * (b[1] - a[1]))
        for a, b in pairwise(line)
        for share in np.linspace(0, 1, 2000)
    ]
    slow = [min(math.hypot(x - u, y - v) for u, v in fine) for x, y in points]
    assert np.allclose(distances(np.array(points), Lane(line)), slow, atol=0.05)


@settings(max_examples=30, deadline=None)
@given(st.floats(5, 60), st.floats(0, 12))
def test_overlap_is_near_that_of_a_slow_drawing(top: float, shift: float) -> None:
    """Every pixel within half the width of the line, one by one; ends and joints of the drawing may differ a little."""
    first = Lane(((10.0, 60.0), (90.0, top)))
    second = Lane(((10.0 + shift, 60.0), (90.0 + shift, top)))
    predicted, truth = (Lanes(328, 64, (lane,)) for lane in (first, second))
    y, x = np.mgrid[:64, :328] + 0.5
    pixels = np.stack([x.ravel(), y.ravel()], axis=1)
    one, two = (distances(pixels, lane) <= 3 for lane in (first, second))  # drawn 6 px wide
    assert overlaps(predicted, truth)[0, 0] == pytest.approx((one & two).sum() / (one | two).sum(), abs=0.07)
