"""Overlap of boxes, and the removal of boxes that say again what a better one has said."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Indices = NDArray[np.int64]


def pairwise_iou(first: Floats, second: Floats) -> NDArray[np.float64]:
    """Intersection over union (n, m) of boxes (n, 4) with boxes (m, 4), xyxy; 0 where both are empty."""
    one, other = first[:, None].astype(np.float64), second[None].astype(np.float64)
    size = np.minimum(one[..., 2:], other[..., 2:]) - np.maximum(one[..., :2], other[..., :2])
    both = size.clip(min=0).prod(axis=-1)
    union = _area(one) + _area(other) - both
    iou: NDArray[np.float64] = np.divide(both, union, out=np.zeros_like(both), where=union > 0)
    return iou


def share_inside(boxes: Floats, regions: Floats) -> NDArray[np.float64]:
    """Share (n, m) of the area of boxes (n, 4) that lies in regions (m, 4), xyxy."""
    sizes = np.minimum(boxes[:, None, 2:], regions[None, :, 2:]) - np.maximum(boxes[:, None, :2], regions[None, :, :2])
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    return np.asarray(sizes.clip(min=0).prod(axis=2) / areas[:, None], np.float64)


def suppress(boxes: Floats, confidences: Floats, categories: Indices, most_overlap: float) -> Indices:
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


def _area(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    size = (boxes[..., 2:] - boxes[..., :2]).clip(min=0)
    area: NDArray[np.float64] = size.prod(axis=-1)
    return area
