"""torchvision's Faster R-CNN behind the verbs of this task: proposals, then their classes (Ren et al. 2015).

A whole two-stage detector does not export faithfully for every shape of picture. This one has a single fixed picture,
into whose corner every image is fitted, one at a time; suppression of proposals is part of the graph, and a suppressed
one becomes a row of probability 0, so that every shape in the graph is known. What torchvision pools from the map that
suits a proposal's size is pooled from each map here, and the right one is chosen. Suppression of the boxes is ours.
"""

import math
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torchvision  # type: ignore[import-untyped]
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torchvision.models.detection.image_list import ImageList  # type: ignore[import-untyped]

from models.declaring import plain
from models.detection import torchvision_detector
from models.detection.declaration import Declaration
from models.detection.network import Batch
from models.detection.runtime import FAINTEST
from models.detection.torchvision_detector import (
    BATCH_SIZE,
    EPOCHS,
    GREY,
    INPUT_NAMES,
    LEARNING_RATE,
    STRONG,
    Settings,
    batches,
    collate,
    from_deltas,
    parity_media,
    prepare,
    settings_for,
    shifted,
    targets_of,
    warm_start,
)
from models.picture_input import PictureInput

__all__ = [
    "BATCH_SIZE", "EPOCHS", "INPUT_NAMES", "LEARNING_RATE", "OUTPUT_NAMES", "STRONG", "Batch", "Network", "Settings",
    "batches", "collate", "declared", "example_inputs", "in_order_of", "loss", "parity_media", "prepare",
    "settings_for", "warm_start",
]  # fmt: skip

OUTPUT_NAMES = ("labels", "boxes", "scores", "embedding")
_MOST = 1000  # boxes of a picture that leave the graph
_BY_A_HAIR = 0.01  # share of the boxes that may be others in ONNX than in torch


class Network(torchvision_detector.Network):
    """A two-stage detector of torchvision, for one picture of one size at a time."""

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Images (1, 3, height, width) in [0, 1], of the size that the settings give.

        Returns:
            labels (1, n), the class of each box as a number; boxes (1, n, 4) as xyxy in input pixels; scores (1, n), 0
            on rows that mean nothing; embedding (1, channels).
        """
        features = self.pyramid(images)
        proposals, valid = self.proposals(features, images)
        hidden = self.detector.roi_heads.box_head(self.pooled(features, proposals, images))
        logits, deltas = self.detector.roi_heads.box_predictor(hidden)
        scores = logits.softmax(dim=1)[:, 1:] * valid[:, None]  # the first class is the background
        weights = self.detector.roi_heads.box_coder.weights
        classes = scores.shape[1]
        around = proposals[:, None].expand(-1, classes, 4).reshape(-1, 4)
        boxes = from_deltas(deltas.reshape(-1, classes + 1, 4)[:, 1:].reshape(-1, 4), around, weights)
        score = scores.reshape(-1)
        score, best = _best(torch.where(score >= FAINTEST, score, 0.0), _MOST)
        there = (score > 0).to(score)
        labels = (best % classes + 1) * there.long()
        embedding = list(features.values())[-1].mean(dim=(2, 3))
        return labels[None], (boxes[best] * there[:, None])[None], score[None], embedding

    def proposals(self, features: "OrderedDict[str, Tensor]", images: Tensor) -> tuple[Tensor, Tensor]:
        """Boxes (n, 4) that may hold an object, and whether each counts (n,): the best of each map, said once."""
        network, (height, width) = self.detector.rpn, images.shape[2:]
        boxes, scores, maps = [], [], []
        logits, deltas = network.head(list(features.values()))
        for number, (logit, delta) in enumerate(zip(logits, deltas, strict=True)):
            cell = network.anchor_generator.cell_anchors[number].to(logit)
            anchors, rows = self._anchors(cell, logit, (height, width)), logit.shape[2:]
            score, best = _best(logit.permute(0, 2, 3, 1).reshape(-1), network.pre_nms_top_n())
            flat = delta.view(cell.shape[0], 4, *rows).permute(2, 3, 0, 1).reshape(-1, 4)
            found = from_deltas(flat[best], anchors[best], network.box_coder.weights)
            boxes.append(torch.stack([found[:, 0].clamp(0, width), found[:, 1].clamp(0, height),
                                      found[:, 2].clamp(0, width), found[:, 3].clamp(0, height)], dim=1))  # fmt: skip
            scores.append(score.sigmoid())
            maps.append(torch.full((len(best), 1), float(number), device=score.device))
        every, score = torch.cat(boxes), torch.cat(scores)
        big = ((every[:, 2:] - every[:, :2]) >= network.min_size).all(dim=1)
        score = torch.where(big, score, -1.0)
        apart = every + torch.cat(maps) * (max(height, width) + 1.0)  # boxes of different maps never overlap
        kept = torchvision.ops.nms(apart, score, network.nms_thresh)
        chosen = torch.zeros_like(score)
        chosen[kept] = 1.0
        score, best = _best(torch.where(chosen > 0, score, -1.0), network.post_nms_top_n())
        return every[best], (score > 0).to(score)

    def pooled(self, features: "OrderedDict[str, Tensor]", proposals: Tensor, images: Tensor) -> Tensor:
        """What each proposal looks like (n, channels, 7, 7), from the map that suits its size (FPN, equation 1)."""
        pool = self.detector.roi_heads.box_roi_pool
        maps = [features[name] for name in pool.featmap_names if name in features]
        scales = [2 ** round(math.log2(grid.shape[2] / images.shape[2])) for grid in maps]
        finest, coarsest = -math.log2(scales[0]), -math.log2(scales[-1])
        side = (proposals[:, 2:] - proposals[:, :2]).clamp(min=0).prod(dim=1).sqrt()
        level = torch.floor(pool.canonical_level + torch.log2(side / pool.canonical_scale) + 1e-6)
        level = level.clamp(finest, coarsest) - finest
        rows = torch.cat((torch.zeros_like(proposals[:, :1]), proposals), dim=1)
        total = torch.zeros((), device=rows.device)
        for number, (grid, scale) in enumerate(zip(maps, scales, strict=True)):
            found = torchvision.ops.roi_align(grid, rows, pool.output_size, scale, pool.sampling_ratio)
            total = total + found * (level == number)[:, None, None, None]
        return total

    def _anchors(self, cell: Tensor, grid: Tensor, whole: tuple[int, int]) -> Tensor:
        return shifted(cell, grid, (whole[0] // grid.shape[2], whole[1] // grid.shape[3]))  # as torchvision rounds


def _best(scores: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """The best scores and where they are, equal ones in their order: before a plain wall many are equal.

    ONNX's TopK keeps that order; torch's does not, and its stable sort has no counterpart in ONNX.
    """
    if torch.compiler.is_exporting():
        return scores.topk(min(most, scores.shape[0]))
    ordered, places = torch.sort(scores, descending=True, stable=True)
    return ordered[:most], places[:most]


def loss(network: Network, batch: Batch) -> Tensor:
    """The sum of torchvision's own losses: of the proposals, and of their classes and boxes.

    Proposals, and with them the true boxes, have the numbers that their head computes in: bfloat16 would move corners
    by pixels.
    """
    features = OrderedDict((name, grid.float()) for name, grid in network.pyramid(batch.images).items())
    sizes = [tuple(batch.images.shape[2:])] * len(batch.images)
    targets = targets_of(network, batch.boxes, batch.categories)
    with torch.autocast(batch.images.device.type, enabled=False):
        proposals, first = network.detector.rpn(ImageList(batch.images, sizes), features, targets)
    _, second = network.detector.roi_heads(features, proposals, sizes, targets)
    total: Tensor = sum([*first.values(), *second.values()], torch.zeros((), device=batch.images.device))
    return total


def example_inputs(settings: Settings) -> tuple[tuple[Tensor, ...], dict[str, dict[int, Any]]]:
    """What the export traces: one picture of the one size."""
    assert settings.size
    return (torch.zeros(1, 3, *settings.size),), {"images": {}}


def in_order_of(expected: Sequence[NDArray[Any]], actual: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
    """The actual outputs with their rows in the expected order: near scores may come in any.

    Where more boxes would leave the graph than may, those as faint as the faintest of them are anyone's choice, and
    count as expected; so does a hundredth of the rows, where suppression was decided by a rounding error.
    """
    (labels, boxes, scores, _), (own_labels, own_boxes, own_scores, embedding) = expected, actual
    ours = np.concatenate([labels[0][:, None] * 1e3, boxes[0], scores[0][:, None] * 1e3], axis=1)
    theirs = np.concatenate([own_labels[0][:, None] * 1e3, own_boxes[0], own_scores[0][:, None] * 1e3], axis=1)
    apart = np.abs(ours[:, None] - theirs[None]).max(axis=2)
    order = linear_sum_assignment(apart)[1]
    found = [own_labels[:, order], own_boxes[:, order], own_scores[:, order]]
    edge = scores.min() + 1e-4 if scores.min() > 0 else 0.0
    free = (scores < edge) & (found[2] < edge)
    other_box = (apart[np.arange(len(order)), order] > 0.1)[None] & ~free
    free |= other_box if other_box.mean() <= _BY_A_HAIR else False
    for one, other in zip(found, (labels, boxes, scores), strict=True):
        one[free] = other[free]
    return [*found, embedding]


def declared(settings: Settings) -> dict[str, Any]:
    """How its ONNX file is read."""
    assert settings.size
    picture = PictureInput(settings.size[1], settings.size[0], "corner", fill=GREY, shrink=settings.shrink)
    outputs = {name: name for name in OUTPUT_NAMES}
    return plain(Declaration("labelled", settings.classes, picture, "images", outputs, most_overlap=0.5))
