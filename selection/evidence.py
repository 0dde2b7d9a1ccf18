"""How strongly checks of random items speak for an error rate of at most alpha among those within a threshold.

Items on their own are counted: an exact binomial test. Items that come in groups (clip, speaker, image) may all be
wrong together, so a group is one observation however many items it holds: there the checks are bets.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr, bdtrc, logsumexp, ndtri

from models.arrays import Bools, Floats

Counts: TypeAlias = NDArray[np.int64]

SURE_START = 0.95  # probability that the strictest threshold accepts as many checks as its test needs
BETS = ((0.03, 0.6), (0.2, 0.2), (0.5, 0.2))  # (supposed error rate as a share of alpha, stake); see ``Grouped``


@dataclass(frozen=True)
class Tested:
    """What checks say of some thresholds, (thresholds,) each.

    ``accepted`` of them lie within, ``wrong`` of those are wrong; ``p_values`` are for a rate above alpha. ``missing``
    is how many more checks, all within and right, would prove the rate at a level.
    """

    accepted: Counts
    wrong: Counts
    p_values: Floats
    missing: Callable[[float], Counts]


class Evidence(Protocol):
    """Checks that a promise may rest on. A ``level`` is the probability with which a test may mislead."""

    @property
    def scores(self) -> Floats:
        """Of the items (n,), in [0, 1]."""

    @property
    def alpha(self) -> float:
        """The share of wrong ones that is allowed."""

    @property
    def known(self) -> int:
        """How many checks there are."""

    def short(self, level: float) -> int:
        """How many checks are missing even if every one at hand were accepted and right."""

    def likely(self, share: Floats, level: float) -> Bools:
        """Whether thresholds that accept these shares (n,) of all items probably hold enough checks, were all right.

        Looks at no score and no label.
        """

    def to_begin(self, share: Floats, level: float) -> Counts:
        """How many more checks (n,) it takes until thresholds of these shares (n,) can be expected to hold enough."""

    def test(self, thresholds: Floats) -> Tested:
        """The tests of thresholds (n,), rising."""


@dataclass(frozen=True)
class Single:
    """Checks of items that are independent of one another: ``scores`` (n,), ``wrong`` (n,)."""

    scores: Floats
    wrong: Bools
    alpha: float

    @property
    def known(self) -> int:
        """How many checks there are."""
        return len(self.scores)

    def short(self, level: float) -> int:
        """By the exact binomial test."""
        return max(0, checks_needed(self.alpha, level) - len(self.scores))

    def likely(self, share: Floats, level: float) -> Bools:
        """By the binomial number of checks within."""
        return np.asarray(bdtrc(checks_needed(self.alpha, level) - 1, len(self.scores), share) >= SURE_START)

    def to_begin(self, share: Floats, level: float) -> Counts:
        """By the number expected."""
        return np.ceil(checks_needed(self.alpha, level) / share).astype(np.int64) - len(self.scores)

    def test(self, thresholds: Floats) -> Tested:
        """P(Bin(accepted, alpha) <= wrong)."""
        order = np.argsort(self.scores, kind="stable")
        accepted = np.searchsorted(self.scores[order], thresholds, side="right")
        wrong = np.concatenate([[0], np.cumsum(self.wrong[order])])[accepted]

        def missing(level: float) -> Counts:
            kinds, rows = np.unique(wrong, return_inverse=True)
            return np.asarray(_needed(self.alpha, level, kinds)[rows] - accepted)

        return Tested(accepted, wrong, np.asarray(bdtr(wrong, accepted, self.alpha)), missing)


@dataclass(frozen=True)
class Grouped:
    """Checks in groups that are independent of one another, whatever happens within: ``group`` (n,) from 0 on.

    Further checks are counted one by one, in groups of their own, or where a check is ``whole`` a group (an item, of
    its parts) in groups that hold as many as can be.

    The rate is the share of wrong items among all accepted ones, large groups counting for more than small ones. With
    N accepted items of a group and K wrong ones among them, a rate above alpha means E[K - alpha N] > 0. Each group is
    a bet against that: it multiplies a stake by 1 - bet (K - alpha N) / m, where m (``most``) is the largest number
    that a group can hold and bet <= 1 / (1 - alpha), so that no stake falls below zero and none is expected to grow.
    The stakes of ``BETS`` together exceed 1 / p with a probability of at most p (Markov). Where groups are of one size
    and all alike inside, a tenth more of them are needed than of single items, for not knowing which bet is the best;
    where the items of a group err independently, far fewer.

    Source: bets on bounded means, Waudby-Smith and Ramdas 2024, section 4; the bets are fixed and mixed, so that the
    order of the groups does not matter.
    """

    scores: Floats
    wrong: Bools
    group: Counts
    most: int
    alpha: float
    whole: bool = False

    @property
    def known(self) -> int:
        """How many checks there are."""
        return len(np.unique(self.group)) if self.whole else len(self.group)

    def short(self, level: float) -> int:
        """By the best that further checks can do."""
        none_wrong = replace(self, wrong=np.zeros(len(self.wrong), np.bool_))
        return int(none_wrong.test(np.array([1.0])).missing(level)[0])

    def likely(self, share: Floats, level: float) -> Bools:
        """As if a group were accepted as a whole or not at all, by the normal law of large sums."""
        each = self._growth(np.bincount(self.group))
        expected, spread = share * each.sum(), np.sqrt(share * (1 - share) * (each**2).sum())
        return np.asarray(expected - ndtri(SURE_START) * spread >= -np.log(level * _STAKES[0]))

    def to_begin(self, share: Floats, level: float) -> Counts:
        """By the evidence that checks are expected to give, if they come in groups like those at hand."""
        each = self._growth(np.bincount(self.group)).sum() / self.known
        needed: Floats = np.ceil(-np.log(level * _STAKES[0]) / (share * each))
        return needed.astype(np.int64) - self.known

    def test(self, thresholds: Floats) -> Tested:
        """The stakes after all groups at each threshold, put together from what each item adds to its group's."""
        place = np.searchsorted(thresholds, self.scores)  # of the first threshold that accepts it
        order = np.lexsort((place, self.group))
        order = order[place[order] < len(thresholds)]
        place, group, wrong = place[order], self.group[order], self.wrong[order].astype(np.int64)
        begins = np.diff(group, prepend=-1) > 0
        rows = np.arange(len(order))
        first = np.maximum.accumulate(np.where(begins, rows, 0))  # row of the group's surest item
        errors = np.cumsum(wrong)
        against = (errors - (errors - wrong)[first] - self.alpha * (rows - first + 1)) / self.most
        stakes = np.empty((len(thresholds), len(BETS)))
        for column, bet in enumerate(_bets(self.alpha)):
            after = np.log1p(-bet * against)
            added = after - np.where(begins, 0, np.roll(after, 1))
            stakes[:, column] = np.log(_STAKES[column]) + np.cumsum(np.bincount(place, added, len(thresholds)))
        accepted, errors = (np.cumsum(np.bincount(place, of, len(thresholds))) for of in (None, wrong))
        p_values = np.exp(np.minimum(0, -logsumexp(stakes, axis=1)))
        counted = accepted.astype(np.int64), errors.astype(np.int64)
        return Tested(*counted, np.asarray(p_values), lambda level: self._missing(stakes, level))

    def _growth(self, right: Counts) -> Floats:
        """The logarithm (n,) by which groups of so many right items let the highest bet grow."""
        return np.asarray(np.log1p(_bets(self.alpha)[0] * self.alpha * right / self.most))

    def _missing(self, stakes: Floats, level: float) -> Counts:
        """How many more right checks lift stakes (n, bets) to 1 / level."""
        share = 1.0 if self.whole else 1 / self.most  # of the largest group
        growth, goal = np.log1p(_bets(self.alpha) * self.alpha * share), -np.log(level)

        def enough(more: Counts) -> Bools:
            return np.asarray(logsumexp(stakes + more[:, None] * growth, axis=1) >= goal)

        return _least(enough, np.zeros(len(stakes), np.int64))


_STAKES = np.array([stake for _, stake in BETS])


def _bets(alpha: float) -> Floats:
    """The bets (bets,) that grow fastest where the true rate is the supposed one."""
    return (1 - np.array([share for share, _ in BETS])) / (1 - alpha)


@cache
def checks_needed(alpha: float, level: float, errors: int = 0) -> int:
    """The fewest accepted single checks that prove a rate of at most alpha with that many errors among them."""
    return int(_needed(alpha, level, np.array([errors], np.int64))[0])


def _needed(alpha: float, level: float, errors: Counts) -> Counts:
    """The least N with P(Bin(N, alpha) <= errors) <= level, for each of ``errors``."""
    return _least(lambda n: np.asarray(bdtr(errors, n, alpha) <= level), errors)


def _least(enough: Callable[[Counts], Bools], low: Counts) -> Counts:
    """The least whole numbers from ``low`` on that are enough, by doubling and bisection."""
    fails, passes = low - 1, low
    while (short := ~enough(passes)).any():
        fails, passes = np.where(short, passes, fails), np.where(short, 2 * passes - low + 1, passes)
    while (passes - fails > 1).any():
        middle = (fails + passes) // 2
        good = enough(middle)
        fails, passes = np.where(good, fails, middle), np.where(good, middle, passes)
    return passes
