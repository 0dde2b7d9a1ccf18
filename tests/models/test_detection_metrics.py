"""Suppression and metrics: hand-worked tables, a slow reference, torchvision."""

import numpy as np
import pytest
import torch
import torchvision  # type: ignore[import-untyped]
from hypothesis import given, settings
from hypothesis import strategies as st

from models.detection.metrics import average_precision, differs, match, measure
from models.detection.suppression import pairwise_iou, suppress
from models.errors import InvalidRecord
from models.records import Box, Boxes, Transcript

CORNER = st.integers(0, 20)
BOXES = st.lists(st.tuples(CORNER, CORNER, st.integers(1, 12), st.integers(1, 12)), max_size=25)


def box(x1: float, y1: float, x2: float, y2: float, category: str = "car", confidence: float = 1.0) -> Box:
    return Box((x1, y1, x2, y2), category, confidence)


def image(*boxes: Box) -> Boxes:
    return Boxes(100, 100, boxes)


def corners(rectangles: list[tuple[int, int, int, int]]) -> np.ndarray:
    return np.array([(x, y, x + w, y + h) for x, y, w, h in rectangles], np.float64).reshape(-1, 4)


def test_iou_by_hand() -> None:
    first = np.array([[0, 0, 10, 10]], float)
    second = np.array([[0, 0, 10, 10], [5, 0, 15, 10], [5, 5, 15, 15], [10, 0, 20, 10], [2, 2, 2, 2]], float)
    assert pairwise_iou(first, second)[0] == pytest.approx([1, 50 / 150, 25 / 175, 0, 0])


def test_iou_of_two_empty_boxes_is_zero() -> None:
    nothing = np.array([[3, 3, 3, 3]], float)
    assert pairwise_iou(nothing, nothing)[0, 0] == 0


def test_suppression_by_hand() -> None:
    boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [0, 0, 10, 10], [50, 50, 60, 60], [2, 0, 12, 10]], float)
    confidences = np.array([0.8, 0.9, 0.5, 0.3, 0.7])
    categories = np.array([0, 0, 1, 0, 0])
    # row 1 is best and overlaps row 0 by 90/110 and row 4 likewise; row 2 is of another category
    assert suppress(boxes, confidences, categories, 0.5).tolist() == [1, 2, 3]
    assert suppress(boxes, confidences, categories, 0.85).tolist() == [1, 0, 4, 2, 3]


def test_equal_confidence_keeps_the_first_row() -> None:
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 10]], float)
    assert suppress(boxes, np.array([0.5, 0.5]), np.array([0, 0]), 0.5).tolist() == [0]


def slow_suppress(boxes: np.ndarray, confidences: np.ndarray, categories: np.ndarray, limit: float) -> list[int]:
    """A box stays unless one before it, in order of confidence, stays and overlaps it too much."""
    kept: list[int] = []
    for row in sorted(range(len(boxes)), key=lambda i: (-confidences[i], i)):
        rivals = [other for other in kept if categories[other] == categories[row]]
        if all(slow_iou(boxes[row], boxes[other]) <= limit for other in rivals):
            kept.append(row)
    return kept


def slow_iou(a: np.ndarray, b: np.ndarray) -> float:
    """By counting whole pixels."""
    cells = [{(x, y) for x in range(int(c[0]), int(c[2])) for y in range(int(c[1]), int(c[3]))} for c in (a, b)]
    union = cells[0] | cells[1]
    return len(cells[0] & cells[1]) / len(union) if union else 0.0


@settings(max_examples=60, deadline=None)
@given(BOXES, st.randoms(use_true_random=False))
def test_suppression_agrees_with_a_slow_loop_and_torchvision(rectangles, random) -> None:  # type: ignore[no-untyped-def]
    boxes = corners(rectangles)
    confidences = np.array(random.sample(range(1, 1000), len(boxes)), float) / 1000
    categories = np.array([random.randrange(3) for _ in boxes], np.int64)
    ours = suppress(boxes, confidences, categories, 0.45).tolist()
    assert ours == slow_suppress(boxes, confidences, categories, 0.45)
    theirs = torchvision.ops.batched_nms(
        torch.from_numpy(boxes), torch.from_numpy(confidences), torch.from_numpy(categories), 0.45
    )
    assert ours == theirs.tolist()


def test_average_precision_by_hand() -> None:
    # three true boxes; right, wrong, right: recall 1/3 at precision 1, 2/3 at 2/3, never more.
    # recall points 0..0.33 (34 of them) see precision 1, 0.34..0.66 (33) see 2/3, the other 34 see 0.
    confidences = np.array([0.9, 0.8, 0.7])
    assert average_precision(confidences, np.array([True, False, True]), 3) == pytest.approx((34 + 33 * 2 / 3) / 101)
    assert average_precision(confidences, np.array([True, True, True]), 3) == pytest.approx(1)
    assert average_precision(confidences, np.array([False, False, False]), 3) == 0
    assert average_precision(np.zeros(0), np.zeros(0, bool), 3) == 0


def test_precision_takes_the_best_beyond() -> None:
    # wrong first, then right: the envelope gives precision 1/2 at recall 0 already
    assert average_precision(np.array([0.9, 0.8]), np.array([False, True]), 1) == pytest.approx(0.5)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.booleans(), max_size=30), st.integers(0, 5))
def test_average_precision_agrees_with_a_slow_loop(right: list[bool], missed: int) -> None:
    truths = sum(right) + missed
    if not truths:
        return
    slow = 0.0
    for hundredth in range(101):
        reached = [
            sum(right[: i + 1]) / (i + 1)
            for i in range(len(right))
            if sum(right[: i + 1]) * 100 >= hundredth * truths  # whole numbers: no rounding at the edges
        ]
        slow += max(reached, default=0.0) / 101
    confidences = np.linspace(1, 0.1, len(right))
    fast = average_precision(confidences, np.array(right, bool), truths)
    assert fast == pytest.approx(slow, abs=1.01 / 101)  # one recall point may fall on either side of an edge


def test_each_true_box_is_matched_once_and_by_the_most_confident() -> None:
    truth = [box(0, 0, 10, 10), box(20, 0, 30, 10)]
    predicted = [
        box(0, 0, 10, 9, confidence=0.5),
        box(0, 0, 10, 10, confidence=0.4),
        box(21, 0, 31, 10, confidence=0.9),
    ]
    assert match(predicted, truth).tolist() == [0, -1, 1]


def test_a_box_takes_its_best_free_partner() -> None:
    truth = [box(0, 0, 10, 10), box(2, 0, 12, 10)]
    predicted = [box(2, 0, 12, 10, confidence=0.9), box(2, 0, 12, 10, confidence=0.8)]
    assert match(predicted, truth).tolist() == [1, 0]  # the second still overlaps the other by 80/120


def test_measure_by_hand() -> None:
    first = image(box(0, 0, 10, 10, confidence=0.9), box(50, 50, 60, 60, confidence=0.8))
    second = image(box(0, 0, 10, 10, "dog", 0.7))
    pairs = [
        (first, image(box(0, 0, 10, 10), box(20, 20, 30, 30))),
        (second, image(box(0, 0, 10, 10, "dog"), box(0, 0, 10, 4, "cat"))),
    ]
    metrics = measure(pairs)
    # car: right at recall 1/2 (51 points: 0..0.50), then nothing; cat: never; dog: all
    assert metrics.ap50_by_category == pytest.approx({"car": 51 / 101, "cat": 0, "dog": 1})
    assert metrics.ap50 == pytest.approx((51 / 101 + 1) / 3)
    assert (metrics.precision, metrics.recall, metrics.n) == (2 / 3, 2 / 4, 2)
    assert metrics.quality == metrics.ap50


def test_nothing_there_and_nothing_said_is_perfect() -> None:
    assert measure([(image(), image())]).quality == 1
    assert measure([(image(box(0, 0, 9, 9)), image())]).quality == 0
    assert measure([]).n == 0


def test_only_the_hundred_most_confident_count() -> None:
    crowd = [box(i % 50, 0, i % 50 + 1, 1, confidence=0.5) for i in range(100)]
    late = box(90, 90, 99, 99, confidence=0.1)
    truth = image(box(90, 90, 99, 99))
    assert measure([(image(*crowd, late), truth)]).ap50 == 0
    assert measure([(image(*crowd[1:], late), truth)]).ap50 > 0


@pytest.mark.parametrize(
    ("predicted", "truth", "expected"),
    [
        (image(), image(), False),
        (image(box(0, 0, 10, 10)), image(box(1, 0, 10, 10)), False),
        (image(box(0, 0, 10, 10)), image(box(6, 0, 16, 10)), True),  # badly placed: IoU 40/160
        (image(box(0, 0, 10, 10)), image(), True),  # false
        (image(), image(box(0, 0, 10, 10)), True),  # missed
        (image(box(0, 0, 10, 10, "dog")), image(box(0, 0, 10, 10, "cat")), True),  # wrongly named
        (image(box(0, 0, 9, 9), box(0, 0, 9, 9)), image(box(0, 0, 9, 9), box(50, 0, 59, 9)), True),  # said twice
    ],
)
def test_what_a_person_would_change(predicted: Boxes, truth: Boxes, expected: bool) -> None:
    assert differs(predicted, truth) is expected


def test_other_labels_are_refused() -> None:
    with pytest.raises(InvalidRecord, match="expected Boxes, got Transcript"):
        measure([(Transcript("hello"), image())])
