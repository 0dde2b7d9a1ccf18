"""Lane metrics: hand-worked tables, then a slow independent reference."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import InvalidInput
from models.lane.culane_matching import matches
from models.lane.metrics import count, differs, distances, measure, total
from models.marks import CulaneImage, TusimpleFrame
from models.records import Boxes, Lane, Lanes

WIDTH, HEIGHT = 512, 256


def _lanes(*lines: tuple[tuple[float, float], ...]) -> Lanes:
    return Lanes(WIDTH, HEIGHT, tuple(Lane(line) for line in lines))


def _upright(x: float, top: float = 0, bottom: float = 250) -> tuple[tuple[float, float], ...]:
    return ((x, bottom), (x, top))


# CULane's 31 of 1640 px are 9.7 of 512: beyond a third of that apart, upright lines share less than half.
@pytest.mark.parametrize(
    ("offset", "matched", "changed"),
    [(0, True, False), (3, True, False), (4, False, False), (7, False, False), (9, False, True), (20, False, True)],
)
def test_a_person_is_more_patient_than_culane(offset: float, matched: bool, changed: bool) -> None:
    predicted, truth = _lanes(_upright(100 + offset)), _lanes(_upright(100))
    assert matches(predicted, truth) == ([(0, 0)] if matched else [])
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
    assert (got.f1, got.precision, got.recall, got.f1_8px) == pytest.approx((f1, precision, recall, f1_8px))
    assert got.quality == got.f1_8px
    assert got.n == 1


def test_without_images_nothing_is_wrong() -> None:
    got = measure([])
    assert (got.f1, got.f1_8px, got.tusimple_accuracy, got.tusimple_fp, got.tusimple_fn, got.n) == (1, 1, 1, 0, 0, 0)


def test_tusimple_figures_are_means_of_images() -> None:
    # 512 x 256: 20 of 1280 px are 8 px, rows 160..710 of 720 are 57..252; 250 px down to 0 miss the lowest of 56 rows.
    right = _lanes(_upright(100), _upright(300))
    pairs = [(right, right), (_lanes(_upright(100), _upright(200)), right), (_lanes(), _lanes(_upright(100)))]
    got = measure(pairs)
    assert got.tusimple_accuracy == pytest.approx((1 + (1 + 1 / 56) / 2 + 0) / 3)
    assert got.tusimple_fp == pytest.approx((0 + 1 / 2 + 0) / 3)
    assert got.tusimple_fn == pytest.approx((0 + 1 / 2 + 1) / 3)


def test_categories_have_their_own_figures() -> None:
    right, nothing = _lanes(_upright(100)), _lanes()
    pairs = [(right, right), (nothing, right), (right, right), (right, nothing), (nothing, nothing)]
    shown = ["normal", "normal", "night", "cross", "cross"]
    got = measure(pairs, map(CulaneImage, shown))
    assert got.f1_by_category == {"night": 1, "normal": pytest.approx(2 / 3)}
    assert got.false_by_category == {"cross": 1}  # no F1 where no line is true
    assert (got.precision, got.recall) == (2 / 3, 2 / 3)  # the false line at the crossing counts for the whole
    assert measure(pairs, [CulaneImage("normal"), *[None] * 4]).f1_by_category == {"normal": 1}
    assert measure(pairs).f1_by_category == {}


def test_a_label_of_tusimple_is_looked_at_as_it_stands() -> None:
    short, other = _lanes(_upright(100, top=128)), _lanes()
    frames = [TusimpleFrame((100, 140), ((100, 100),)), TusimpleFrame((10, 20, 30, 140), ((100, 100, 100, 100),))]
    counts = [count(short, other, frame) for frame in frames]
    assert total(counts).tusimple_accuracy == pytest.approx((1 / 2 + 1 / 4) / 2)


def test_lines_of_one_point_are_asked_for_and_never_found() -> None:
    line = _lanes(_upright(100))
    got = measure([(line, line)], [CulaneImage("night", dots=1)])
    assert (got.precision, got.recall) == (1, 1 / 2)
    assert got.f1_by_category == {"night": pytest.approx(2 / 3)}


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
    with pytest.raises(InvalidInput, match="expected Lanes, got Boxes"):
        measure([(Boxes(WIDTH, HEIGHT), _lanes())])


_POINT = st.tuples(st.floats(0, 128), st.floats(0, 64))
_LINE = st.lists(_POINT, min_size=2, max_size=4).map(tuple)
_SMALL = st.lists(_LINE, max_size=3).map(lambda lines: Lanes(128, 64, tuple(Lane(line) for line in lines)))


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(_SMALL, _SMALL), max_size=2))
def test_figures_are_of_the_counts_of_images(pairs: list[tuple[Lanes, Lanes]]) -> None:
    got = measure(pairs)
    matched = sum(len(matches(ours, theirs)) for ours, theirs in pairs)
    given_lines, true_lines = (sum(len(pair[side].lanes) for pair in pairs) for side in (0, 1))
    assert got.precision == (matched / given_lines if given_lines else 1)
    assert got.recall == (matched / true_lines if true_lines else 1)
    assert 0 <= got.f1 <= 1
    assert 0 <= got.f1_8px <= 1


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
