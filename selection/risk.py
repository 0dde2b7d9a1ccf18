"""The promise: under which score labels may be accepted unseen, and how sure that is.

Learn-then-Test (Angelopoulos et al. 2021, arXiv 2110.01052) with a fixed sequence of thresholds from strict to loose
and exact tests (``evidence``). The error rate among the accepted is not monotone in the threshold, so conformal risk
control does not apply.

Whom the promise speaks of depends on ``groups``. Without them it speaks of the items that the checks were drawn from,
one by one and at random: whatever hangs together there, only the draw is left to chance. With them it speaks of items
of new groups as well (other speakers, other clips), of which each group at hand is one example.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.arrays import Bools, Floats
from models.counting import counted
from models.errors import InvalidInput
from models.reliability import checked_errors, checked_scores
from selection.checks import RandomChecks, group_rows
from selection.evidence import Evidence, Grouped, Single, Tested

STEPS = 200  # thresholds between the strictest and the loosest
FIRST = 2 / 3  # of delta for the first beginning, where there are others
WIDER = 3.0  # each further one accepts so many times as many items as the one before it


@dataclass(frozen=True)
class Threshold:
    """Accept where score <= ``threshold``.

    With probability 1 - ``delta`` over the draw of the ``n`` calibration items, at most a share ``alpha`` of what is
    accepted is wrong. ``accepted`` of them lie within the threshold, ``errors`` of those are wrong. ``groups`` is the
    number of independent groups that they come in, None where each item is one of its own.
    """

    threshold: float
    alpha: float
    delta: float
    n: int
    accepted: int
    errors: int
    groups: int | None = None


@dataclass(frozen=True)
class NoPromise:
    """No threshold can be promised, and why; ``missing`` more random checks than were weighed are needed at the very
    least; 0 where nobody can tell.

    Where checks come in groups, that holds of checks in further groups.
    """

    reason: str
    missing: int = 0


def promise(checks: RandomChecks, *, alpha: float, delta: float, pool_scores: ArrayLike) -> Threshold | NoPromise:
    """``accept_threshold`` of checks that are known to be drawn at random.

    Raises:
        InvalidInput: as ``accept_threshold``.
    """
    return accept_threshold(
        checks.scores, checks.errors, alpha=alpha, delta=delta, pool_scores=pool_scores, groups=checks.groups
    )


def accept_threshold(
    scores: ArrayLike,
    errors: ArrayLike,
    *,
    alpha: float,
    delta: float,
    pool_scores: ArrayLike,
    groups: Sequence[Hashable] | None = None,
    whole: bool = False,
) -> Threshold | NoPromise:
    """The loosest threshold that the calibration items allow.

    Thresholds are tested from strict to loose until the first fails. The first is where enough accepted items are
    expected for its test to pass if none is wrong (``checks_needed``), and so many more that chance leaves too few in
    one case of twenty only: begun exactly there, half of all calibrations fail for one item too few. Where even the
    surest items are now and then wrong, that first test fails for one such item, and looser ones with more room for
    errors would pass. So the sequence begins anew further on, and the beginnings share delta between them; one that
    reaches the next hands its part on (fallback procedure, Wiens 2003). Where they begin depends on no label, so the
    promise is untouched. Equal scores stand and fall together.

    Args:
        scores: (n,) in [0, 1], of items drawn at random, never chosen by their score.
        errors: (n,) bool, whether a person changed something that matters.
        alpha: the share of wrong labels allowed among the accepted, in (0, 1).
        delta: the probability with which the promise may fail, in (0, 1).
        pool_scores: (m,) of items such as the calibration items were drawn from, labelled since or not; their quantiles
            are the thresholds tried. Where there are none the calibration scores stand for them.
        groups: (n,) what an item shares with others (clip, speaker); None is a group of its own. Items of one group
            may depend on one another in any way. No group of later items may be larger than the largest here.
        whole: whether one check is a whole group (an image, of its boxes), so that what is missing are groups.

    Raises:
        InvalidInput: shapes, ranges or a NaN, naming its index.
    """
    values, wrong = checked_scores("scores", scores), checked_errors(errors, scores)
    pool = checked_scores("pool_scores", pool_scores)
    if not (0 < alpha < 1 and 0 < delta < 1):
        raise InvalidInput(f"expected alpha and delta in (0, 1), got {alpha} and {delta}")
    evidence, count = _evidence(values, wrong, alpha, groups, whole)
    if short := evidence.short(delta):
        return NoPromise(too_few(evidence.known, None if whole else count, short), short)
    thresholds, share = quantiles(pool if len(pool) else values)
    return tested_in_order(evidence, thresholds, share, _levels(share, evidence, delta), delta, count)


def tested_in_order(
    evidence: Evidence, thresholds: Floats, share: Floats, levels: Floats, delta: float, groups: int | None
) -> Threshold | NoPromise:
    """The loosest of some thresholds (n,), strict to loose, that the evidence holds for, or why there is none.

    Args:
        share: (n,) of the pool that each accepts.
        levels: (n,) the part of delta with which a sequence of tests begins at each.
        groups: in how many the checks come; None where each stands alone.
    """
    begun = np.cumsum(levels) > 0
    tested = evidence.test(thresholds[begun])
    held = loosest(tested.p_values, levels[begun])
    if held is None:
        return _refused(tested, evidence.to_begin(share[begun], delta), evidence.known, delta)
    limit, accepted, within = (float(of[held]) for of in (thresholds[begun], tested.accepted, tested.wrong))
    return Threshold(limit, evidence.alpha, delta, len(evidence.scores), int(accepted), int(within), groups)


def _evidence(
    values: Floats, wrong: Bools, alpha: float, groups: Sequence[Hashable] | None, whole: bool
) -> tuple[Evidence, int | None]:
    """The evidence, and in how many groups it comes; where no group has two items they are single ones."""
    rows = group_rows(groups, len(values))
    count = len(np.unique(rows))
    if count == len(values):
        return Single(values, wrong, alpha), None
    return Grouped(values, wrong, rows, int(np.bincount(rows).max()), alpha, whole), count


def too_few(n: int, groups: int | None, short: int) -> str:
    """Why so many checks, in that many groups or on their own, prove nothing whatever they found."""
    if groups is None:
        return f"{n} random checks are weighed, at least {n + short} are needed"
    weighed = f"{n} random checks in {counted(groups, 'group')} are weighed"
    return f"{weighed}, at least {short} more in other groups are needed"


def quantiles(pool: Floats) -> tuple[Floats, Floats]:
    """Distinct quantiles (n,) of a pool (m,), strict to loose, and the shares (n,) of it that they accept."""
    ordered = np.sort(pool)
    within = -(-np.arange(1, STEPS + 1) * len(pool) // STEPS)  # rounded up
    distinct = np.unique(ordered[within - 1])
    return distinct, np.searchsorted(ordered, distinct, side="right") / len(pool)


def _levels(share: Floats, evidence: Evidence, delta: float) -> Floats:
    """The part of delta with which a sequence of tests begins at each threshold, all together delta.

    The first begins where enough checks are likely; where they are nowhere, at the loosest threshold.
    """
    levels = np.zeros(len(share))
    first = _first(evidence.likely(share, FIRST * delta))
    looser = share[first] * WIDER ** np.arange(1, STEPS)
    further = np.searchsorted(share, looser[looser <= 1])
    if not len(further):
        levels[_first(evidence.likely(share, delta))] = delta
        return levels
    levels[first] = FIRST * delta
    np.add.at(levels, further, (1 - FIRST) * delta / len(further))
    return levels


def _first(likely: Bools) -> int:
    return int(likely.argmax()) if likely.any() else len(likely) - 1


def loosest(p_values: Floats, levels: Floats) -> int | None:
    """The row of the last threshold that passes, each with its own level and that of the one before it, if that passed.

    Args:
        p_values: (n,) of the thresholds, strict to loose.
        levels: (n,) the part of delta with which a sequence begins at each.
    """
    held, level = None, 0.0
    for row, p_value in enumerate(p_values):
        level += float(levels[row])
        if level > 0 and p_value <= level:
            held = row
        else:
            level = 0.0
    return held


def _refused(tested: Tested, to_begin: NDArray[np.int64], known: int, delta: float) -> NoPromise:
    """Says after how many further checks one of the thresholds could pass: all of them accepted, and right.

    The sequence must also be able to begin there, after ``to_begin`` (n,) further checks.
    """
    missing = max(1, int(np.maximum(tested.missing(delta), to_begin).min()))
    needed = too_few(known, None, missing)
    if not tested.accepted[0]:
        return NoPromise(needed, missing)
    of_them = f"{tested.wrong[0]} of the {tested.accepted[0]} most certain checked labels were wrong"
    return NoPromise(f"{of_them}; {needed}", missing)
