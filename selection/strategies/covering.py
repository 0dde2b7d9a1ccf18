"""k-center: items that leave no other item far from a chosen one, exactly, while most distances are never computed.

A distance to the nearest chosen item only ever falls. So every item keeps an upper bound of its own, however old, and
only the *front*, the items with the largest bounds, follows every pick. Once nothing in the front is surely beyond
everyone else's bounds, the bounds that matter catch up with all picks since, in matrix products, and a new front forms
(lazy greedy, Minoux 1978). Bounds come from single precision, rounded up by more than its error; an item is picked
only when its distance was computed in double precision. So the picks are those of the plain greedy algorithm.
"""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from models.arrays import AnyFloats, Floats
from selection.strategies.pool import Embeddings, Indices, Scores, checked, checked_known, in_range

Single: TypeAlias = NDArray[np.float32]

FRONT = 2048  # items, at least, that follow every pick; of large pools SHARE
SHARE = 1 / 128
BLOCK = 1024  # items, and centres, of one matrix product: what a cache holds
_TINY = 2.0**-120  # more than squares of such vectors can lose at its lower end


def k_center(
    scores: Scores, embeddings: Embeddings, budget: int, rng: np.random.Generator, known: Embeddings | None = None
) -> Indices:
    """The most doubtful item, then always the one farthest from all chosen ones (Sener and Savarese 2018, section 4.3).

    Embeddings ``known`` (m, d) of items that people already have count as chosen from the start. Besides the
    embeddings it holds about 30 bytes an item.
    """
    doubts, points = checked(scores, embeddings, budget)
    points, centres = in_range(points, checked_known(known, points))
    picks = np.empty(min(budget, len(points)), np.intp)
    cover = _Cover(points, len(centres) + len(picks))
    for centre in centres:
        cover.add(centre)
    for rank in range(len(picks)):
        picks[rank] = cover.farthest() if len(centres) + rank else np.argmax(doubts)
        cover.take(int(picks[rank]))
    return picks


class _Cover:
    """The squared distances of items to their nearest centre, each as exact as the next choice needs it."""

    def __init__(self, points: Embeddings, room: int) -> None:
        n, d = points.shape
        self._points = points
        self._mean = np.zeros(d, np.result_type(points.dtype, np.float32))
        self._mean += points[:: n // BLOCK + 1].mean(axis=0, dtype=np.float64) if n else 0
        self._error: float = (d + 16) * 2.0**-23  # of a squared distance, for 1 of the squared lengths: twice its bound
        self._count = 0
        self._centres = np.empty((room, d))
        self._centres_near = np.empty((room, d), np.float32)  # near: less the mean, in single precision
        self._centres_long = np.empty(room, np.float32)  # long: squared lengths of those, rounded up by the error
        self._bounds = np.full(n, np.inf)  # at least the distance to the nearest of the first `seen` centres
        self._seen = np.zeros(n, np.int32)
        self._size, self._formed_at = max(FRONT, int(SHARE * n)), -1
        self._watch(np.empty(0, np.intp), np.inf)

    def add(self, centre: AnyFloats) -> None:
        """Makes a vector (d,) a centre."""
        now = self._count
        self._centres[now] = centre
        self._centres_near[now] = self._centres[now] - self._mean
        self._centres_long[now] = self._long(self._centres_near[now : now + 1])[0]
        self._count += 1
        upper = self._front_long + self._centres_long[now] - 2 * (self._front_near @ self._centres_near[now])
        slack = self._slack(self._front_long + self._centres_long[now])
        nearer = np.flatnonzero(self._exact & (upper - slack < self._upper))  # perhaps: so what is exact stays exact
        upper[nearer] = self._squares(self._front[nearer], self._centres[now])
        np.minimum(self._upper, upper, out=self._upper)

    def take(self, item: int) -> None:
        """Makes an item a centre, and never the farthest again."""
        self.add(self._points[item])
        self._bounds[item] = -np.inf
        self._upper[self._front == item] = -np.inf

    def farthest(self) -> int:
        """The item with the largest distance, the first of equals."""
        while (place := self._first()) is None:
            self._form()
        return int(self._front[place])

    def _first(self) -> int | None:
        """The place in the front of the farthest item of all, unless one elsewhere may be as far."""
        if not len(self._front):
            return None
        place = int(np.argmax(self._upper))
        if not self._exact[place]:
            self._settle(place)
            for rival in np.flatnonzero(~self._exact & (self._upper >= self._upper[place])):
                self._settle(int(rival))
            place = int(np.argmax(self._upper))
        return place if self._upper[place] > self._ceiling else None

    def _settle(self, place: int) -> None:
        """Replaces the bound of an item in the front by its distance."""
        centres = slice(self._count)
        upper = self._front_long[place] + self._centres_long[centres]
        slack = self._slack(upper)
        upper = upper - 2 * (self._centres_near[centres] @ self._front_near[place])
        nearest = self._centres[centres][upper - slack <= upper.min()]  # perhaps: few of them
        self._upper[place] = self._squares(self._front[place], nearest).min()
        self._exact[place] = True

    def _form(self) -> None:
        """A new front: the items with the largest bounds. Twice as large where the last one led to no pick."""
        self._size *= 2 if self._formed_at == self._count else 1
        self._formed_at = self._count
        self._bounds[self._front], self._seen[self._front] = self._upper, self._count
        floor = np.sort(self._upper)[-1 - len(self._front) // 8] if len(self._front) else -np.inf
        self._catch_up(np.flatnonzero(self._bounds > floor))
        last = len(self._bounds) - self._size - 1
        if last < 0:
            front, ceiling = np.arange(len(self._bounds)), -np.inf
        else:
            order = np.argpartition(self._bounds, last)
            front, ceiling = np.sort(order[last + 1 :]), float(self._bounds[order[last]])
        self._catch_up(front)
        self._watch(front, ceiling)

    def _watch(self, front: Indices, ceiling: float) -> None:
        """Lets these items (m,), in rising order, follow every centre; no bound elsewhere is above the ceiling."""
        self._front, self._ceiling = front, ceiling
        self._front_near = self._near(front)
        self._front_long = self._long(self._front_near)
        self._upper, self._exact = self._bounds[front], np.zeros(len(front), np.bool_)

    def _catch_up(self, items: Indices) -> None:
        """Lets the bounds of items know of all centres."""
        items = items[self._seen[items] < self._count]
        for first in range(0, len(items), BLOCK):
            block = items[first : first + BLOCK]
            near, bounds = self._near(block), self._bounds[block]
            long = self._long(near)
            for start in range(int(self._seen[block].min()), self._count, BLOCK):
                centres = slice(start, min(start + BLOCK, self._count))
                squares = self._centres_near[centres] @ near.T  # (centres, items)
                squares *= -2
                squares += self._centres_long[centres, None]
                np.minimum(bounds, long + squares.min(axis=0), out=bounds)
            self._bounds[block], self._seen[block] = bounds, self._count

    def _near(self, items: Indices) -> Single:
        return np.asarray(self._points[items] - self._mean, np.float32)

    def _long(self, near: Single) -> Floats:
        """The squared lengths (n,) of vectors (n, d), such that bounds made of them hold in spite of rounding."""
        squares: Single = np.einsum("nd,nd->n", near, near)
        return squares.astype(np.float64) * (1 + self._error) + _TINY

    def _slack(self, lengths: Floats) -> Floats:
        """How far a distance may lie below a bound made of two squared lengths with this sum."""
        return 2 * self._error * lengths + 4 * _TINY

    def _squares(self, items: Indices | np.intp, centres: Floats) -> Floats:
        """Squared distances between items and centres, one of either or as many of both, in double precision."""
        away = np.atleast_2d(self._points[items] - centres)
        squares: Floats = np.einsum("nd,nd->n", away, away)
        return squares
