"""Broad lines on a grid of pixels, to the pixel as OpenCV draws them: what CULane's evaluation compares.

``cv::line`` of a thickness fills a disc at both ends and a bar between them whose edges are drawn too, in fixed-point
arithmetic of 16 bits behind the point. Here the pixels are kept as runs of rows, never as a picture. Where a bar
leaves the image OpenCV clips its edges before it rounds them, so that a pixel here and there on them may differ.
Source: OpenCV 4, ``modules/imgproc/src/drawing.cpp``: ``ThickLine``, ``FillConvexPoly``, ``Line2``, ``Circle``.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from models.arrays import Bools, Floats

Whole: TypeAlias = NDArray[np.int64]
Runs: TypeAlias = tuple[Whole, Whole, Whole]  # row, first and last column of runs of pixels, (n,) each
Corner: TypeAlias = tuple[int, int]

THICKNESS = 30  # pixels
_RADIUS = THICKNESS // 2
_BITS = 16
_HALF = 1 << (_BITS - 1)
_LENGTH_BITS = 20  # for the length of a run, behind the number of its first pixel


@dataclass(frozen=True)
class Pixels:
    """A set of pixels of one image as disjoint runs in order: numbers (row * width + column) from ``start`` to before
    ``end``, (n,) each."""

    start: Whole
    end: Whole

    @property
    def count(self) -> int:
        """How many pixels there are."""
        return int((self.end - self.start).sum())

    def shared(self, other: "Pixels") -> int:
        """How many of them ``other`` has too; both are of one image."""
        return int((self._before(other.end) - self._before(other.start)).sum())

    def _before(self, number: Whole) -> Whole:
        """How many of these pixels have a lower number."""
        full = np.concatenate([[0], np.cumsum(self.end - self.start)])
        run = np.searchsorted(self.start, number, side="right")
        inside = np.minimum(number, self.end[run - 1]) - self.start[run - 1] if len(self.start) else number * 0
        return np.where(run > 0, full[run - 1] + inside, 0)


def drawn(points: Floats, width: int, height: int) -> Pixels:
    """The pixels of an image, and within it, that a line through points (n, 2) covers, ``THICKNESS`` pixels broad."""
    corners = np.rint(points.astype(np.float32)).astype(np.int64)
    corners = corners[np.append(True, (np.diff(corners, axis=0) != 0).any(axis=1))]
    steps = np.diff(corners, axis=0) if len(corners) > 1 else np.zeros((1, 2), np.int64)
    chains = 3 * _chains(steps)  # as many as a stroke has parts
    pieces = []
    for dx, dy in set(map(tuple, steps.tolist())):
        same = (steps[:, 0] == dx) & (steps[:, 1] == dy)
        places = corners[: len(steps)][same]
        pieces += [_at(places, chains[same] + number, part) for number, part in enumerate(_stroke(dx, dy))]
    row, left, right = _outermost(*(np.concatenate(each) for each in zip(*pieces, strict=True)))
    seen = (row >= 0) & (row < height) & (right >= 0) & (left < width)
    row, left, right = row[seen], np.maximum(left[seen], 0), np.minimum(right[seen], width - 1)
    return _united(row * width + left, right - left + 1)


def _chains(steps: Whole) -> Whole:
    """Numbers (n,) of chains of steps (n, 2) that go down together, or up; a ``_flat`` one is a chain by itself.

    The strokes of a chain cover one run of pixels in each row.
    """
    way, flat = np.sign(steps[:, 1]), _flat(steps[:, 0], steps[:, 1])
    known = np.maximum.accumulate(np.where(way != 0, np.arange(len(way)), 0))
    return np.append(0, np.cumsum((np.diff(way[known]) != 0) | flat[1:] | flat[:-1]))


def _flat(dx: Whole, dy: Whole) -> Bools:
    """Whether the bar and a disc of a stroke may cover two runs of a row, with a pixel between them."""
    return np.asarray((np.abs(dx) > 3) & (dy != 0) & (2 * np.abs(dy) < np.abs(dx)))


def _at(places: Whole, chains: Whole, runs: Runs) -> tuple[Whole, Whole, Whole, Whole]:
    """Chain, row, first and last column of the same runs (n,) around each of the places (m, 2): (m * n,) each."""
    x, y = places[:, :1], places[:, 1:]
    row, left, right = runs
    return np.repeat(chains, len(row)), (y + row).ravel(), (x + left).ravel(), (x + right).ravel()


def _outermost(chain: Whole, row: Whole, left: Whole, right: Whole) -> Runs:
    """For each row of each chain, its first and its last column: many runs become one."""
    top = row.min()
    rows = row.max() - top + 1
    first = np.full((chain.max() + 1) * rows, right.max() + 1)
    last = np.full(len(first), left.min() - 1)
    place = chain * rows + row - top
    np.minimum.at(first, place, left)
    np.maximum.at(last, place, right)
    (found,) = np.nonzero(first <= last)
    return found % rows + top, first[found], last[found]


def _united(start: Whole, length: Whole) -> Pixels:
    """The runs without what they have in common."""
    packed = np.sort((start << _LENGTH_BITS) + length)
    start = packed >> _LENGTH_BITS
    reach = np.maximum.accumulate(start + (packed & ((1 << _LENGTH_BITS) - 1)))
    first = np.flatnonzero(np.append(True, start[1:] > reach[:-1])[: len(start)])
    return Pixels(start[first], reach[np.append(first[1:], len(start)) - 1] if len(first) else start)


@lru_cache(maxsize=4096)
def _stroke(dx: int, dy: int) -> tuple[Runs, ...]:
    """The stroke from (0, 0) to (dx, dy): whole, or its discs and its bar where they leave gaps in rows."""
    row, left, right = _disc()
    parts = [(row, left, right), (row + dy, left + dx, right + dx)]
    if dx or dy:
        parts.append(_bar(dx, dy))
    if _flat(np.array(dx), np.array(dy)):
        return tuple(parts)
    row, left, right = (np.concatenate(each) for each in zip(*parts, strict=True))
    return (_outermost(row * 0, row, left, right),)


def _disc() -> Runs:
    """A filled circle around (0, 0), by the midpoint algorithm."""
    half = np.zeros(2 * _RADIUS + 1, np.int64)
    x, y, error = _RADIUS, 0, 0
    while x >= y:
        for row, column in ((y, x), (x, y)):
            half[_RADIUS + row] = half[_RADIUS - row] = max(half[_RADIUS + row], column)
        error += 2 * y + 1
        y += 1
        if error > 0:
            error -= 2 * x - 1
            x -= 1
    return np.arange(-_RADIUS, _RADIUS + 1), -half, half


def _bar(dx: int, dy: int) -> Runs:
    """The bar from (0, 0) to (dx, dy), which are not the same."""
    scale = (THICKNESS << (_BITS - 1)) / math.sqrt(dx * dx + dy * dy)
    px, py = round(dy * scale), round(-dx * scale)
    x, y = dx << _BITS, dy << _BITS
    corners = [(px, py), (-px, -py), (x - px, y - py), (x + px, y + py)]
    sides = [_edge(corners[i - 1], corners[i]) for i in range(4)] + _sides(corners)
    row, column = (np.concatenate(each) for each in zip(*sides, strict=True))
    return _outermost(row * 0, row, column, column)


def _edge(start: Corner, end: Corner) -> tuple[Whole, Whole]:
    """Rows and columns of the pixels of a thin line between fixed-point corners."""
    across = abs(end[0] - start[0]) > abs(end[1] - start[1])
    major = 0 if across else 1
    first, last = (start, end) if start[major] <= end[major] else (end, start)
    run, rise = last[major] - first[major], last[1 - major] - first[1 - major]
    slope = _divided(rise << _BITS, run | 1)
    count = np.arange((run >> _BITS) + 1)
    along = ((first[major] + _HALF) >> _BITS) + count
    beside = (first[1 - major] + _HALF + count * slope) >> _BITS
    along, beside = np.append(along, _nearest(last[major])), np.append(beside, _nearest(last[1 - major]))
    return (beside, along) if across else (along, beside)


def _sides(corners: list[Corner]) -> list[tuple[Whole, Whole]]:
    """Rows and columns of where filling the convex polygon begins and ends, from its top down both ways."""
    rows = [_nearest(y) for _, y in corners]
    top = min(range(4), key=lambda i: corners[i][1])
    sides = []
    for turn in (1, -1):
        way = [(top + turn * i) % 4 for i in range(4)]
        for here, there in pairwise(way):
            fall = rows[there] - rows[here]
            if fall > 0:  # where it is not, the way goes along the top or the bottom, or up the other side
                slope = _divided(2 * (corners[there][0] - corners[here][0]) + fall, 2 * fall)
                count = np.arange(fall)
                sides.append((rows[here] + count, (corners[here][0] + _HALF + count * slope) >> _BITS))
    return sides


def _nearest(fixed: int) -> int:
    return (fixed + _HALF) >> _BITS


def _divided(part: int, whole: int) -> int:
    """The quotient towards zero, as C divides; ``whole`` is positive."""
    return part // whole if part >= 0 else -(-part // whole)
