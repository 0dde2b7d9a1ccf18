"""The promise: under which score labels may be accepted unseen, and how sure that is.

Learn-then-Test (Angelopoulos et al. 2021, arXiv 2110.01052) with a fixed sequence of thresholds from strict to loose
and exact binomial p-values. The error rate among the accepted is not monotone in the threshold, so conformal risk
control does not apply.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import bdtr, bdtrc

from models.errors import InvalidInput
from models.reliability import checked_errors, checked_scores

Counts: TypeAlias = NDArray[np.int64]

STEPS = 200  # thresholds between the strictest and the loosest
SURE_START = 0.95  # probability that the strictest accepts as many checks as its test needs


@dataclass(frozen=True)
class Threshold:
    """Accept where score <= ``threshold``.

    With probability 1 - ``delta`` over the draw of the ``n`` calibration items, at most a share ``alpha`` of what is
    accepted is wrong. ``accepted`` of them lie within the threshold, ``errors`` of those are wrong.
    """

    threshold: float
    alpha: float
    delta: float
    n: int
    accepted: int
    errors: int


@dataclass(frozen=True)
class NoPromise:
    """No threshold can be promised, and why; ``missing`` more random checks are needed at the very least."""

    reason: str
    missing: int = 0


def checks_needed(alpha: float, delta: float, errors: int = 0) -> int:
    """The fewest accepted calibration items that allow a promise with that many errors among them."""
    return int(_needed(alpha, delta, np.array(errors, np.int64)))


def accept_threshold(
    scores: ArrayLike, errors: ArrayLike, *, alpha: float, delta: float, pool_scores: ArrayLike
) -> Threshold | NoPromise:
    """The loosest threshold that the calibration items allow.

    Thresholds are tested from strict to loose until the first fails. The first is where enough accepted items are
    expected for its test to pass if none is wrong (``checks_needed``), and so many more that chance leaves too few in
    one case of twenty only: begun exactly there, half of all calibrations fail for one item too few. The start depends
    on no label, so the promise is untouched. Equal scores stand and fall together.

    Args:
        scores: (n,) in [0, 1], of items drawn at random, never chosen by their score.
        errors: (n,) bool, whether a person changed something that matters.
        alpha: the share of wrong labels allowed among the accepted, in (0, 1).
        delta: the probability with which the promise may fail, in (0, 1).
        pool_scores: (m,) of unlabelled items; their quantiles are the thresholds tried. Where there are none the
            calibration scores stand for them.

    Raises:
        InvalidInput: shapes, ranges or a NaN, naming its index.
    """
    values, wrong = checked_scores("scores", scores), checked_errors(errors, scores)
    pool = checked_scores("pool_scores", pool_scores)
    if not (0 < alpha < 1 and 0 < delta < 1):
        raise InvalidInput(f"expected alpha and delta in (0, 1), got {alpha} and {delta}")
    n, needed = len(values), checks_needed(alpha, delta)
    if n < needed:
        return NoPromise(f"{n} random checks are known, at least {needed} are needed", needed - n)
    thresholds, share = _sequence(pool if len(pool) else values, n, needed)
    order = np.argsort(values, kind="stable")
    accepted = np.searchsorted(values[order], thresholds, side="right")
    wrong_within = np.concatenate([[0], np.cumsum(wrong[order])])[accepted]
    passed = bdtr(wrong_within, accepted, alpha) <= delta
    held = len(passed) if passed.all() else int(np.argmin(passed))
    if held == 0:
        missing = _missing(share, accepted, wrong_within, n, alpha, delta)
        of_them = f"{wrong_within[0]} of the {accepted[0]} most certain checked labels were wrong"
        return NoPromise(f"{of_them}; at least {missing} more random checks are needed", missing)
    last = held - 1
    return Threshold(float(thresholds[last]), alpha, delta, n, int(accepted[last]), int(wrong_within[last]))


def _sequence(pool: NDArray[np.float64], n: int, needed: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Distinct quantiles of the pool, strict to loose, and the shares of the pool that they accept.

    The first is likely to accept ``needed`` of ``n`` random items; where none is, the loosest stands alone.
    """
    quantiles = np.unique(np.quantile(pool, np.arange(1, STEPS + 1) / STEPS, method="inverted_cdf"))
    share = np.searchsorted(np.sort(pool), quantiles, side="right") / len(pool)
    likely = bdtrc(needed - 1, n, share) >= SURE_START
    start = int(likely.argmax()) if likely.any() else len(quantiles) - 1
    return quantiles[start:], share[start:]


def _needed(alpha: float, delta: float, errors: Counts) -> Counts:
    """The least N with P(Bin(N, alpha) <= errors) <= delta, by bisection, for each of ``errors``."""
    fails, passes = errors, errors + 1
    while (short := bdtr(errors, passes, alpha) > delta).any():
        fails, passes = np.where(short, passes, fails), np.where(short, 2 * passes, passes)
    while (passes - fails > 1).any():
        middle = (fails + passes) // 2
        short = bdtr(errors, middle, alpha) > delta
        fails, passes = np.where(short, middle, fails), np.where(short, passes, middle)
    return passes


def _missing(share: NDArray[np.float64], accepted: Counts, wrong: Counts, n: int, alpha: float, delta: float) -> int:
    """The fewest further checks after which one of the thresholds could pass: all of them accepted, and right.

    The sequence must also be able to begin there.
    """
    kinds, rows = np.unique(wrong, return_inverse=True)
    to_pass = _needed(alpha, delta, kinds)[rows] - accepted
    to_begin = np.ceil(checks_needed(alpha, delta) / share).astype(np.int64) - n
    return max(1, int(np.maximum(to_pass, to_begin).min()))
