"""A small encoder-decoder that says for every cell of a grid whether a line passes, and in which direction.

``heat`` is trained with plain cross-entropy, a proper score, on a Gaussian ridge of known width around each line. So
a slice of it across a line is that line's distribution over places, smeared by the known ridge: its mass is the
probability that the line is there, its mean the place, its variance less the ridge's the variance of the place.
Being free of orientation, it holds for steep lines and for ones that run across the picture, which a distribution
over columns alone does not. Directions follow the doubled angle (as in LaneAF's and structure-tensor fields), so a
line has no begin and no end. BatchNorm and ReLU fold into the convolutions of the ONNX graph.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.convolutions import Residual, convolution
from models.errors import InvalidInput
from models.lane.runtime import STRIDE
from models.precision import has_fast_bfloat16

_COARSEST = 32  # input sides are multiples of it
_DIRECTION_WEIGHT = 0.3
_CELL_WEIGHT = 10.0  # brings a mean over mostly empty cells to the size of other losses
_RARE = 0.05  # share of cells expected to be on a line when training starts


@dataclass(frozen=True)
class Settings:
    """Sizes of the network: input in pixels, channels at strides 4, 8, 16 and 32, ridge deviation in cells."""

    width: int = 512
    height: int = 256
    channels: tuple[int, ...] = (32, 64, 96, 160)
    ridge: float = 0.75

    def __post_init__(self) -> None:
        object.__setattr__(self, "channels", tuple(self.channels))
        if self.width % _COARSEST or self.height % _COARSEST or min(self.width, self.height) < _COARSEST:
            size = f"{self.width}x{self.height}"
            raise InvalidInput(f"lane settings: expected sides that are multiples of {_COARSEST}, got {size}")
        if len(self.channels) != 4 or self.ridge <= 0:
            raise InvalidInput(f"lane settings: expected 4 channels and ridge > 0, got {self}")


@dataclass(frozen=True)
class Batch:
    """Images (batch, 3, height, width) in [0, 1]; heat (batch, rows, columns); directions (batch, 2, rows, columns).

    Heat is the ridge in [0, 1]; directions are the cosine and sine of the nearest line's doubled angle.
    """

    images: Tensor
    heat: Tensor
    directions: Tensor

    def to(self, device: torch.device) -> "Batch":
        return Batch(self.images.to(device), self.heat.to(device), self.directions.to(device))


class Network(nn.Module):
    """Images to heat, directions and an embedding."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.settings = settings
        finest, fine, coarse, coarsest = settings.channels
        self.stem = nn.Sequential(nn.PixelUnshuffle(STRIDE), convolution(3 * STRIDE**2, finest))
        self.down = nn.ModuleList(
            [
                nn.Sequential(convolution(finest, fine, stride=2), Residual(fine)),
                nn.Sequential(convolution(fine, coarse, stride=2), Residual(coarse), Residual(coarse)),
                nn.Sequential(convolution(coarse, coarsest, stride=2), Residual(coarsest), Residual(coarsest)),
            ]
        )
        self.context = nn.Conv2d(coarsest, coarsest, 1)
        pairs = ((coarsest, coarse), (coarse, fine), (fine, finest))
        self.lateral = nn.ModuleList(nn.Conv2d(before, after, 1) for before, after in pairs)
        self.merge = nn.ModuleList([Residual(coarse), Residual(fine), convolution(finest, finest)])
        self.head = nn.Conv2d(finest, 3, 1)
        assert self.head.bias is not None
        with torch.no_grad():
            self.head.bias.copy_(torch.tensor([_RARE / (1 - _RARE), 1.0, 1.0]).log())

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Images (batch, 3, height, width) in [0, 1].

        Returns:
            heat (batch, rows, columns) in [0, 1]; directions (batch, 2, rows, columns), not normalised; embedding
            (batch, channels).
        """
        maps, embedding = self.raw(images)
        return maps[:, 0].sigmoid(), maps[:, 1:], embedding

    def raw(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Heat logits and directions (batch, 3, rows, columns), embedding (batch, channels)."""
        features = [self.stem((images - 0.45) / 0.25)]
        for stage in self.down:
            features.append(stage(features[-1]))
        grid = features.pop()
        pooled = grid.mean(dim=(2, 3), keepdim=True)
        grid = functional.relu(grid + self.context(pooled))
        for lateral, merge in zip(self.lateral, self.merge, strict=True):
            finer = features.pop()
            coarse = functional.interpolate(lateral(grid), scale_factor=2.0, mode="bilinear", align_corners=False)
            grid = merge(finer + coarse)
        return self.head(grid).float(), pooled.flatten(1).float()


def loss(network: Network, batch: Batch) -> Tensor:
    """Cross-entropy of the heat, plus the squared error of the directions where a line is."""
    device = batch.images.device
    with torch.autocast(device.type, torch.bfloat16, enabled=has_fast_bfloat16(device)):
        maps, _ = network.raw(batch.images)
    heat = functional.binary_cross_entropy_with_logits(maps[:, 0], batch.heat)
    apart = (maps[:, 1:] - batch.directions).square().sum(dim=1)
    near = batch.heat * (batch.heat > 0.1)
    directions = (near * apart).sum() / near.sum().clamp(min=1.0)
    return _CELL_WEIGHT * heat + _DIRECTION_WEIGHT * directions
