"""Whether boxes are right as often as their confidences say: by hand, and as a slow loop over bins finds it."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.detection.results import Results
from models.marks import Ignored
from models.records import Box, Boxes, Prediction

Gap = float | None


def box(x1: float, y1: float, x2: float, y2: float, category: str = "car", confidence: float = 1.0) -> Box:
    return Box((x1, y1, x2, y2), category, confidence)


def image(*boxes: Box) -> Boxes:
    return Boxes(100, 100, boxes)


def gaps(*pairs: tuple[Boxes, Boxes], marks: Sequence[Ignored] = ()) -> tuple[Gap, Gap]:
    """D-ECE and LaECE of (predicted, truth)."""
    found = Results([Prediction(said, 0.5, {}, ()) for said, _ in pairs], [truth for _, truth in pairs], marks)
    statistics, rows = found.statistics(), np.arange(len(pairs))
    d_ece, laece = statistics["d_ece"], statistics["laece"]
    assert callable(d_ece)
    assert callable(laece)
    return d_ece(rows), laece(rows)


def test_by_hand() -> None:
    # Bins of 0.04. Two boxes at 0.9, one of them right: 0.4 apart; one at 0.5, right: 0.5 apart; weights 2/3 and 1/3.
    said = image(*(box(20 * i, 0, 20 * i + 10, 10, confidence=c) for i, c in ((0, 0.9), (1, 0.9), (2, 0.5))))
    truth = image(box(0, 0, 10, 10), box(40, 0, 50, 10))
    # By overlap it is the same here, where what is right is exact; a box of IoU 0.4 is false for the first only.
    assert gaps((said, truth)) == pytest.approx((2 / 3 * 0.4 + 1 / 3 * 0.5,) * 2)
    low = image(box(0, 0, 10, 4, confidence=0.4)), image(box(0, 0, 10, 10))
    assert gaps(low) == pytest.approx((0.4, 0), abs=1e-9)


def test_laece_is_a_mean_over_categories_with_something_to_find() -> None:
    car = image(*[box(20 * i, 0, 20 * i + 10, 10, confidence=0.7) for i in range(3)])
    pairs = [(car, car), (image(box(0, 0, 9, 9, "dog", 0.2)), image(box(50, 0, 59, 9, "dog")))]
    assert gaps(*pairs) == pytest.approx((3 / 4 * 0.3 + 1 / 4 * 0.2, (0.3 + 0.2) / 2))
    stray = (image(box(0, 0, 9, 9, "cat", 0.9)), image())
    assert gaps(*pairs, stray)[1] == pytest.approx((0.3 + 0.2) / 2)


def test_what_only_touches_something_ignored_is_false_by_precision_and_left_out_by_overlap() -> None:
    right, touching = box(50, 50, 60, 60), box(0, 0, 10, 2, confidence=0.6)
    found = gaps((image(right, touching), image(right)), marks=[Ignored(objects=(box(0, 0, 10, 10),))])
    assert found == pytest.approx((0.6 / 2, 0), abs=1e-9)


def test_without_boxes_there_is_none() -> None:
    assert gaps() == (None, None)
    assert gaps((image(), image(box(0, 0, 9, 9)))) == (None, None)
    assert gaps((image(box(0, 0, 9, 9)), image()), marks=[Ignored(objects=(box(0, 0, 9, 9),))]) == (None, None)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 20), st.booleans()), max_size=12))
def test_it_is_what_a_slow_loop_over_bins_finds(found: list[tuple[int, bool]]) -> None:
    said = image(*(box(i * 8, 0, i * 8 + 4, 4, confidence=c / 20) for i, (c, _) in enumerate(found)))
    truth = image(*(box(i * 8, 0, i * 8 + 4, 4) for i, (_, right) in enumerate(found) if right))
    gap = 0.0
    for low in range(25):  # twentieths in bins of twenty-fifths: no edge but 0 and those of whole fifths
        inside = [(c / 20, right) for c, right in found if low < c * 25 / 20 <= low + 1 or (c == 0 and low == 0)]
        gap += abs(sum(c for c, _ in inside) - sum(right for _, right in inside)) / max(1, len(found))
    assert gaps((said, truth))[0] == (pytest.approx(gap) if found else None)
