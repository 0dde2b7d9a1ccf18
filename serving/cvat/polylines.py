"""How a tracked polyline moves between two keyframes, whose numbers of points may differ: as CVAT draws it
(``TrackManager`` of its ``dataset_manager``, and the same in its pages)."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import dist
from typing import TypeAlias

from models.records import Pixels

Point: TypeAlias = tuple[Pixels, Pixels]


def between(left: Sequence[Point], right: Sequence[Point], share: float) -> list[Point]:
    """The line at a ``share`` of the way from one line to another, both of some length.

    Points belong to each other where they are as far along their lines, by share of the length; each has at least one
    partner. Those that share a partner lie close together at first or at last, and are thinned out.
    """
    partners = _partners(_along(left), _along(right))
    moved = [[_mix(left[at], right[to], share) for to in found] for at, found in enumerate(partners)]
    thinned = list[Point]()
    for first, last in _runs(partners):
        several = len(partners[first]) > 1
        sides = right[partners[first][0] : partners[first][-1] + 1] if several else left[first : last + 1]
        thinned += _thinned([point for points in moved[first : last + 1] for point in points], sides)
    return thinned


def length(points: Sequence[Point]) -> Pixels:
    """Of a line."""
    return sum(dist(one, other) for one, other in pairwise(points))


def _along(points: Sequence[Point]) -> list[float]:
    """How far along its line each point is, from 0 to 1."""
    whole = length(points)
    return [length(points[: number + 1]) / whole for number in range(len(points))]


def _partners(left: Sequence[float], right: Sequence[float]) -> list[list[int]]:
    """Of each point on the left its partners on the right."""
    found = [[_nearest(place, right)] for place in left]
    for number in sorted(set(range(len(right))) - {to for (to,) in found}):
        found[_nearest(right[number], left)].append(number)
    return [sorted(numbers) for numbers in found]


def _nearest(place: float, places: Sequence[float]) -> int:
    return min(range(len(places)), key=lambda number: abs(place - places[number]))


def _mix(one: Point, other: Point, share: float) -> Point:
    return one[0] + (other[0] - one[0]) * share, one[1] + (other[1] - one[1]) * share


def _runs(partners: Sequence[Sequence[int]]) -> Iterator[tuple[int, int]]:
    """First and last of neighbours on the left that have one partner together, and each that has several alone."""
    first = 0
    for number in range(1, len(partners) + 1):
        if number == len(partners) or len(partners[first]) > 1 or partners[number] != partners[first]:
            yield first, number - 1
            first = number


def _thinned(points: Sequence[Point], sides: Sequence[Point]) -> list[Point]:
    """Points without those that are nearer to the one before than half of the mean distance on the line they spread
    to, or are drawn together from; the ends stay, or are one point in the middle."""
    if len(points) == 1:
        return list(points)
    least = length(sides) / (2 * len(sides))
    kept = [points[0]]
    for point in points[1:-1]:
        if dist(kept[-1], point) >= least:
            kept.append(point)
    kept.append(points[-1])
    if len(kept) == 2 and dist(kept[0], kept[1]) < least:
        return [_mix(kept[0], kept[1], 0.5)]
    return kept
