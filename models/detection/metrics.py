"""How well predicted boxes match true ones: average precision, calibration, and what a person would still change.

Average precision is COCO's, as ``coco_ap`` has it; ``voc_ap`` and ``kitti_ap`` follow the rules of those benchmarks.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import repeat
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from models.arrays import Floats
from models.changes import Changes
from models.detection.coco_ap import MATCHED_AT_50, Matches, average_precision, compare
from models.detection.overlap import corners_of, pairwise_iou, share_inside
from models.marks import NOTHING, Ignored
from models.matters import ANYTHING, Matters
from models.parts import PartErrors
from models.records import Box, Boxes, Label, require_kind
from models.reliability import calibration_gap

LEAST_IOU = 0.5
CALIBRATION_BINS = 25  # as in Kuzucu et al. 2024
SAME_OBJECT_IOU = 0.1  # a wrong box that overlaps a missed object as much is moved or renamed, not drawn anew
_AT_50, _AT_75 = 0, 5  # among the IoUs of average precision

DetectionCounts: TypeAlias = Mapping[str, Matches]  # what one image adds to the metrics, by category


@dataclass(frozen=True)
class DetectionMetrics:
    """Over ``n`` images: COCO's average precisions, means over the categories that occur, and rates over all boxes.

    ``ap`` is the mean over IoUs from 0.50 to 0.95 by 0.05. ``precision`` is the share of predicted boxes that are right
    at IoU 0.5, ``recall`` the share of true boxes found; each is 1 where there was nothing to be wrong about.
    """

    ap: float
    ap50: float
    ap75: float
    ap50_by_category: dict[str, float]
    precision: float
    recall: float
    n: int

    @property
    def quality(self) -> float:
        return self.ap50


def measure(pairs: Iterable[tuple[Label, Label]], ignored: Iterable[Ignored] | None = None) -> DetectionMetrics:
    """The metrics over (predicted, truth); where there is nothing to find, they are 1 if nothing is said, else 0.

    Args:
        pairs: labels of the same image.
        ignored: what of each image does not count, where the data set says so.

    Raises:
        InvalidRecord: a label that is no boxes.
    """
    marked = zip(pairs, repeat(NOTHING)) if ignored is None else zip(pairs, ignored, strict=True)
    return total([count(predicted, truth, left_out) for (predicted, truth), left_out in marked])


def count(predicted: Label, truth: Label, ignored: Ignored = NOTHING) -> DetectionCounts:
    """What one image adds to the metrics."""
    return compare(require_kind(predicted, Boxes).boxes, require_kind(truth, Boxes).boxes, ignored)


def total(counts: Sequence[DetectionCounts]) -> DetectionMetrics:
    """The metrics of these images together."""
    precisions = average_precision(counts)
    matches = [found for image in counts for found in image.values()]
    right = sum(int((each.matched & ~each.ignored)[MATCHED_AT_50].sum()) for each in matches)
    said = sum(int((~each.ignored)[MATCHED_AT_50].sum()) for each in matches)
    true = sum(int(each.to_find.sum()) for each in matches)
    means = np.mean([*precisions.values()], axis=0) if precisions else np.full(10, float(said == 0))
    return DetectionMetrics(
        ap=float(means.mean()),
        ap50=float(means[_AT_50]),
        ap75=float(means[_AT_75]),
        ap50_by_category={name: float(values[_AT_50]) for name, values in precisions.items()},
        precision=right / said if said else 1.0,
        recall=right / true if true else 1.0,
        n=len(counts),
    )


def d_ece(confidence: Floats, right: Floats) -> float | None:
    """Detection's expected calibration error: the gap between confidence and precision at IoU 0.5, by bins.

    In [0, 1], lower is better; None where there is no box. Source: Küppers et al. 2020, by confidence alone.

    Args:
        confidence, right: (n,) of all boxes handed out; ``right`` is 1 where one has its true box, else 0.
    """
    return calibration_gap(confidence, right, CALIBRATION_BINS)


def laece(categories: Iterable[tuple[Floats, Floats]]) -> float | None:
    """LaECE_0: the gap between confidence and IoU by bins of confidence, a mean over categories.

    In [0, 1], lower is better; categories without boxes do not count, and where all are so there is None.
    Source: Kuzucu et al. 2024 (arXiv 2405.20459), section 4.

    Args:
        categories: of each in which there is something to find, confidence and overlap (n,) of the boxes handed out;
            a box has the IoU of the true box that it touches and takes, and 0 where it is false.
    """
    gaps = (calibration_gap(confidence, overlap, CALIBRATION_BINS) for confidence, overlap in categories)
    known = [gap for gap in gaps if gap is not None]
    return float(np.mean(known)) if known else None


def match(predicted: Sequence[Box], truth: Sequence[Box], least_iou: float = LEAST_IOU) -> NDArray[np.int64]:
    """For each predicted box, most confident first, the row of the free true box it overlaps most, or -1.

    Boxes are of one category; a match needs IoU >= ``least_iou``. The answer is in the order of ``predicted``.
    """
    matched = np.full(len(predicted), -1, np.int64)
    if not predicted or not truth:
        return matched
    iou = pairwise_iou(corners_of(predicted), corners_of(truth))
    nearest, near = iou.argmax(axis=1), iou.max(axis=1) >= least_iou
    if len(set(nearest[near].tolist())) == near.sum():
        return np.where(near, nearest, matched)  # no two want the same
    for row in np.argsort([-box.confidence for box in predicted], kind="stable"):
        best = int(iou[row].argmax())
        if iou[row, best] >= least_iou:
            matched[row] = best
            iou[:, best] = -1.0
    return matched


def counted(predicted: Boxes, truth: Boxes, ignored: Ignored) -> Boxes:
    """The predicted label without boxes that are neither right nor false: those which match no true box at IoU 0.5, but
    an ignored one, or lie in a crowd by half."""
    if ignored == NOTHING:
        return predicted
    out = set[int]()
    for name in {box.category for box in predicted.boxes}:
        rows = [row for row, box in enumerate(predicted.boxes) if box.category == name]
        ours = [predicted.boxes[row] for row in rows]
        theirs, (objects, crowds) = [box for box in truth.boxes if box.category == name], ignored.of(name)
        near = pairwise_iou(corners_of(ours), corners_of(objects)).max(axis=1, initial=0.0)
        inside = share_inside(corners_of(ours), corners_of(crowds)).max(axis=1, initial=0.0)
        spared = (match(ours, theirs) < 0) & (np.maximum(near, inside) >= LEAST_IOU)
        out |= {row for row, is_spared in zip(rows, spared, strict=True) if is_spared}
    kept = (box for row, box in enumerate(predicted.boxes) if row not in out)
    return Boxes(predicted.width, predicted.height, tuple(kept))


def differs(predicted: Label, truth: Label, matters: Matters = ANYTHING) -> bool:
    """Whether a person would change a box: one missed, false, badly placed or wrongly named, as far as it matters."""
    return any(
        len(ours) != len(theirs) or bool((match(ours, theirs, matters.iou) < 0).any())
        for ours, theirs in by_category(_judged(predicted, matters), _judged(truth, matters))
    )


def part_errors(predicted: Label, truth: Label, matters: Matters = ANYTHING) -> PartErrors:
    """Which boxes are false, badly placed or wrongly named, and how many objects no box touches.

    The objects left over are paired with the wrong boxes, of whatever category, by the largest overlap.
    """
    ours, theirs = _judged(predicted, matters), _judged(truth, matters)
    pair = np.full(len(ours), -1)
    for name in {box.category for box in ours}:
        rows = [row for row, box in enumerate(ours) if box.category == name]
        columns = [column for column, box in enumerate(theirs) if box.category == name]
        matched = match([ours[row] for row in rows], [theirs[column] for column in columns], matters.iou)
        for row, at in zip(rows, matched.tolist(), strict=True):
            pair[row] = columns[at] if at >= 0 else -1
    wrong = pair < 0
    left, there = np.flatnonzero(wrong), np.setdiff1d(np.arange(len(theirs)), pair)
    if len(left) and len(there):
        iou = pairwise_iou(corners_of([ours[row] for row in left]), corners_of([theirs[column] for column in there]))
        rows_of, columns_of = linear_sum_assignment(-iou)
        touch = iou[rows_of, columns_of] > 0
        pair[left[rows_of[touch]]] = there[columns_of[touch]]
    stands_for = tuple((int(at),) if at >= 0 else () for at in pair)
    return PartErrors(wrong, len(theirs) - int((pair >= 0).sum()), stands_for)


def changes(shown: Label, given: Label) -> Changes:
    """The boxes that a person leaves, moves or renames, takes away, and draws."""
    ours, theirs, kept = list[Box](), list[Box](), 0
    for said, true in by_category(require_kind(shown, Boxes).boxes, require_kind(given, Boxes).boxes):
        matched = match(said, true)
        kept += int((matched >= 0).sum())
        ours += [box for box, row in zip(said, matched, strict=True) if row < 0]
        theirs += [box for row, box in enumerate(true) if row not in matched]
    altered = 0
    if ours and theirs:
        overlap = pairwise_iou(corners_of(ours), corners_of(theirs))
        altered = int((overlap[linear_sum_assignment(-overlap)] >= SAME_OBJECT_IOU).sum())
    return Changes(kept, altered, removed=len(ours) - altered, added=len(theirs) - altered)


def _judged(label: Label, matters: Matters) -> tuple[Box, ...]:
    """The boxes, all of one category where names do not matter."""
    boxes = require_kind(label, Boxes).boxes
    return boxes if matters.category else tuple(replace(box, category="any") for box in boxes)


def by_category(predicted: Sequence[Box], truth: Sequence[Box]) -> list[tuple[list[Box], list[Box]]]:
    """The boxes of each category, in the order of their names."""
    names = sorted({box.category for box in (*predicted, *truth)})
    return [
        ([box for box in predicted if box.category == name], [box for box in truth if box.category == name])
        for name in names
    ]
