"""A compact anchor-free detector: residual backbone, feature pyramid, one light head shared by all levels.

The head follows Generalized Focal Loss (Li et al. 2020, arXiv 2006.04388) in what it says: the class probability is the
IoU its box is expected to reach, and each side of a box is a distribution over distances, whose spread says how well it
is placed. It is trained with plain cross-entropy, not with the focal variant: that one is satisfied with 0.1 on all
background, and the sum of faint boxes, from which missed objects are counted, then means nothing. Points learn from
boxes as ``assignment`` decides. BatchNorm and ReLU fold into the convolutions of the ONNX graph.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.convolutions import Residual, convolution
from models.detection.assignment import Points, assign, intersection_over_union
from models.errors import InvalidInput
from models.precision import has_fast_bfloat16

STRIDES = (8, 16, 32)
PADDING = -1  # a category index: no box here, the row only fills the tensor
IGNORED = -2  # a category index: something is here, but it teaches neither "object" nor "background"
_PRIOR = 0.01  # share of points expected to be objects at the start of training (Lin et al. 2017, section 4.1)
_BOX_WEIGHT, _DISTRIBUTION_WEIGHT = 4.0, 0.75


@dataclass(frozen=True)
class Settings:
    """What a detector is made of: its categories in the order of its outputs, and its sizes.

    ``channels`` are the widths at strides 2, 4, 8, 16, 32 and ``blocks`` the residual blocks at strides 4 to 32.
    ``bins`` is the number of distances, in strides, that a side of a box can have. ``long_side`` is the length in
    pixels of the longer side at which an image is read, in training and in use. Of two boxes of a category that overlap
    by a larger IoU than ``most_overlap`` the less confident one goes; None: they are fused.
    """

    categories: tuple[str, ...]
    channels: tuple[int, ...] = (16, 32, 64, 96, 128)
    blocks: tuple[int, ...] = (1, 2, 2, 1)
    neck: int = 64
    bins: int = 16
    long_side: int = 640
    most_overlap: float | None = None

    def __post_init__(self) -> None:
        for name in ("categories", "channels", "blocks"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if not self.categories or len(set(self.categories)) < len(self.categories):
            raise InvalidInput(f"detection settings: expected distinct categories, at least one, got {self.categories}")


@dataclass(frozen=True)
class Batch:
    """Images (batch, 3, height, width) in [0, 1]; boxes (batch, most, 4) xyxy pixels; their categories (batch, most).

    A category is an index, or ``PADDING`` or ``IGNORED``.
    """

    images: Tensor
    boxes: Tensor
    categories: Tensor

    def to(self, device: torch.device) -> "Batch":
        return Batch(self.images.to(device), self.boxes.to(device), self.categories.to(device))


class Network(nn.Module):
    """Images to the probability, the box and the doubt of every point of three grids."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.settings = settings
        self.backbone = Backbone(settings.channels, settings.blocks)
        self.neck = Neck(settings.channels[-len(STRIDES) :], settings.neck)
        self.head = Head(settings.neck, len(settings.categories), settings.bins)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Images (batch, 3, height, width) in [0, 1], height and width multiples of the largest stride.

        Returns:
            probabilities (batch, points, categories), boxes (batch, points, 4) as xyxy in input pixels, the standard
            deviation of each of their sides (batch, points, 4) in pixels, and an embedding (batch, channels).
        """
        logits, distances, points, features = self.raw(images)
        mean, std = expectation(distances)
        embedding = features.mean(dim=(2, 3))
        strides = points.strides[:, None]
        return logits.sigmoid(), boxes_around(points, mean), std * strides, embedding

    def raw(self, images: Tensor) -> tuple[Tensor, Tensor, Points, Tensor]:
        """Class logits (batch, points, categories), side logits (batch, points, 4, bins), points, last features."""
        features = self.backbone((images - 0.45) / 0.25)
        maps = self.neck(features)
        logits, distances = zip(*(self.head(grid, level) for level, grid in enumerate(maps)), strict=True)
        return torch.cat(logits, 1).float(), torch.cat(distances, 1).float(), grid_points(maps), features[-1].float()


class Backbone(nn.Module):
    """Residual stages at strides 4 to 32; returns the last three."""

    def __init__(self, channels: Sequence[int], blocks: Sequence[int]) -> None:
        super().__init__()
        self.stem = convolution(3, channels[0], stride=2)
        self.stages = nn.ModuleList(
            nn.Sequential(convolution(before, width, stride=2), *(Residual(width) for _ in range(count)))
            for before, width, count in zip(channels, channels[1:], blocks, strict=False)
        )

    def forward(self, images: Tensor) -> list[Tensor]:
        features = [self.stem(images)]
        for stage in self.stages:
            features.append(stage(features[-1]))
        return features[-len(STRIDES) :]


class Neck(nn.Module):
    """Coarse to fine, then fine to coarse (Path Aggregation, Liu et al. 2018), adding what it merges."""

    def __init__(self, channels: Sequence[int], width: int) -> None:
        super().__init__()
        finer = len(channels) - 1
        self.lateral = nn.ModuleList(convolution(before, width, kernel=1) for before in channels)
        self.context = convolution(width, width, kernel=1)
        self.down = nn.ModuleList(convolution(width, width) for _ in range(finer))
        self.up = nn.ModuleList(convolution(width, width, stride=2) for _ in range(finer))

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        maps = [lateral(grid) for lateral, grid in zip(self.lateral, features, strict=True)]
        maps[-1] = maps[-1] + self.context(maps[-1].mean(dim=(2, 3), keepdim=True))
        for level in reversed(range(len(maps) - 1)):
            coarse = functional.interpolate(maps[level + 1], scale_factor=2.0, mode="nearest")
            maps[level] = self.down[level](maps[level] + coarse)
        for level, step in enumerate(self.up):
            maps[level + 1] = maps[level + 1] + step(maps[level])
        return maps


class Head(nn.Module):
    """Category and box of each point: one convolution each, shared by the levels, normalised for each level."""

    def __init__(self, width: int, categories: int, bins: int) -> None:
        super().__init__()
        self.bins = bins
        self.category = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.box = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.category_norm = nn.ModuleList(nn.BatchNorm2d(width) for _ in STRIDES)
        self.box_norm = nn.ModuleList(nn.BatchNorm2d(width) for _ in STRIDES)
        self.logits = nn.Conv2d(width, categories, 1)
        self.distances = nn.Conv2d(width, 4 * bins, 1)
        nn.init.normal_(self.logits.weight, std=0.01)
        assert self.logits.bias is not None
        nn.init.constant_(self.logits.bias, -math.log((1 - _PRIOR) / _PRIOR))

    def forward(self, grid: Tensor, level: int) -> tuple[Tensor, Tensor]:
        category = functional.relu(self.category_norm[level](self.category(grid)))
        box = functional.relu(self.box_norm[level](self.box(grid)))
        logits = self.logits(category).flatten(2).transpose(1, 2)
        distances = self.distances(box).flatten(2).transpose(1, 2)
        return logits, distances.unflatten(2, (4, self.bins))


def loss(network: Network, batch: Batch) -> Tensor:
    """Cross-entropy with the IoU reached + GIoU + distribution focal loss (arXiv 2006.04388), as one number."""
    with torch.autocast(batch.images.device.type, torch.bfloat16, enabled=has_fast_bfloat16(batch.images.device)):
        logits, distances, points, _ = network.raw(batch.images)
    mean, _ = expectation(distances)
    predicted = boxes_around(points, mean)
    with torch.no_grad():
        target = [assign(points, *each) for each in zip(logits, predicted, batch.boxes, batch.categories, strict=True)]
    row = torch.stack([each.row for each in target])  # (batch, points)
    quality = torch.stack([each.quality for each in target])
    counted = torch.stack([each.counted for each in target])
    found = row >= 0
    category = batch.categories.gather(1, row.clamp(min=0))
    total = quality.sum().clamp(min=1.0)
    wanted = functional.one_hot(category.clamp(min=0), logits.shape[2]) * (quality * found)[..., None]
    entropy = functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    classes = (entropy * counted[..., None]).sum() / total
    if not found.any():
        return classes + 0.0 * distances.sum()
    truth = batch.boxes.gather(1, row.clamp(min=0)[..., None].expand(-1, -1, 4))[found]
    weight = quality[found]
    overlap = ((1 - generalized_iou(predicted[found], truth)) * weight).sum() / total
    sides = sides_of(points, found, truth)
    placed = (distribution_focal(distances[found], sides) * weight).sum() / total
    return classes + _BOX_WEIGHT * overlap + _DISTRIBUTION_WEIGHT * placed


def distribution_focal(distances: Tensor, sides: Tensor) -> Tensor:
    """Cross-entropy with the two bins around each true distance, summed over the sides (same paper, equation 6).

    Args:
        distances: (n, 4, bins) logits.
        sides: (n, 4) true distances in bins, within [0, bins - 1].
    """
    low = sides.floor().clamp(max=distances.shape[2] - 2)
    log_p = distances.log_softmax(dim=2)
    near = log_p.gather(2, low.long()[..., None])[..., 0]
    far = log_p.gather(2, low.long()[..., None] + 1)[..., 0]
    return -((low + 1 - sides) * near + (sides - low) * far).sum(dim=1)


def generalized_iou(first: Tensor, second: Tensor) -> Tensor:
    """GIoU in (-1, 1] of paired boxes (n, 4) (Rezatofighi et al. 2019)."""
    iou, union = intersection_over_union(first, second)
    hull = torch.maximum(first[:, 2:], second[:, 2:]) - torch.minimum(first[:, :2], second[:, :2])
    area = hull.prod(dim=1).clamp(min=1e-6)
    return iou - (area - union) / area


def expectation(distances: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation, in strides, of side logits (batch, points, 4, bins)."""
    p = distances.softmax(dim=-1)
    bins = torch.arange(distances.shape[-1], device=distances.device, dtype=p.dtype)
    mean = (p * bins).sum(dim=-1)
    variance = (p * (bins - mean[..., None]).square()).sum(dim=-1)
    return mean, variance.sqrt()


def boxes_around(points: Points, sides: Tensor) -> Tensor:
    """Boxes (batch, points, 4) whose sides lie ``sides`` strides left, above, right and below of the points."""
    reach = sides * points.strides[:, None]
    return torch.cat((points.centres - reach[..., :2], points.centres + reach[..., 2:]), dim=-1)


def sides_of(points: Points, found: Tensor, truth: Tensor) -> Tensor:
    """Distances (n, 4) in strides, at least 0, from each found point to the sides of its true box (n, 4)."""
    which = found.nonzero()[:, 1]
    centres = points.centres[which]
    reach = torch.cat((centres - truth[:, :2], truth[:, 2:] - centres), dim=1)
    return (reach / points.strides[which][:, None]).clamp(min=0)


def grid_points(maps: Sequence[Tensor]) -> Points:
    """The centre in input pixels and the stride of every cell of the maps (batch, channels, height, width)."""
    centres, strides = [], []
    for grid, stride in zip(maps, STRIDES, strict=True):
        height, width = grid.shape[2:]
        y = (torch.arange(height, device=grid.device, dtype=torch.float32) + 0.5) * stride
        x = (torch.arange(width, device=grid.device, dtype=torch.float32) + 0.5) * stride
        rows, columns = torch.meshgrid(y, x, indexing="ij")
        centres.append(torch.stack((columns, rows), dim=-1).reshape(-1, 2))
        strides.append(torch.full_like(centres[-1][:, 0], stride))
    return Points(torch.cat(centres), torch.cat(strides))
