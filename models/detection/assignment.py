"""Which points of a detector learn from which true box, decided by what the detector itself predicts."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

_TOP = 13  # predictions whose IoU adds up to the number of points a box gets
_IOU_COST, _CENTRE_BASE, _CENTRE_RADIUS = 3.0, 10.0, 3.0


@dataclass(frozen=True)
class Points:
    """The places where a detector predicts: centres (points, 2) in pixels and strides (points,)."""

    centres: Tensor
    strides: Tensor


@dataclass(frozen=True)
class Assignment:
    """For each point: the row of its box or -1, the IoU it reaches there, and whether it counts at all."""

    row: Tensor
    quality: Tensor
    counted: Tensor


def assign(points: Points, logits: Tensor, predicted: Tensor, boxes: Tensor, categories: Tensor) -> Assignment:
    """Dynamic soft-label assignment (RTMDet, Lyu et al. 2022, arXiv 2212.07784, section 3.3) for one image.

    A point may learn from a box that holds its centre, or whose centre lies within half a stride of it (so that a
    box between the points is not lost). Each box takes the k cheapest of them, where k is the sum of its best IoUs;
    the cost adds classification, -3 log IoU and a soft preference for the middle. A point wanted by several boxes
    goes to the cheapest. Points whose centre lies in an ignored box and that learn from none do not count.

    Args:
        points: the points of one image.
        logits: (points, categories) of the probabilities, without gradient.
        predicted: (points, 4) boxes, xyxy pixels.
        boxes: (rows, 4) true boxes, xyxy pixels.
        categories: (rows,) index of the category; -1 for padding, -2 for an ignored box.
    """
    row = torch.full_like(points.strides, -1, dtype=torch.long)
    quality = torch.zeros_like(points.strides)
    inside, near = _candidates(points, boxes)  # (points, rows)
    counted = ~(inside & (categories == -2)).any(dim=1)
    rows = (categories >= 0).nonzero()[:, 0]
    if len(rows):
        iou = pairwise_iou(predicted, boxes[rows])
        cost = _cost(points, logits[:, categories[rows]], iou, boxes[rows])
        cost = cost.masked_fill(~(inside | near)[:, rows], torch.inf)
        chosen = _cheapest(cost, iou)
        taken = chosen.any(dim=1)
        winner = cost.masked_fill(~chosen, torch.inf).argmin(dim=1)
        row = torch.where(taken, rows[winner], row)
        quality = torch.where(taken, iou.gather(1, winner[:, None])[:, 0], quality)
        counted = counted | taken
    return Assignment(row, quality, counted)


def _candidates(points: Points, boxes: Tensor) -> tuple[Tensor, Tensor]:
    """Whether each point lies in each box, and whether it is within half a stride of the box's centre."""
    x, y = points.centres[:, None].unbind(-1)
    x1, y1, x2, y2 = boxes.unbind(-1)
    inside = (x > x1) & (x < x2) & (y > y1) & (y < y2)
    off = torch.maximum((x - (x1 + x2) / 2).abs(), (y - (y1 + y2) / 2).abs())
    return inside, off <= points.strides[:, None] / 2


def _cost(points: Points, logit: Tensor, iou: Tensor, boxes: Tensor) -> Tensor:
    """How badly each point suits each box, (points, rows); ``logit`` is that of the box's own category."""
    entropy = functional.binary_cross_entropy_with_logits(logit, iou, reduction="none")
    classes = entropy * (iou - logit.sigmoid()).square()
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    distance = torch.cdist(points.centres, middle) / points.strides[:, None]
    return classes - _IOU_COST * (iou + 1e-7).log() + _CENTRE_BASE ** (distance - _CENTRE_RADIUS)


def _cheapest(cost: Tensor, iou: Tensor) -> Tensor:
    """For each box (column) its k cheapest points, k the rounded-down sum of its 13 best IoUs, at least 1."""
    possible = cost.isfinite()
    best = iou.masked_fill(~possible, 0.0).topk(min(_TOP, len(iou)), dim=0).values
    k = best.sum(dim=0).int().clamp(min=1)
    rank = cost.argsort(dim=0, stable=True).argsort(dim=0, stable=True)
    return possible & (rank < k)


def pairwise_iou(first: Tensor, second: Tensor) -> Tensor:
    """IoU (n, m) of every box of one set (n, 4) with every box of another (m, 4)."""
    return intersection_over_union(first[:, None], second[None])[0]


def intersection_over_union(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """IoU and union of broadcast boxes (..., 4); a union of nothing counts as 1e-6."""
    size = torch.minimum(first[..., 2:], second[..., 2:]) - torch.maximum(first[..., :2], second[..., :2])
    both = size.clamp(min=0).prod(dim=-1)
    union = _area(first) + _area(second) - both
    union = union.clamp(min=1e-6)
    return both / union, union


def _area(boxes: Tensor) -> Tensor:
    return (boxes[..., 2:] - boxes[..., :2]).prod(dim=-1)
