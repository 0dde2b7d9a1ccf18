"""How well predicted boxes match true ones: average precision, and what a person would still have to change."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.detection.suppression import pairwise_iou
from models.errors import InvalidRecord
from models.records import Box, Boxes, Label

LEAST_IOU = 0.5
MOST_DETECTIONS = 100  # of one category in one image, as in COCO
RECALL_POINTS = np.linspace(0, 1, 101)


@dataclass(frozen=True)
class DetectionMetrics:
    """Over ``n`` images: AP at IoU 0.5, its mean over the categories that occur, and rates over all boxes given.

    ``precision`` is the share of predicted boxes that are right, ``recall`` the share of true boxes found; each is 1
    where there was nothing to be wrong about.
    """

    ap50: float
    ap50_by_category: dict[str, float]
    precision: float
    recall: float
    n: int

    @property
    def quality(self) -> float:
        return self.ap50


@dataclass
class _Tally:
    """One category: confidence and rightness of every prediction, and how many true boxes there are."""

    confidences: list[float]
    right: list[bool]
    truths: int = 0


def measure(pairs: Iterable[tuple[Label, Label]]) -> DetectionMetrics:
    """AP50 by COCO's rules (greedy matching by confidence, 101-point interpolation), precision and recall.

    Args:
        pairs: (predicted, truth) of each image.

    Source: pycocotools ``COCOeval.evaluateImg`` and ``accumulate``; no crowds, all areas, 100 detections.
    """
    tallies: dict[str, _Tally] = {}
    n = 0
    for predicted, truth in pairs:
        n += 1
        _count(tallies, _boxes(predicted), _boxes(truth))
    by_category = {
        name: average_precision(np.array(tally.confidences), np.array(tally.right, bool), tally.truths)
        for name, tally in sorted(tallies.items())
        if tally.truths
    }
    hits = sum(sum(tally.right) for tally in tallies.values())
    given = sum(len(tally.right) for tally in tallies.values())
    truths = sum(tally.truths for tally in tallies.values())
    return DetectionMetrics(
        ap50=float(np.mean(list(by_category.values()))) if by_category else float(given == 0),
        ap50_by_category=by_category,
        precision=hits / given if given else 1.0,
        recall=hits / truths if truths else 1.0,
        n=n,
    )


def average_precision(confidences: NDArray[np.float64], right: NDArray[np.bool_], truths: int) -> float:
    """Mean over 101 recalls of the best precision at that recall or beyond (0 where it is never reached).

    Args:
        confidences: (n,) of one category over all images; ties keep their order.
        right: (n,) whether each matched a true box.
        truths: number of true boxes, at least 1.
    """
    right = right[np.argsort(-confidences, kind="stable")]
    hits = np.cumsum(right)
    recall = hits / truths
    precision = hits / np.arange(1, len(right) + 1)
    best_beyond = np.maximum.accumulate(precision[::-1])[::-1]
    at = np.searchsorted(recall, RECALL_POINTS, side="left")
    return float(np.append(best_beyond, 0.0)[np.minimum(at, len(right))].mean())


def match(predicted: Sequence[Box], truth: Sequence[Box]) -> NDArray[np.int64]:
    """For each predicted box, most confident first, the row of the free true box it overlaps most, or -1.

    Boxes are of one category; a match needs IoU >= 0.5. The answer is in the order of ``predicted``.
    """
    matched = np.full(len(predicted), -1, np.int64)
    if not predicted or not truth:
        return matched
    iou = pairwise_iou(_corners(predicted), _corners(truth))
    for row in np.argsort([-box.confidence for box in predicted], kind="stable"):
        best = int(iou[row].argmax())
        if iou[row, best] >= LEAST_IOU:
            matched[row] = best
            iou[:, best] = -1.0
    return matched


def differs(predicted: Label, truth: Label) -> bool:
    """Whether a person would change a box: one missed, false, badly placed (IoU < 0.5) or wrongly named."""
    return any(
        len(ours) != len(theirs) or bool((match(ours, theirs) < 0).any())
        for _, ours, theirs in _by_category(_boxes(predicted).boxes, _boxes(truth).boxes)
    )


def _count(tallies: dict[str, _Tally], predicted: Boxes, truth: Boxes) -> None:
    for name, ours, theirs in _by_category(predicted.boxes, truth.boxes):
        tally = tallies.setdefault(name, _Tally([], []))
        best = sorted(ours, key=lambda box: -box.confidence)[:MOST_DETECTIONS]
        tally.confidences.extend(box.confidence for box in best)
        tally.right.extend((match(best, theirs) >= 0).tolist())
        tally.truths += len(theirs)


def _by_category(predicted: Sequence[Box], truth: Sequence[Box]) -> list[tuple[str, list[Box], list[Box]]]:
    names = sorted({box.category for box in (*predicted, *truth)})
    return [
        (name, [box for box in predicted if box.category == name], [box for box in truth if box.category == name])
        for name in names
    ]


def _corners(boxes: Sequence[Box]) -> NDArray[np.float64]:
    return np.array([box.xyxy for box in boxes], np.float64)


def _boxes(label: Label) -> Boxes:
    if not isinstance(label, Boxes):
        raise InvalidRecord(f"detection metrics: expected Boxes, got {type(label).__name__}")
    return label
