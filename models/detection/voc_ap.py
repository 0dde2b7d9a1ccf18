"""Average precision by Pascal VOC's rules, those of its development kits (``VOCevaldet.m``, ``VOCap.m``).

The evaluators that are still maintained follow COCO, which matches otherwise: there a box whose true box is taken may
take another, here it is false. So the rules stand here. The kits count whole pixels, ends included; the reader of VOC
turns such boxes into plain corners, on which the same overlaps follow without their ``+ 1``.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from models.arrays import Floats
from models.detection.overlap import corners_of, pairwise_iou
from models.marks import NOTHING, Ignored
from models.records import Box, Boxes

Year: TypeAlias = Literal[2007, 2010]

LEAST_IOU = 0.5
RIGHT, FALSE, NEITHER = 1, 0, -1


@dataclass(frozen=True)
class Outcomes:
    """The d boxes of one category in n images, the surest first: the row of each box's image, and whether it is
    ``RIGHT``, ``FALSE`` or ``NEITHER``. ``truths`` (n,) counts what is to be found in each image.
    """

    image: NDArray[np.intp]
    outcome: NDArray[np.int64]
    truths: NDArray[np.int64]

    def average_precision(self, weights: Floats | None = None, year: Year = 2010) -> float | None:
        """The average precision if image i were there ``weights[i]`` times; None where there is nothing to find."""
        times = np.ones(len(self.truths)) if weights is None else weights
        to_find = int(times @ self.truths)
        if not to_find:
            return None
        right, false = (np.cumsum(times[self.image] * (self.outcome == kind)) for kind in (RIGHT, FALSE))
        area = _eleven_points if year == 2007 else _every_point
        return area(right, right / np.maximum(right + false, 1), to_find)


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
    marked = zip(pairs, repeat(NOTHING)) if ignored is None else zip(pairs, ignored, strict=True)
    found = judged([(said.boxes, truth.boxes, left_out.objects) for (said, truth), left_out in marked])
    values = {name: one.average_precision(year=year) for name, one in found.items()}
    return {name: value for name, value in values.items() if value is not None}


def judged(images: Sequence[tuple[Sequence[Box], Sequence[Box], Sequence[Box]]]) -> dict[str, Outcomes]:
    """The outcome of every box of n images, each (predicted, true, difficult), by category."""
    names = sorted({box.category for said, truth, _ in images for box in (*said, *truth)})
    return {
        name: _of_category([[[box for box in some if box.category == name] for some in image] for image in images])
        for name in names
    }


def _of_category(images: Sequence[Sequence[list[Box]]]) -> Outcomes:
    confidence = np.array([box.confidence for said, _, _ in images for box in said], np.float64)
    order = np.argsort(-confidence, kind="stable")
    outcome = np.array([one for image in images for one in outcomes(*image)], np.int64)
    image = np.repeat(np.arange(len(images)), [len(said) for said, _, _ in images])
    return Outcomes(image[order], outcome[order], np.array([len(truth) for _, truth, _ in images], np.int64))


def outcomes(predicted: Sequence[Box], truth: Sequence[Box], difficult: Sequence[Box] = ()) -> list[int]:
    """Whether each predicted box of one category in one image is ``RIGHT``, ``FALSE`` or ``NEITHER``.

    Each belongs to the true box that it overlaps most, the first of equals. It is right if that is at least half and no
    surer box has it already; a difficult one makes it neither, however often it is found.
    """
    found, taken = [FALSE] * len(predicted), set[int]()
    there = [*truth, *difficult]
    if not predicted or not there:
        return found
    overlap = pairwise_iou(corners_of(predicted), corners_of(there))
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


def _eleven_points(right: Floats, precision: Floats, to_find: int) -> float:
    best = [precision[10 * right >= tenth * to_find].max(initial=0.0) for tenth in range(11)]  # in whole numbers
    return float(np.mean(best))


def _every_point(right: Floats, precision: Floats, to_find: int) -> float:
    best = np.maximum.accumulate(precision[::-1])[::-1]
    return float((np.diff(right, prepend=0) * best).sum() / to_find)
