"""Average precision by Pascal VOC's rules, those of its development kits (``VOCevaldet.m``, ``VOCap.m``).

The evaluators that are still maintained follow COCO, which matches otherwise: there a box whose true box is taken may
take another, here it is false. So the rules stand here. The kits count whole pixels, ends included; the reader of VOC
turns such boxes into plain corners, on which the same overlaps follow without their ``+ 1``.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from models.detection.ignored import NOTHING, Ignored
from models.detection.suppression import pairwise_iou
from models.records import Box, Boxes

Floats: TypeAlias = NDArray[np.float64]
Year: TypeAlias = Literal[2007, 2010]

LEAST_IOU = 0.5
RIGHT, FALSE, NEITHER = 1, 0, -1


@dataclass
class _Tally:
    """One category: confidence and outcome of every predicted box, and how many true boxes there are to find."""

    confidences: list[float] = field(default_factory=list)
    outcomes: list[int] = field(default_factory=list)
    to_find: int = 0


def average_precision(
    pairs: Iterable[tuple[Boxes, Boxes]], ignored: Iterable[Ignored] | None = None, *, year: Year = 2010
) -> dict[str, float]:
    """Average precision at IoU 0.5 of each category in which there is something to find; their mean is VOC's mAP.

    Args:
        pairs: (predicted, truth) of each image.
        ignored: its ``difficult`` objects, as ``Ignored.objects``.
        year: of the rule. 2007: the mean over recalls 0, 0.1 .. 1 of the best precision there or beyond. 2010 and
            later: the area under the best precision at each recall or beyond.
    """
    tallies: dict[str, _Tally] = {}
    marked = zip(pairs, repeat(NOTHING)) if ignored is None else zip(pairs, ignored, strict=True)
    for (predicted, truth), left_out in marked:
        for name in sorted({box.category for box in (*predicted.boxes, *truth.boxes)}):
            ours, theirs, difficult = (
                [box for box in boxes if box.category == name]
                for boxes in (predicted.boxes, truth.boxes, left_out.objects)
            )
            tally = tallies.setdefault(name, _Tally())
            tally.confidences += [box.confidence for box in ours]
            tally.outcomes += outcomes(ours, theirs, difficult)
            tally.to_find += len(theirs)
    area = _eleven_points if year == 2007 else _every_point
    return {name: area(*_hits(tally), tally.to_find) for name, tally in sorted(tallies.items()) if tally.to_find}


def outcomes(predicted: Sequence[Box], truth: Sequence[Box], difficult: Sequence[Box] = ()) -> list[int]:
    """Whether each predicted box of one category in one image is ``RIGHT``, ``FALSE`` or ``NEITHER``.

    Each belongs to the true box that it overlaps most, the first of equals. It is right if that is at least half and no
    surer box has it already; a difficult one makes it neither, however often it is found.
    """
    found, taken = [FALSE] * len(predicted), set[int]()
    there = [*truth, *difficult]
    if not predicted or not there:
        return found
    overlap = pairwise_iou(_corners(predicted), _corners(there))
    for row in np.argsort([-box.confidence for box in predicted], kind="stable").tolist():
        best = int(overlap[row].argmax())
        if overlap[row, best] < LEAST_IOU:
            continue
        if best >= len(truth):
            found[row] = NEITHER
        elif best not in taken:
            found[row] = RIGHT
            taken.add(best)
    return found


def _hits(tally: _Tally) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """How many are right, and how many are counted, among the surest k boxes that count, for each k."""
    order = np.argsort(-np.array(tally.confidences, np.float64), kind="stable")
    outcome = np.array(tally.outcomes, np.int64)[order]
    right = np.cumsum(outcome[outcome != NEITHER] == RIGHT)
    return right, np.arange(1, len(right) + 1)


def _eleven_points(right: NDArray[np.int64], counted: NDArray[np.int64], to_find: int) -> float:
    precision = right / counted
    best = [precision[10 * right >= tenth * to_find].max(initial=0.0) for tenth in range(11)]  # in whole numbers
    return float(np.mean(best))


def _every_point(right: NDArray[np.int64], counted: NDArray[np.int64], to_find: int) -> float:
    best = np.maximum.accumulate((right / counted)[::-1])[::-1]
    return float((np.diff(right, prepend=0) * best).sum() / to_find)


def _corners(boxes: Sequence[Box]) -> Floats:
    return np.array([box.xyxy for box in boxes], np.float64)
