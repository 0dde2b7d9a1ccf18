"""Boxes as rows of corners (x1, y1, x2, y2), and how far they lie over one another."""

from collections.abc import Iterable

import numpy as np

from models.arrays import AnyFloats, Floats
from models.records import Box


def corners_of(boxes: Iterable[Box]) -> Floats:
    """The corners (n, 4) of boxes, in pixels."""
    return np.array([box.xyxy for box in boxes], np.float64).reshape(-1, 4)


def pairwise_iou(first: AnyFloats, second: AnyFloats) -> Floats:
    """Intersection over union (n, m) of boxes (n, 4) with boxes (m, 4), xyxy; 0 where both are empty."""
    one, other = first.astype(np.float64), second.astype(np.float64)
    both = shared(one, other)
    union = _area(one)[:, None] + _area(other)[None] - both
    iou: Floats = np.divide(both, union, out=np.zeros_like(both), where=union > 0)
    return iou


def shared(first: AnyFloats, second: AnyFloats) -> Floats:
    """The area (n, m) that boxes (n, 4) and boxes (m, 4), xyxy, have in common."""
    one, other = first.T[..., None], second.T  # (4, n, 1), (4, m)
    width = np.minimum(one[2], other[2]) - np.maximum(one[0], other[0])
    height = np.minimum(one[3], other[3]) - np.maximum(one[1], other[1])
    return np.asarray(np.maximum(width, 0) * np.maximum(height, 0), np.float64)


def share_inside(boxes: AnyFloats, regions: AnyFloats) -> Floats:
    """Share (n, m) of the area of boxes (n, 4) that lies in regions (m, 4), xyxy."""
    return np.asarray(shared(boxes, regions) / _area(boxes)[:, None], np.float64)


def _area(boxes: AnyFloats) -> Floats:
    x1, y1, x2, y2 = boxes.T
    return np.asarray(np.maximum(x2 - x1, 0) * np.maximum(y2 - y1, 0), np.float64)
