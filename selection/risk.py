"""The promise: under which score labels may be accepted unseen, and how sure that is.

Learn-then-Test (Angelopoulos et al. 2021, arXiv 2110.01052) with a fixed sequence of thresholds from strict to loose
and exact binomial p-values. The error rate among the accepted is not monotone in the threshold, so conformal risk
control does not apply.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import binom

from models.errors import InvalidInput

STEPS = 200  # thresholds between the strictest and the loosest


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
    n = errors + 1
    while binom.cdf(errors, n, alpha) > delta:
        n += 1
    return n


def accept_threshold(
    scores: ArrayLike, errors: ArrayLike, *, alpha: float, delta: float, pool_scores: ArrayLike
) -> Threshold | NoPromise:
    """The loosest threshold that the calibration items allow.

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
    values, wrong = checked_scores("scores", scores), np.asarray(errors, dtype=bool)
    pool = checked_scores("pool_scores", pool_scores)
    if wrong.shape != values.shape:
        raise InvalidInput(f"errors: expected shape {values.shape} as scores, got {wrong.shape}")
    if not (0 < alpha < 1 and 0 < delta < 1):
        raise InvalidInput(f"expected alpha and delta in (0, 1), got {alpha} and {delta}")
    needed = math.ceil(math.log(delta) / math.log(1 - alpha))
    if len(values) < needed:
        missing = needed - len(values)
        return NoPromise(f"{len(values)} random checks are known, at least {needed} are needed", missing)
    start = needed / len(values)  # the share at which so many calibration items are expected to be accepted
    thresholds = _sequence(pool if len(pool) else values, start)
    order = np.argsort(values, kind="stable")
    accepted = np.searchsorted(values[order], thresholds, side="right")
    wrong_within = np.concatenate([[0], np.cumsum(wrong[order])])[accepted]
    passed = (accepted > 0) & (binom.cdf(wrong_within, accepted, alpha) <= delta)
    held = len(passed) if passed.all() else int(np.argmin(passed))
    if held == 0:
        return _refused(int(wrong_within[0]), int(accepted[0]), alpha, delta)
    last = held - 1
    return Threshold(float(thresholds[last]), alpha, delta, len(values), int(accepted[last]), int(wrong_within[last]))


def checked_scores(name: str, scores: ArrayLike) -> NDArray[np.float64]:
    """Scores (n,) as float64.

    Raises:
        InvalidInput: not one-dimensional, or a value that is not in [0, 1], naming its index.
    """
    values = np.asarray(scores, dtype=np.float64)
    if values.ndim != 1:
        raise InvalidInput(f"{name}: expected shape (n,), got {values.shape}")
    outside = np.flatnonzero(~((values >= 0) & (values <= 1)))
    if len(outside):
        raise InvalidInput(f"{name}[{outside[0]}]: expected a number in [0, 1], got {values[outside[0]]}")
    return values


def _sequence(pool: NDArray[np.float64], start: float) -> NDArray[np.float64]:
    """Distinct quantiles of the pool from the share ``start`` to all of it, strict to loose."""
    return np.unique(np.quantile(pool, np.linspace(min(start, 1.0), 1.0, STEPS), method="higher"))


def _refused(k: int, n: int, alpha: float, delta: float) -> NoPromise:
    needed = checks_needed(alpha, delta, k)
    of_them = f"{k} of the {n} most certain checked labels were wrong"
    return NoPromise(f"{of_them}; a promise needs {needed} with no more errors", max(0, needed - n))
