"""The promise from checks that become more: weighed at any moment, as often as one likes, at one delta in all.

``risk.accept_threshold`` weighs checks once. Weighed at delta again whenever a fifth more are known, until a promise
can be made, checks whose rate is just above alpha end in a broken one in 19.7 % of 1,000 runs (95 %: 17.3 to 22.3 %)
instead of 5 %; as here, in 2.6 % (1.7 to 3.8 %; ``python -m benchmarks.growing --trials 1000``).

Here the evidence is a bet: the stakes of ``evidence.Grouped`` are, check by check, a supermartingale wherever the rate
is above alpha, so that they ever exceed 1 / level with a probability of at most level (Ville 1939). What is tested in
which order stands before the first check counts (``Ladder``), so the first threshold of a sequence that has a rate
above alpha is one and the same at every moment, and no sequence passes it but with that probability.

That holds where what belongs together (the parts of an item) is known at once. Where groups grow with the checks
(speakers, clips), the checks are weighed at ``looks``.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from models.arrays import Floats
from models.reliability import checked_errors, checked_scores
from selection.checks import group_rows
from selection.evidence import Grouped
from selection.parts import PartChecks, PartPromise, most_parts, part_groups, surest
from selection.risk import NoPromise, Threshold, quantiles, tested_in_order, too_few

BEGINNINGS = ((1 / 8, 1 / 8), (1 / 4, 1 / 4), (1 / 2, 1 / 2), (1.0, 1 / 8))  # (share of all accepted, part of delta)


@dataclass(frozen=True)
class Ladder:
    """Thresholds (n,), strict to loose, and the ``shares`` (n,) of the pool that they accept, fixed before any check
    counts. ``most`` is the largest number of accepted ones that belong together."""

    thresholds: tuple[float, ...]
    shares: tuple[float, ...]
    most: int = 1

    @property
    def levels(self) -> Floats:
        """The part (n,) of delta with which a sequence of tests begins at each threshold; one that reaches the next
        beginning hands its part on."""
        levels, shares = np.zeros(len(self.shares)), np.array(self.shares)
        for share, level in BEGINNINGS:
            levels[min(int(np.searchsorted(shares, share)), len(shares) - 1)] += level
        return levels


def ladder(pool_scores: ArrayLike, most: int = 1) -> Ladder:
    """The quantiles of a pool (m,), at least one score.

    Raises:
        InvalidInput: shapes, ranges or a NaN, naming its index.
    """
    thresholds, shares = quantiles(checked_scores("pool_scores", pool_scores))
    return Ladder(tuple(thresholds.tolist()), tuple(shares.tolist()), most)


def weigh(
    scores: ArrayLike,
    errors: ArrayLike,
    by: Ladder,
    *,
    alpha: float,
    delta: float,
    groups: Sequence[Hashable] | None = None,
) -> Threshold | NoPromise:
    """The loosest threshold that the checks known by now allow.

    With probability 1 - delta no threshold that it ever returns, at whatever number of checks, accepts a larger share
    of wrong ones than alpha. The checks may be any beginning of a sequence whose order looks at no label.

    Args:
        scores: (n,) in [0, 1].
        errors: (n,) bool.
        groups: (n,) whose members all come at once, no more than ``by.most`` of them; without, each stands alone.

    Raises:
        InvalidInput: shapes, ranges or a NaN, naming its index.
    """
    values, wrong = checked_scores("scores", scores), checked_errors(errors, scores)
    rows = group_rows(groups, len(values))
    evidence = Grouped(values, wrong, rows, by.most, alpha, whole=True)
    if short := evidence.short(delta):
        return NoPromise(too_few(evidence.known, None, short), short)
    count = evidence.known if groups else None
    return tested_in_order(evidence, np.array(by.thresholds), np.array(by.shares), delta * by.levels, delta, count)


def part_ladders(checks: PartChecks, pool_parts: ArrayLike, pool_missing: ArrayLike) -> tuple[Ladder, Ladder]:
    """What is tested of parts, and of the question what is missing. How many parts of one item may be accepted at most
    follows from those of the items checked by now.

    Args:
        pool_parts: (q,) scores of parts, at least one.
        pool_missing: (m,) doubts whether something is missing, at least one.

    Raises:
        InvalidInput: as ``ladder``.
    """
    return ladder(pool_parts, most_parts(checks)), ladder(pool_missing)


def weigh_parts(checks: PartChecks, by: tuple[Ladder, Ladder], *, alpha: float, delta: float) -> PartPromise:
    """As ``parts.promise_parts``, at any moment: each of the two promises has half of delta."""
    (parts, missing), items = by, checks.items
    of_parts = weigh_part(checks, parts, alpha=alpha, delta=delta / 2)
    of_missing = weigh(items.scores, items.errors, missing, alpha=alpha, delta=delta / 2)
    return PartPromise(of_parts, of_missing, parts.most)


def weigh_part(checks: PartChecks, by: Ladder, *, alpha: float, delta: float) -> Threshold | NoPromise:
    """The promise for parts alone, all of them or those of a kind."""
    kept = surest(checks.scores, checks.item, by.most)
    groups = part_groups(checks, kept)
    return weigh(checks.scores[kept], checks.errors[kept], by, alpha=alpha, delta=delta, groups=groups)
