"""What the networks on pictures are built of."""

from torch import Tensor, nn
from torch.nn import functional


class Residual(nn.Module):
    """Two 3x3 convolutions beside an identity (He et al. 2016), on grids (batch, width, rows, columns)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = convolution(width, width)
        norm = nn.BatchNorm2d(width)
        nn.init.zeros_(norm.weight)  # each block starts as the identity (Goyal et al. 2017)
        self.second = nn.Sequential(nn.Conv2d(width, width, 3, padding=1, bias=False), norm)

    def forward(self, grid: Tensor) -> Tensor:
        return functional.relu(grid + self.second(self.first(grid)))


def convolution(before: int, after: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """A convolution of so many channels ``before`` and ``after``, normalised and rectified."""
    inner = nn.Conv2d(before, after, kernel, stride, padding=kernel // 2, bias=False)
    return nn.Sequential(inner, nn.BatchNorm2d(after), nn.ReLU(inplace=True))
