"""TuSimple's accuracy: every rule of the official script by hand, and the script's arithmetic written out slowly."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import InvalidInput
from models.lane.tusimple_accuracy import FrameScore, columns, compare, score
from models.marks import TusimpleFrame
from models.records import Lane, Lanes

ROWS = np.arange(0.0, 200.0, 10.0)  # 20 rows
Line = list[float]


def upright(x: float, rows: int = 20) -> Line:
    """A line at one column in the lowest rows."""
    return [-2.0] * (20 - rows) + [x] * rows


def compared(predicted: list[Line], truth: list[Line], seconds: float = 0.0) -> FrameScore:
    ours, theirs = (np.array(lines, float).reshape(len(lines), 20) for lines in (predicted, truth))
    return compare(ours, theirs, ROWS, seconds=seconds)


@pytest.mark.parametrize(
    ("predicted", "truth", "expected"),
    [
        ([upright(100)], [upright(100)], (1, 0, 0)),
        ([upright(119)], [upright(100)], (1, 0, 0)),
        ([upright(120)], [upright(100)], (0, 1, 1)),  # 20 px is not less than 20 px
        # Absent in both counts as right: ten rows of nothing, ten of a line far off.
        ([upright(500, 10)], [upright(100, 10)], (0.5, 1, 1)),
        # 3 of 20 rows wrong: 0.85 is found; 4 of 20 is not, and still counts for the accuracy.
        ([upright(100, 17)], [upright(100)], (0.85, 0, 0)),
        ([upright(100, 16)], [upright(100)], (0.8, 1, 1)),
        # One false beside one right; one missed beside one found.
        ([upright(100), upright(500)], [upright(100)], (1, 1 / 2, 0)),
        ([upright(100)], [upright(100), upright(500)], (0.5, 0, 1 / 2)),
        # Nothing predicted; nothing there.
        ([], [upright(100), upright(500)], (0, 0, 1)),
        ([], [], (0, 0, 0)),
        ([upright(100)], [], (0, 1, 0)),
        # Two more than there are may be; three more, and all is missed and nothing false.
        ([upright(100), upright(300), upright(500)], [upright(100)], (1, 2 / 3, 0)),
        ([upright(100), upright(300), upright(500), upright(700)], [upright(100)], (0, 0, 1)),
        ([upright(100), upright(300), upright(500)], [], (0, 0, 1)),
        # One predicted line may be the best of two true ones: found twice, the false ones fall below nothing.
        ([upright(105)], [upright(100), upright(110)], (1, -1, 0)),
    ],
)
def test_the_rules_by_hand(predicted: list[Line], truth: list[Line], expected: tuple[float, float, float]) -> None:
    got = compared(predicted, truth)
    assert (got.accuracy, got.false, got.missed) == pytest.approx(expected)


def test_a_fifth_line_is_forgiven() -> None:
    truth = [upright(100 * i) for i in range(1, 6)]
    # The four that are predicted make it perfect: the worst line and one miss do not count.
    assert compared(truth[:4], truth) == FrameScore(1.0, 0.0, 0.0)
    # Three of five: two missed, one forgiven; sums are over four.
    assert compared(truth[:3], truth) == FrameScore(0.75, 0.0, 0.25)
    # All five found: the worst, perfect too, is left out.
    assert compared(truth, truth) == FrameScore(1.0, 0.0, 0.0)
    # With four true lines nothing is forgiven.
    assert compared(truth[:3], truth[:4]) == FrameScore(0.75, 0.0, 0.25)


def test_a_slow_answer_is_none() -> None:
    lines = [upright(100)]
    assert compared(lines, lines, seconds=0.2) == FrameScore(1.0, 0.0, 0.0)
    assert compared(lines, lines, seconds=0.21) == FrameScore(0.0, 0.0, 1.0)


def test_a_slanted_line_allows_more_across() -> None:
    # 3 columns a row of 4: cos = 4/5, so 25 px.
    slanted = [0.75 * y for y in ROWS]
    assert compared([[x + 24.9 for x in slanted]], [slanted]).accuracy == 1
    assert compared([[x + 25.1 for x in slanted]], [slanted]).accuracy == 0
    # The slope is of the true line alone, and of the rows where it is.
    assert compared([upright(100)], [[-2.0] * 19 + [100.0]]).accuracy == 1 / 20


def test_lines_and_rows_must_fit() -> None:
    with pytest.raises(InvalidInput, match=r"a column for each of 20 rows, got \(3,\) and \(20,\)"):
        compare(np.zeros((1, 3)), np.zeros((1, 20)), ROWS)


def slow(predicted: list[Line], truth: list[Line]) -> tuple[float, float, float]:
    """The script's steps one by one, with a regression by sums."""
    if len(predicted) > len(truth) + 2:
        return 0.0, 0.0, 1.0
    accuracies: list[float] = []
    for line in truth:
        there = [(y, x) for y, x in zip(ROWS, line, strict=True) if x >= 0]
        slope = 0.0
        if len(there) > 1:
            my, mx = (sum(values) / len(there) for values in zip(*there, strict=True))
            slope = sum((y - my) * (x - mx) for y, x in there) / sum((y - my) ** 2 for y, _ in there)
        near = 20 / math.cos(math.atan(slope))
        shares = []
        for other in predicted:
            hits = 0
            for a, b in zip(other, line, strict=True):
                hits += abs((a if a >= 0 else -100) - (b if b >= 0 else -100)) < near
            shares.append(hits / len(line))
        accuracies.append(max(shares, default=0.0))
    found = len([each for each in accuracies if each >= 0.85])
    missed, right = len(truth) - found, math.fsum(accuracies)
    if len(truth) > 4:
        missed, right = max(missed - 1, 0), right - min(accuracies)
    over = max(1, min(4, len(truth)))
    return right / over, (len(predicted) - found) / len(predicted) if predicted else 0.0, missed / over


LINE = st.tuples(st.integers(-1, 20), st.integers(0, 600), st.integers(-30, 30)).map(
    lambda given: [-2.0 if i < given[0] or given[1] + given[2] * i < 0 else given[1] + given[2] * i for i in range(20)]
)


@settings(max_examples=150, deadline=None)
@given(st.lists(LINE, max_size=5), st.lists(LINE, max_size=6), st.integers(-30, 30))
def test_it_is_the_slow_script(strange: list[Line], truth: list[Line], shift: int) -> None:
    near = [[x + shift + 0.5 if x >= 0 else x for x in line] for line in truth[:3]]
    for predicted in (strange, near, near + strange[:2]):
        got = compared(predicted, truth)
        assert (got.accuracy, got.false, got.missed) == pytest.approx(slow(predicted, truth))


def test_a_line_is_sampled_on_rows() -> None:
    line = Lane(((100.0, 90.0), (150.0, 40.0)))
    rows = np.array([30.0, 40.0, 50.0, 90.0, 91.0])
    assert columns(line, rows, 200).tolist() == [-2, 150, 140, 100, -2]
    assert columns(Lane(line.points[::-1]), rows, 200).tolist() == [-2, 150, 140, 100, -2]
    assert columns(line, rows, 141).tolist() == [-2, -2, 140, 100, -2]  # beyond the image
    assert columns(Lane(((-20.0, 90.0), (30.0, 40.0))), rows, 200).tolist() == [-2, 30, 20, -2, -2]


def test_the_lowest_crossing_of_a_row_counts() -> None:
    hook = Lane(((10.0, 100.0), (20.0, 50.0), (60.0, 50.0), (80.0, 80.0), (90.0, 20.0)))
    assert columns(hook, np.array([75.0, 50.0, 40.0]), 200).tolist() == pytest.approx([15, 20, 20 + 70 / 3])
    flat = Lane(((10.0, 50.0), (90.0, 50.0)))
    assert columns(flat, np.array([50.0, 60.0]), 200).tolist() == [10, -2]


def frame(x: float, scale: float = 1.0) -> Lanes:
    line = Lane(((x * scale, 710 * scale), (x * scale, 160 * scale)))
    return Lanes(round(1280 * scale), round(720 * scale), (line,))


@pytest.mark.parametrize("scale", [0.4, 1.0, 2.5])
def test_rows_and_distances_scale_with_the_image(scale: float) -> None:
    assert score(frame(619, scale), frame(600, scale)) == FrameScore(1.0, 0.0, 0.0)
    assert score(frame(621, scale), frame(600, scale)) == FrameScore(0.0, 1.0, 1.0)


def test_the_benchmark_has_56_rows_unless_the_label_says_otherwise() -> None:
    short = Lanes(1280, 720, (Lane(((600.0, 710.0), (600.0, 430.0))),))
    assert score(short, frame(600)).accuracy == 29 / 56  # rows 430 to 710 of 160 to 710
    rows = tuple(range(240, 720, 10))
    assert score(short, frame(600), TusimpleFrame(rows, ((600,) * 48,))).accuracy == 29 / 48


def test_a_gap_in_a_label_stays_a_gap() -> None:
    """Three rows: the label is absent on the second, so a line through all three is right on two."""
    through, rows = Lanes(1280, 720, (Lane(((600.0, 300.0), (600.0, 280.0))),)), (280, 290, 300)
    assert score(through, through, TusimpleFrame(rows, ((600, -2, 600),))).accuracy == 2 / 3
    assert score(through, through).accuracy == 1
    # A line of a single point is a line to be found; absent on two rows and right on one, where both say nothing.
    assert score(Lanes(1280, 720), Lanes(1280, 720), TusimpleFrame(rows, ((600, -2, -2),))) == FrameScore(0, 0, 1)
