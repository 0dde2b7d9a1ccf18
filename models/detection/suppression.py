"""What becomes of boxes that say again what a better one has said: they go, or they vote."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.arrays import AnyFloats, Floats
from models.detection.overlap import pairwise_iou

Indices = NDArray[np.int64]

SAME = 0.7  # IoU above which two boxes of a category say where one object is
SPREAD = 0.3  # up to it, exp(-IoU^2 / SPREAD) is left of the confidence of the lesser one


@dataclass(frozen=True)
class Fused:
    """Boxes (n, 4) for the rows (n,) that they come from, and what is left of their confidences (n,), highest first."""

    rows: Indices
    boxes: Floats
    confidences: Floats


def suppress(boxes: AnyFloats, confidences: AnyFloats, categories: Indices, most_overlap: float) -> Indices:
    """Greedy non-maximum suppression within each category.

    Args:
        boxes: (n, 4) xyxy.
        confidences: (n,).
        categories: (n,); boxes of different categories never suppress each other.
        most_overlap: a box goes when a more confident one of its category overlaps it by a larger IoU.

    Returns:
        Rows of the boxes that stay, most confident first; equal confidence keeps the order of the rows.
    """
    order = np.argsort(-confidences, kind="stable")
    stays = np.ones(len(order), bool)
    for category in np.unique(categories):
        rows = order[categories[order] == category]
        overlapping = pairwise_iou(boxes[rows], boxes[rows]) > most_overlap
        for place, row in enumerate(rows):
            if stays[row]:
                stays[rows[place + 1 :][overlapping[place, place + 1 :]]] = False
    return order[stays[order]]


def fuse(boxes: AnyFloats, confidences: AnyFloats, categories: Indices, least: float) -> Fused:
    """Soft suppression within each category (Bodla et al. 2017, arXiv 1704.04503), and a vote on where objects are.

    The most confident box stays, those that say the same go, and the others lose confidence the more they overlap it;
    then the next of what is left, and so on. Each that stays becomes the mean of those that say the same, weighted by
    the squares of their confidences (box voting, Gidaris and Komodakis 2015).

    Args:
        boxes: (n, 4) xyxy.
        confidences: (n,).
        categories: (n,); boxes of different categories never touch each other.
        least: above 0; a box of which less confidence is left goes.
    """
    kept, left = list[tuple[float, int]](), confidences.astype(np.float64)
    places = boxes.astype(np.float64)
    for category in np.unique(categories):
        rows = np.flatnonzero(categories == category)
        overlap, of_these = pairwise_iou(boxes[rows], boxes[rows]), left[rows]
        np.fill_diagonal(overlap, 1.0)  # of an empty box too
        share = np.where(overlap > SAME, 0.0, np.exp(-np.square(overlap) / SPREAD))
        stay = list[int]()
        while of_these[best := int(of_these.argmax())] >= least:
            kept.append((-of_these[best], int(rows[best])))
            stay.append(best)
            of_these *= share[best]
        votes = np.where(overlap[stay] > SAME, np.square(left[rows]), 0.0)
        places[rows[stay]] = votes @ boxes[rows] / votes.sum(axis=1, keepdims=True)
    order = sorted(kept)
    chosen = np.array([row for _, row in order], np.int64)
    return Fused(chosen, places[chosen], np.array([-negative for negative, _ in order], np.float64))
