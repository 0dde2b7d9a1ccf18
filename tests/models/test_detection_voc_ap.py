"""VOC's average precision: the development kits' rules by hand, and slowly."""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.detection.voc_ap import FALSE, NEITHER, RIGHT, Year, average_precision, outcomes
from models.marks import Ignored
from models.records import Box, Boxes


def box(x1: float, y1: float, x2: float, y2: float, confidence: float = 1.0, category: str = "car") -> Box:
    return Box((x1, y1, x2, y2), category, confidence)


def apart(place: int, confidence: float = 1.0) -> Box:
    return box(20 * place, 0, 20 * place + 10, 10, confidence)


def image(*boxes: Box) -> Boxes:
    return Boxes(1000, 1000, boxes)


@pytest.mark.parametrize(
    ("predicted", "truth", "difficult", "expected"),
    [
        ([apart(0)], [apart(0)], [], [RIGHT]),
        ([apart(0)], [apart(1)], [], [FALSE]),
        ([apart(0)], [], [], [FALSE]),
        ([box(0, 0, 10, 5)], [box(0, 0, 10, 10)], [], [RIGHT]),  # half is enough
        ([box(0, 0, 10, 4.9)], [box(0, 0, 10, 10)], [], [FALSE]),
        # Found again is false; the surer one is right, whatever the order.
        ([apart(0, 0.5), apart(0, 0.9)], [apart(0)], [], [FALSE, RIGHT]),
        # A box belongs to what it overlaps most, taken or not: COCO would give the second the other true box.
        (
            [box(2, 0, 12, 10, 0.9), box(2, 0, 12, 10, 0.8)],
            [box(0, 0, 10, 10), box(2, 0, 12, 10)],
            [],
            [RIGHT, FALSE],
        ),
        # Difficult objects are neither, as often as they are found, and come first where they overlap more.
        ([apart(1, 0.9), apart(1, 0.8)], [apart(0)], [apart(1)], [NEITHER, NEITHER]),
        ([box(0, 0, 10, 10)], [box(0, 0, 10, 9)], [box(0, 0, 10, 10)], [NEITHER]),
        ([box(0, 0, 10, 9)], [box(0, 0, 10, 9)], [box(0, 0, 10, 10)], [RIGHT]),
    ],
)
def test_outcomes_by_hand(predicted: list[Box], truth: list[Box], difficult: list[Box], expected: list[int]) -> None:
    assert outcomes(predicted, truth, difficult) == expected


@pytest.mark.parametrize(
    ("said", "expected_2007", "expected_2010"),
    [
        # Four true boxes. Right, false, right: recall 1/4 at precision 1, 2/4 at 2/3.
        # 2007: recalls 0, 0.1, 0.2 see 1; 0.3, 0.4, 0.5 see 2/3; the rest 0. 2010: a quarter at 1, a quarter at 2/3.
        ([apart(0, 0.9), apart(9, 0.8), apart(1, 0.7)], (3 + 3 * 2 / 3) / 11, (1 + 2 / 3) / 4),
        ([apart(0), apart(1), apart(2), apart(3)], 1, 1),
        ([], 0, 0),
        ([apart(8), apart(9)], 0, 0),
        # False first: the best beyond is 1/2.
        ([apart(9, 0.9), apart(0, 0.8)], 3 * 0.5 / 11, 0.5 / 4),
    ],
)
def test_both_rules_by_hand(said: list[Box], expected_2007: float, expected_2010: float) -> None:
    truth = image(*(apart(i) for i in range(4)))
    assert average_precision([(image(*said), truth)], year=2007) == {"car": pytest.approx(expected_2007)}
    assert average_precision([(image(*said), truth)], year=2010) == {"car": pytest.approx(expected_2010)}
    assert average_precision([(image(*said), truth)]) == {"car": pytest.approx(expected_2010)}


def test_boxes_of_all_images_are_ranked_together() -> None:
    pairs = [(image(apart(9, 0.9)), image()), (image(apart(0, 0.8)), image(apart(0)))]
    assert average_precision(pairs) == {"car": 0.5}


def test_difficult_objects_need_not_be_found() -> None:
    pairs = [(image(apart(0, 0.5), apart(1, 0.9), apart(1, 0.8)), image(apart(0)))]
    assert average_precision(pairs, [Ignored(objects=(apart(1),))]) == {"car": 1}
    assert average_precision(pairs)["car"] == pytest.approx(1 / 3)
    assert average_precision([(image(apart(1)), image())], [Ignored(objects=(apart(1),))]) == {}
    other = Ignored(objects=(box(20, 0, 30, 10, 1.0, "dog"),))
    assert average_precision(pairs, [other])["car"] == pytest.approx(1 / 3)


def test_categories_are_apart() -> None:
    dog = box(0, 0, 10, 10, 1.0, "dog")
    assert average_precision([(image(apart(0)), image(apart(0), dog))]) == {"car": 1, "dog": 0}


PLACE = st.tuples(st.integers(0, 6), st.integers(0, 2), st.integers(1, 3), st.integers(1, 3))
BOX = st.tuples(PLACE, st.integers(1, 4)).map(
    lambda g: box(g[0][0], g[0][1], g[0][0] + g[0][2], g[0][1] + g[0][3], g[1] / 4)
)
BOXES = st.lists(BOX, max_size=5)
IMAGE = st.tuples(BOXES, BOXES, st.lists(BOX, max_size=2))  # predicted, true, difficult


def slow(images: list[tuple[list[Box], list[Box], list[Box]]], year: Year) -> float | None:
    """The kit's loop over all detections of all images, with ends included and ``+ 1``, in whole numbers."""

    def overlap(a: Box, b: Box) -> Fraction:
        one, other = ([a.xyxy[0] + 1, a.xyxy[1] + 1, *a.xyxy[2:]], [b.xyxy[0] + 1, b.xyxy[1] + 1, *b.xyxy[2:]])
        width = min(one[2], other[2]) - max(one[0], other[0]) + 1
        height = min(one[3], other[3]) - max(one[1], other[1]) + 1
        if width <= 0 or height <= 0:
            return Fraction(0)
        sizes = [(c[2] - c[0] + 1) * (c[3] - c[1] + 1) for c in (one, other)]
        return Fraction(int(width * height), int(sum(sizes) - width * height))

    to_find = sum(len(truth) for _, truth, _ in images)
    if not to_find:
        return None
    detections = [(-b.confidence, i, k) for i, (said, _, _) in enumerate(images) for k, b in enumerate(said)]
    detected: set[tuple[int, int]] = set()
    curve: list[tuple[Fraction, Fraction]] = []
    right = false = 0
    for _, i, k in sorted(detections):
        said, truth, difficult = images[i]
        most, which = Fraction(-1), -1
        for j, other in enumerate([*truth, *difficult]):
            if overlap(said[k], other) > most:
                most, which = overlap(said[k], other), j
        if most >= Fraction(1, 2):
            if which < len(truth):
                right, false = right + ((i, which) not in detected), false + ((i, which) in detected)
                detected.add((i, which))
        else:
            false += 1
        if right + false:
            curve.append((Fraction(right, to_find), Fraction(right, right + false)))
    if year == 2007:
        best = [max((p for r, p in curve if r >= Fraction(t, 10)), default=Fraction(0)) for t in range(11)]
        return float(sum(best) / 11)
    area, before = Fraction(0), Fraction(0)
    for recall in sorted({r for r, _ in curve}):
        area += (recall - before) * max(p for r, p in curve if r >= recall)
        before = recall
    return float(area)


@settings(max_examples=80, deadline=None)
@given(st.lists(IMAGE, min_size=1, max_size=4), st.sampled_from([2007, 2010]))
def test_it_is_the_slow_kit(images: list[tuple[list[Box], list[Box], list[Box]]], year: Year) -> None:
    pairs = [(image(*said), image(*truth)) for said, truth, _ in images]
    ignored = [Ignored(objects=tuple(difficult)) for _, _, difficult in images]
    got, expected = average_precision(pairs, ignored, year=year), slow(images, year)
    assert got == ({} if expected is None else {"car": pytest.approx(expected)})
