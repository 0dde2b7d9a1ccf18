"""Choosing from input that never ends: one pass, and memory for the picks alone.

Items are named by their place in the stream, from 0. After an ``offer`` only the items in ``picks`` need be kept.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial.distance import cdist, pdist

from models.arrays import Bools, Floats
from models.errors import InvalidInput
from selection.strategies.doubt import doubts
from selection.strategies.pool import Embeddings, Indices, checked_points

_BLOCK = 1024  # items looked at together


class MostDoubtful:
    """The items with the highest scores so far: always what ``uncertainty`` would pick of all of them.

    Random numbers offered as scores make it a uniform random sample of the stream.
    """

    def __init__(self, budget: int) -> None:
        self._budget = _checked_budget(budget)
        self._seen = 0
        self._picks, self._doubts = np.empty(0, np.intp), np.empty(0)

    @property
    def picks(self) -> Indices:
        """The places of at most ``budget`` items, most doubtful first; the earlier of equals is kept."""
        return self._picks

    def offer(self, scores: ArrayLike) -> None:
        """The next items of the stream: scores (n,) in [0, 1], or class probabilities (n, K).

        Raises:
            InvalidInput: as a strategy would, naming the index among these.
        """
        values = doubts(scores)
        places = np.append(self._picks, self._seen + np.arange(len(values)))
        values = np.append(self._doubts, values)
        best = np.argsort(-values, kind="stable")[: self._budget]
        self._seen += len(places) - len(self._picks)
        self._picks, self._doubts = places[best], values[best]


class Covering:
    """Items such that no item so far is far from one of them: a k-center of the stream, by the doubling algorithm.

    No item is farther from the nearest pick than ``reach``, and ``reach`` is at most 8 times what any choice of
    ``budget`` items could achieve. Source: Charikar, Chekuri, Feder and Motwani 2004, section 3. The centres that this
    takes may be few; those that it gave up last fill the budget.
    """

    def __init__(self, budget: int) -> None:
        self._budget = _checked_budget(budget)
        self._seen, self._apart = 0, 0.0
        self._picks, self._points, self._n_centres = np.empty(0, np.intp), np.empty((0, 0)), 0  # the centres first

    @property
    def picks(self) -> Indices:
        """The places of at most ``budget`` items: the centres in the order of their coming, then the others."""
        return self._picks

    @property
    def reach(self) -> float:
        """The distance within which every item so far has a pick."""
        return 2 * self._apart

    def offer(self, embeddings: Embeddings) -> None:
        """The next items of the stream: embeddings (n, d), always the same d.

        Raises:
            InvalidInput: another shape, or a number that is not finite, naming the index among these.
        """
        points = checked_points("embeddings", embeddings)
        if not self._seen:
            self._points = np.empty((0, points.shape[1]))
        if points.shape[1] != self._points.shape[1]:
            raise InvalidInput(f"embeddings: expected shape (n, {self._points.shape[1]}), got {points.shape}")
        for first in range(0, len(points), _BLOCK):
            block = points[first : first + _BLOCK].astype(np.float64)
            for row in np.flatnonzero(self._is_far(block)):
                if self._is_far(block[row : row + 1])[0]:  # also from those that have just become centres
                    self._add(self._seen + int(row), block[row])
            self._seen += len(block)

    def _is_far(self, points: Floats) -> Bools:
        """Whether each point (n, d) is farther than ``_apart`` from all centres."""
        nearest: Floats = cdist(points, self._points[: self._n_centres]).min(axis=1, initial=np.inf)
        return nearest > self._apart

    def _add(self, place: int, point: Floats) -> None:
        """Makes an item a centre, and others give way."""
        self._picks = np.insert(self._picks, self._n_centres, place)
        self._points = np.insert(self._points, self._n_centres, point, axis=0)
        self._n_centres += 1
        while self._n_centres > self._budget:
            self._thin_out()
        self._picks, self._points = self._picks[: self._budget], self._points[: self._budget]

    def _thin_out(self) -> None:
        """Widens ``_apart`` at least twofold, and leaves centres that are farther from each other than that.

        It is called with more centres than ``budget``: two of them share a centre of any choice, which is then at least
        half as far from one of the two as they are from each other.
        """
        centres = self._points[: self._n_centres]
        self._apart = max(2 * self._apart, float(pdist(centres).min()))
        kept = list[int]()
        for row, centre in enumerate(centres):
            if (cdist(centre[None], centres[kept]) > self._apart).all():
                kept.append(row)
        order = kept + [row for row in range(len(self._picks)) if row not in set(kept)]
        self._picks, self._points, self._n_centres = self._picks[order], self._points[order], len(kept)


def _checked_budget(budget: int) -> int:
    if budget < 1:
        raise InvalidInput(f"budget: expected at least 1 item, got {budget}")
    return budget
