"""Charts of a report as plain data; ``report.html`` draws each kind as SVG or as a table."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from models.reliability import Interval

Point: TypeAlias = tuple[float, float]

_Z = 1.959964  # two-sided, 95 %


@dataclass(frozen=True)
class Dot:
    """A measured share with its interval: what was counted among ``n`` items."""

    x: float
    y: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Curve:
    """A line through points; ``name`` stands in the legend, ``hue`` is the colour that its category has elsewhere.

    ``band`` are the corners of the area in which the line may lie, where that is known.
    """

    name: str
    points: tuple[Point, ...]
    hue: int | None = None
    band: tuple[Point, ...] = ()


@dataclass(frozen=True)
class Curves:
    """Lines and dots over [0, ``x_most``] x [0, ``y_most``]; ``diagonal`` draws what would be perfect.

    ``dot`` says what a dot is, by its x, y and n.
    """

    kind: ClassVar[str] = "curves"
    title: str
    note: str
    x: str
    y: str
    curves: tuple[Curve, ...] = ()
    dots: tuple[Dot, ...] = ()
    x_most: float = 1.0
    y_most: float = 1.0
    diagonal: bool = False
    dot: str = "said {x:.3f}, so {y:.3f}, of {n} items"

    @property
    def is_empty(self) -> bool:
        """Whether there is neither a line nor a dot."""
        return not self.dots and not any(curve.points for curve in self.curves)

    @property
    def most_n(self) -> int:
        """The items of the largest dot."""
        return max((dot.n for dot in self.dots), default=1)


@dataclass(frozen=True)
class Column:
    """A share in [0, 1] of one kind of item with its interval; ``n`` items are of that kind."""

    name: str
    share: float
    interval: Interval
    n: int


@dataclass(frozen=True)
class Columns:
    """Shares of several kinds of items side by side, in their order; kinds without items are left out."""

    kind: ClassVar[str] = "columns"
    title: str
    note: str
    x: str
    y: str
    columns: tuple[Column, ...]

    @property
    def is_empty(self) -> bool:
        """Whether there is no item of any kind."""
        return not self.columns

    @property
    def most(self) -> float:
        """Where the scale ends: a round number no smaller than any share."""
        return rounded_up(max((column.interval[1] for column in self.columns), default=1.0), least=0.05)


@dataclass(frozen=True)
class Matrix:
    """How often ``rows`` (truth) were said to be ``columns``; ``counts`` has a row each."""

    kind: ClassVar[str] = "matrix"
    title: str
    note: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]

    @property
    def is_empty(self) -> bool:
        """Whether nothing was counted."""
        return not any(map(any, self.counts))


@dataclass(frozen=True)
class Mistake:
    """``truth`` became ``said``, ``count`` times; an empty string is nothing."""

    truth: str
    said: str
    count: int


@dataclass(frozen=True)
class Mistakes:
    """What was most often mistaken for what."""

    kind: ClassVar[str] = "mistakes"
    title: str
    note: str
    mistakes: tuple[Mistake, ...]


Chart: TypeAlias = Curves | Columns | Matrix | Mistakes


def share_interval(k: int, n: int) -> Interval:
    """The 95 % interval of a share of k in n >= 1 independent items (Wilson 1927)."""
    share, z2 = k / n, _Z**2
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n**2))
    return max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half))  # rounding leaves no share outside


def share_column(name: str, k: int, n: int) -> Column:
    """The share of k in n >= 1 independent items."""
    return Column(name, k / n, share_interval(k, n), n)


def rounded_up(value: float, least: float = 0.0) -> float:
    """Where a scale of such values ends: the next of 1, 2, 2.5 and 5 times a power of ten, from ``least`` on."""
    if (value := max(value, least)) <= 0:
        return 1.0
    unit = 10.0 ** math.floor(math.log10(value))
    return next(step * unit for step in (1.0, 2.0, 2.5, 5.0, 10.0) if value <= step * unit * (1 + 1e-9))


def binned(values: Sequence[float], wrong: Sequence[bool], edges: Sequence[float]) -> tuple[Column, ...]:
    """A column for each stretch between edges (low included) that holds values: the share that is wrong.

    ``edges`` rise; the last stretch has no end.
    """
    columns = []
    for low, high in zip(edges, [*edges[1:], math.inf], strict=True):
        inside = [bool(bad) for value, bad in zip(values, wrong, strict=True) if low <= value < high]
        if inside:
            name = f"{low:g}–{high:g}" if high < math.inf else f"≥ {low:g}"
            columns.append(share_column(name, sum(inside), len(inside)))
    return tuple(columns)


def thinned(points: Sequence[Point], most: int = 200) -> tuple[Point, ...]:
    """Points for a picture: about evenly many, the first and the last among them."""
    if len(points) <= most:
        return tuple(points)
    return tuple(points[round(i * (len(points) - 1) / (most - 1))] for i in range(most))
