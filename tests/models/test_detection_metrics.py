"""Suppression and metrics: hand-worked tables, a slow reference, torchvision."""

import numpy as np
import pytest
import torch
import torchvision  # type: ignore[import-untyped]
from hypothesis import given, settings
from hypothesis import strategies as st

from models.detection.metrics import counted, differs, match, measure
from models.detection.overlap import pairwise_iou
from models.detection.suppression import fuse, suppress
from models.errors import InvalidRecord
from models.marks import Ignored
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


@st.composite
def candidates(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Boxes, confidences that all differ, and categories."""
    boxes, random = corners(draw(BOXES)), draw(st.randoms(use_true_random=False))
    confidences = np.array(random.sample(range(1, 1000), len(boxes)), float) / 1000
    return boxes, confidences, np.array([random.randrange(3) for _ in boxes], np.int64)


@settings(max_examples=60, deadline=None)
@given(candidates())
def test_suppression_agrees_with_a_slow_loop_and_torchvision(
    drawn: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    boxes, confidences, categories = drawn
    ours = suppress(boxes, confidences, categories, 0.45).tolist()
    assert ours == slow_suppress(boxes, confidences, categories, 0.45)
    theirs = torchvision.ops.batched_nms(
        torch.from_numpy(boxes), torch.from_numpy(confidences), torch.from_numpy(categories), 0.45
    )
    assert ours == theirs.tolist()


def test_fusion_by_hand() -> None:
    boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [5, 0, 15, 10], [0, 0, 10, 10], [30, 0, 40, 10]], float)
    found = fuse(boxes, np.array([0.6, 0.9, 0.8, 0.5, 0.3]), np.array([0, 0, 0, 1, 0]), 0.01)
    # row 0 says what row 1 says (IoU 90/110), and votes; row 2 overlaps that by 60/140; row 3 is of another category
    assert found.rows.tolist() == [1, 3, 2, 4]
    assert found.boxes[0].tolist() == pytest.approx([0.81 / 1.17, 0, 10 + 0.81 / 1.17, 10])
    assert found.boxes[1:] == pytest.approx(boxes[[3, 2, 4]])
    assert found.confidences.tolist() == pytest.approx([0.9, 0.5, 0.8 * np.exp(-((60 / 140) ** 2) / 0.3), 0.3])
    assert fuse(boxes, np.array([0.6, 0.9, 0.8, 0.5, 0.3]), np.array([0, 0, 0, 1, 0]), 0.55).rows.tolist() == [1]
    assert fuse(np.array([[3.0, 3, 3, 3]]), np.array([0.4]), np.array([0]), 0.1).boxes.tolist() == [[3, 3, 3, 3]]
    assert fuse(boxes[:0], np.zeros(0), np.zeros(0, np.int64), 0.1).boxes.shape == (0, 4)


def slow_fusion(boxes: np.ndarray, confidences: np.ndarray, categories: np.ndarray, least: float) -> list[int]:
    """Takes the best of what is left, one box at a time."""
    left, kept = dict(enumerate(confidences.tolist())), []
    while left and max(left.values()) >= least:
        best = max(left, key=lambda row: (left[row], -row))
        kept.append(best)
        del left[best]
        for row in [row for row in left if categories[row] == categories[best]]:
            overlap = slow_iou(boxes[row], boxes[best])
            left[row] *= 0 if overlap > 0.7 else float(np.exp(-(overlap**2) / 0.3))
    return kept


@settings(max_examples=60, deadline=None)
@given(candidates())
def test_fusion_agrees_with_a_slow_loop(drawn: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    boxes, confidences, categories = drawn
    found = fuse(boxes, confidences, categories, 0.05)
    assert found.rows.tolist() == slow_fusion(boxes, confidences, categories, 0.05)
    assert (np.diff(found.confidences) <= 0).all()
    assert (found.confidences <= confidences[found.rows]).all()
    assert (pairwise_iou(found.boxes, boxes[found.rows]).diagonal() > 0.4).all()


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


CROWD = st.lists(
    st.tuples(*[st.integers(0, 8)] * 2, *[st.integers(4, 9)] * 2, st.sampled_from([0.2, 0.5, 0.9])), max_size=6
)


@settings(max_examples=300, deadline=None)
@given(CROWD, CROWD, st.sampled_from([0.2, 0.5]))
def test_matches_agree_with_a_slow_loop(
    said: list[tuple[int, int, int, int, float]], there: list[tuple[int, int, int, int, float]], least: float
) -> None:
    """Boxes that crowd, so that often several want the same."""
    predicted, truth = ([box(x, y, x + w, y + h, "car", sure) for x, y, w, h, sure in some] for some in (said, there))
    expected, free = [-1] * len(predicted), list(range(len(truth)))
    for row in sorted(range(len(predicted)), key=lambda row: -predicted[row].confidence):
        overlap = {one: slow_iou(np.array(predicted[row].xyxy), np.array(truth[one].xyxy)) for one in free}
        best = max(free, key=lambda one: overlap[one], default=None)
        if best is not None and overlap[best] >= least:
            expected[row] = best
            free.remove(best)
    assert match(predicted, truth, least).tolist() == expected


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
    assert metrics.ap == metrics.ap75 == metrics.ap50  # what is right is exact
    assert metrics.ap50 == pytest.approx((51 / 101 + 1) / 3)
    assert (metrics.precision, metrics.recall, metrics.n) == (2 / 3, 2 / 4, 2)
    assert metrics.quality == metrics.ap50


def test_nothing_there_and_nothing_said_is_perfect() -> None:
    assert measure([(image(), image())]).quality == 1
    assert measure([(image(box(0, 0, 9, 9)), image())]).quality == 0
    assert measure([]).n == 0


def test_the_surest_box_takes_the_true_one_and_half_an_overlap_is_enough() -> None:
    truth = [box(0, 0, 10, 10)]
    assert match([box(0, 0, 10, 10, confidence=0.2), box(0, 0, 10, 9, confidence=0.9)], truth).tolist() == [-1, 0]
    assert match([box(0, 0, 10, 5)], truth).tolist() == [0]  # IoU 50 / 100
    assert match([box(0, 0, 10, 4.9)], truth).tolist() == [-1]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (box(0, 0, 10, 10), True),  # right, though it lies in the crowd as well
        (box(50, 50, 60, 60), False),  # on the hidden object
        (box(50, 50, 60, 60, "bus"), True),  # false: the hidden object is no bus
        (box(0, 20, 10, 30), False),  # in the crowd, which ends at 25, by half
        (box(0, 21, 10, 31), True),  # by less
    ],
)
def test_what_is_neither_right_nor_false(given: Box, kept: bool) -> None:
    ignored = Ignored(objects=(box(50, 50, 60, 60),), crowds=(box(0, 0, 40, 25),))
    left = counted(image(given), image(box(0, 0, 10, 10)), ignored)
    assert left == (image(given) if kept else image())


def test_what_is_ignored_counts_nowhere() -> None:
    pairs = [(image(box(0, 0, 10, 10), box(50, 50, 60, 60)), image(box(0, 0, 10, 10)))]
    metrics = measure(pairs, [Ignored(objects=(box(50, 50, 60, 60),))])
    assert (metrics.ap, metrics.precision, metrics.recall) == pytest.approx((1, 1, 1))
    assert measure(pairs).precision == 1 / 2
    alone = measure([(image(box(50, 50, 60, 60)), image())], [Ignored(crowds=(box(0, 0, 90, 90),))])
    assert (alone.ap, alone.precision, alone.recall) == (1, 1, 1)


def test_ap_is_the_mean_over_overlaps() -> None:
    # IoU 80 / 100: right at 0.50 to 0.80, which are seven of ten
    metrics = measure([(image(box(0, 0, 10, 8)), image(box(0, 0, 10, 10)))])
    assert (metrics.ap, metrics.ap50, metrics.ap75) == pytest.approx((0.7, 1, 1))
    metrics = measure([(image(box(0, 0, 10, 7)), image(box(0, 0, 10, 10)))])
    assert (metrics.ap, metrics.ap50, metrics.ap75) == pytest.approx((0.5, 1, 0))


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
