"""COCO's average precision: hand-worked cases, the evaluator used plainly, and a slow reference of its rules."""

import contextlib
import io
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from models.detection.coco_ap import IOUS, average_precision, compare
from models.marks import NOTHING, Ignored
from models.records import Box

Image = tuple[Sequence[Box], Sequence[Box], Ignored]


def box(x1: float, y1: float, x2: float, y2: float, confidence: float = 1.0, category: str = "car") -> Box:
    return Box((x1, y1, x2, y2), category, confidence)


def apart(place: int, confidence: float = 1.0) -> Box:
    """Boxes that do not touch each other."""
    return box(20 * place, 0, 20 * place + 10, 10, confidence)


def precision(*images: Image) -> list[float]:
    found = average_precision([compare(*image) for image in images])
    return [float(value) for value in found["car"]]


def test_recalls_of_three_boxes_by_hand() -> None:
    # right, wrong, right of three true boxes: recall 1/3 at precision 1, 2/3 at 2/3, never more.
    # Recalls 0..0.33 (34 of them) see precision 1, 0.34..0.66 (33) see 2/3, the other 34 see 0.
    said = [apart(0, 0.9), apart(9, 0.8), apart(1, 0.7)]
    expected = (34 + 33 * 2 / 3) / 101
    assert precision((said, [apart(0), apart(1), apart(2)], NOTHING)) == pytest.approx([expected] * 10)


def test_the_best_precision_beyond_counts() -> None:
    assert precision(([apart(9, 0.9), apart(0, 0.8)], [apart(0)], NOTHING)) == pytest.approx([0.5] * 10)


def test_a_box_counts_up_to_its_overlap() -> None:
    # 8 of 10 pixels: IoU 0.8, not less than 0.80 but less than 0.85
    half = box(0, 0, 10, 8)
    assert precision(([half], [apart(0)], NOTHING)) == pytest.approx([1] * 7 + [0] * 3)


def test_the_surest_takes_the_best_and_the_next_another() -> None:
    # Two true boxes, overlapping: the second guess still overlaps the other by 80/120.
    truth = [box(0, 0, 10, 10), box(2, 0, 12, 10)]
    found = compare([box(2, 0, 12, 10, 0.9), box(2, 0, 12, 10, 0.8)], truth)["car"]
    assert found.matched[1:, 0].all()
    assert found.matched[1:, 1].tolist() == [True] * 4 + [False] * 6
    assert found.overlap.tolist() == pytest.approx([1, 80 / 120])


def test_what_is_ignored_is_neither_right_nor_false() -> None:
    hidden = Ignored(objects=(apart(1),))
    assert precision(([apart(0, 0.8), apart(1, 0.9)], [apart(0)], hidden)) == pytest.approx([1] * 10)
    # A single object is found once: the second box on it is false, and surer than the right one.
    twice = [apart(0, 0.7), apart(1, 0.9), apart(1, 0.8)]
    assert precision((twice, [apart(0)], hidden)) == pytest.approx([0.5] * 10)
    # A true box is taken before an ignored one, though that overlaps more.
    both = Ignored(objects=(box(0, 0, 10, 10),))
    assert precision(([box(0, 0, 10, 10)], [box(0, 0, 10, 9)], both)) == pytest.approx([1] * 9 + [0])


def test_a_crowd_takes_all_that_lies_in_it() -> None:
    crowd = Ignored(crowds=(box(100, 0, 200, 100),))
    inside = [box(110, 10, 120, 20, 0.9), box(150, 50, 160, 60, 0.8), apart(0, 0.7)]
    assert precision((inside, [apart(0)], crowd)) == pytest.approx([1] * 10)
    # Half of a box in it is IoU 1/2 with a crowd, which suffices at 0.50 only; then it is surer than the right one.
    leaning = [box(95, 0, 105, 10, 0.9), apart(0, 0.7)]
    assert precision((leaning, [apart(0)], crowd)) == pytest.approx([1] + [0.5] * 9)


def test_nothing_to_find_has_no_precision() -> None:
    images = [compare([apart(0)], []), compare([], [], Ignored(objects=(apart(1),))), compare([], [])]
    assert average_precision(images) == {}
    assert average_precision([]) == {}


def test_only_the_hundred_surest_of_an_image_count() -> None:
    crowd = [box(i % 50, 50, i % 50 + 1, 51, 0.5) for i in range(100)]
    assert precision(([*crowd, apart(0, 0.1)], [apart(0)], NOTHING)) == [0] * 10
    assert precision(([*crowd[1:], apart(0, 0.1)], [apart(0)], NOTHING))[0] == pytest.approx(1 / 100)


def test_the_evaluator_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    average_precision([compare([apart(0)], [apart(0)])])
    assert capsys.readouterr() == ("", "")
    with pytest.raises(AttributeError):
        COCOeval(iouType="bbox").evaluate()
    assert "Running per image evaluation" in capsys.readouterr().out  # those of others keep their voice


SIDE = st.integers(1, 4)
PLACE = st.tuples(st.integers(0, 8), st.integers(0, 3), SIDE, SIDE)
CONFIDENCE = st.sampled_from([0.2, 0.4, 0.6, 0.8])
CATEGORY = st.sampled_from(["car", "dog"])
BOX = st.tuples(PLACE, CONFIDENCE, CATEGORY).map(
    lambda g: box(g[0][0], g[0][1], g[0][0] + g[0][2], g[0][1] + g[0][3], g[1], g[2])
)
BOXES = st.lists(BOX, max_size=5)
CROWDS = st.lists(BOX, max_size=1).map(tuple)
IMAGES = st.lists(st.tuples(BOXES, BOXES, CROWDS.map(lambda crowds: Ignored(crowds=crowds))), min_size=1, max_size=4)


@settings(max_examples=40, deadline=None)
@given(IMAGES)
def test_it_is_the_evaluator_used_plainly(images: list[Image]) -> None:
    """Through COCO's own data sets, ``evaluate`` and ``accumulate``; they know no ignored objects but crowds."""
    names = sorted({b.category for said, truth, left_out in images for b in (*said, *truth, *left_out.crowds)})
    sets = []
    with contextlib.redirect_stdout(io.StringIO()):
        for labels, left_out in (([i[1] for i in images], [i[2] for i in images]), ([i[0] for i in images], [])):
            one = COCO()
            one.dataset = document(labels, left_out, names)
            one.createIndex()
            sets.append(one)
        evaluator = COCOeval(*sets, "bbox")
        evaluator.evaluate()
        evaluator.accumulate()
    expected = evaluator.eval["precision"][:, :, :, 0, -1]
    got = average_precision([compare(*image) for image in images])
    for k, name in enumerate(names):
        if (expected[:, :, k] > -1).all():
            assert got[name] == pytest.approx(expected[:, :, k].mean(axis=1))
        else:
            assert name not in got


def document(labels: Sequence[Sequence[Box]], left_out: Sequence[Ignored], names: list[str]) -> dict[str, Any]:
    entries: list[dict[str, Any]] = []
    for image, boxes in enumerate(labels):
        crowds = left_out[image].crowds if left_out else ()
        for b, crowd in [(b, 0) for b in boxes] + [(b, 1) for b in crowds]:
            x1, y1, x2, y2 = b.xyxy
            size = {"bbox": [x1, y1, x2 - x1, y2 - y1], "area": (x2 - x1) * (y2 - y1), "iscrowd": crowd}
            entry = {"id": len(entries) + 1, "image_id": image, "category_id": names.index(b.category)}
            entries.append({**entry, **size, "score": b.confidence})
    images = [{"id": image} for image in range(len(labels))]
    return {"images": images, "annotations": entries, "categories": [{"id": k} for k in range(len(names))]}


def slow(images: list[Image], category: str, least: Fraction) -> float | None:
    """Average precision at one IoU with whole numbers and fractions, without crowds."""
    said: list[tuple[float, int, bool]] = []
    to_find = 0
    for boxes, truth, _ in images:
        ours = sorted((b for b in boxes if b.category == category), key=lambda b: -b.confidence)
        free = [b for b in truth if b.category == category]
        to_find += len(free)
        for b in ours:
            best = max(free, key=lambda t: overlap(b, t), default=None)
            right = best is not None and overlap(b, best) >= least
            if best is not None and right:
                equal = [t for t in free if overlap(b, t) == overlap(b, best)]
                free.remove(equal[-1])
            said.append((-b.confidence, len(said), right))
    if not to_find:
        return None
    said.sort()
    total = Fraction(0)
    for hundredth in range(101):
        best_precision = Fraction(0)
        for k in range(1, len(said) + 1):
            hits = sum(right for _, _, right in said[:k])
            if hits * 100 >= hundredth * to_find:
                best_precision = max(best_precision, Fraction(hits, k))
        total += best_precision
    return float(total / 101)


def overlap(a: Box, b: Box) -> Fraction:
    """By counting whole pixels."""
    one, other = (
        {(x, y) for x in range(int(c.xyxy[0]), int(c.xyxy[2])) for y in range(int(c.xyxy[1]), int(c.xyxy[3]))}
        for c in (a, b)
    )
    return Fraction(len(one & other), len(one | other))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(BOXES, BOXES, st.just(NOTHING)), min_size=1, max_size=3))
def test_it_is_what_a_slow_loop_finds(images: list[Image]) -> None:
    got = average_precision([compare(*image) for image in images])
    for category in ("car", "dog"):
        for i, hundredths in enumerate(range(50, 100, 5)):
            expected = slow(images, category, Fraction(hundredths, 100))
            if expected is None:
                assert category not in got
            else:  # one recall may fall on either side of an edge, where the evaluator rounds
                assert got[category][i] == pytest.approx(expected, abs=1.01 / 101)


def test_the_ious_are_those_of_coco() -> None:
    assert np.array_equal(IOUS, COCOeval(iouType="bbox").params.iouThrs)
