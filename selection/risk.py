"""The threshold under which labels may be accepted unseen, with its guarantee.

Learn-then-Test with a fixed sequence and exact binomial p-values (Angelopoulos et al. 2021, "Learn then Test"). The
error rate among the accepted does not rise steadily with the threshold, so conformal risk control does not apply.

The promise: with probability at least 1 - delta over the draw of the random checks, the share of wrong labels among
those that the threshold accepts is at most alpha. It holds for the model version that was checked, if a missed object
counts as an error and the checked items are independent and drawn at random from all items, never chosen by a
strategy. Frames of one clip and utterances of one speaker are not independent.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import bdtr, bdtrc

from models.errors import InvalidInput
from selection.calibration import labelled_scores, unit_scores

Counts: TypeAlias = NDArray[np.int64]

STEPS = 200  # thresholds to try at most: quantiles of the unlabelled scores
SURE_START = 0.95  # probability that the first threshold meets as many checks as its test needs


@dataclass(frozen=True)
class Threshold:
    """Accept where score <= ``threshold``: with probability 1 - ``delta``, at most a share ``alpha`` of that is wrong.

    It rests on ``n`` random checks; the threshold accepts ``accepted`` of them, and ``errors`` of those were wrong.
    """

    threshold: float
    alpha: float
    delta: float
    n: int
    accepted: int
    errors: int

    def __post_init__(self) -> None:
        _require_rates(self.alpha, self.delta)
        unit_scores([self.threshold], "promise")
        if not 0 <= self.errors <= self.accepted <= self.n:
            got = f"{self.errors}, {self.accepted}, {self.n}"
            raise InvalidInput(f"promise: expected 0 <= errors <= accepted <= n, got {got}")


@dataclass(frozen=True)
class NoPromise:
    """Nothing may be accepted unseen. ``reason`` says why in one sentence.

    It rests on ``n`` random checks; at least ``missing`` more are needed, and more than that if they show errors.
    """

    reason: str
    alpha: float
    delta: float
    n: int
    missing: int

    def __post_init__(self) -> None:
        _require_rates(self.alpha, self.delta)
        if not self.reason or self.n < 0 or self.missing < 1:
            raise InvalidInput(f"promise: expected a reason, n >= 0 and missing >= 1, got {self}")


Promise: TypeAlias = Threshold | NoPromise


def accept_threshold(
    scores: ArrayLike, errors: ArrayLike, *, alpha: float, delta: float, pool_scores: ArrayLike
) -> Promise:
    """The loosest threshold that the random checks support, or why there is none.

    Thresholds are quantiles of the unlabelled scores, tested from strict to loose until the first fails. The first is
    where enough accepted checks are expected for its test to pass if none of them is wrong (``least_checks``), and so
    many more that chance leaves too few in one case of twenty only: started exactly there, half of all calibrations
    fail for one check too few. The start depends on no label, so the guarantee is untouched. Equal scores stand and
    fall together.

    Args:
        scores: (n,) in [0, 1] of the random checks: what the threshold will be compared with.
        errors: (n,) bool, whether a person changed something.
        alpha: share of wrong labels allowed among the accepted, in (0, 1).
        delta: probability that the promise may fail, in (0, 1).
        pool_scores: (m,) in [0, 1] of items for which nobody's answer is looked at.

    Raises:
        InvalidInput: naming the first score that is not in [0, 1], or a rate that is not in (0, 1).
    """
    _require_rates(alpha, delta)
    checked, wrong = labelled_scores(scores, errors, "random checks")
    pool = np.sort(unit_scores(pool_scores, "pool"))
    if not len(pool):
        return NoPromise("there are no unlabelled scores to set a threshold by", alpha, delta, len(checked), 1)
    quantiles = np.quantile(pool, np.arange(1, STEPS + 1) / STEPS, method="inverted_cdf")
    grid = np.unique(quantiles)
    share = np.searchsorted(pool, grid, side="right") / len(pool)
    accepted, failed = _met(checked, wrong, grid)
    needed = int(least_checks(alpha, delta))
    start = _start(share, len(checked), needed)
    refused = bdtr(failed, accepted, alpha) > delta
    if len(checked) < needed or refused[start]:
        missing = _missing(share, accepted, failed, len(checked), alpha, delta)
        return _no_promise(alpha, delta, len(checked), int(accepted[start]), int(failed[start]), missing)
    stops = np.flatnonzero(refused[start:])
    last = start + int(stops[0]) - 1 if len(stops) else len(grid) - 1
    return Threshold(float(grid[last]), alpha, delta, len(checked), int(accepted[last]), int(failed[last]))


def least_checks(alpha: float, delta: float, errors: ArrayLike = 0) -> Counts:
    """How many accepted checks a test needs to pass in spite of so many errors, in the shape of ``errors``.

    It is the least N with P(Bin(N, alpha) <= errors) <= delta.
    """
    _require_rates(alpha, delta)
    k = np.asarray(errors, np.int64)
    fails, passes = k.copy(), k + 1
    while (short := bdtr(k, passes, alpha) > delta).any():
        fails, passes = np.where(short, passes, fails), np.where(short, 2 * passes, passes)
    while (passes - fails > 1).any():
        middle = (fails + passes) // 2
        short = bdtr(k, middle, alpha) > delta
        fails, passes = np.where(short, middle, fails), np.where(short, passes, middle)
    return np.asarray(passes, np.int64)


def from_json(values: Mapping[str, Any]) -> Promise:
    """The promise that ``to_json`` wrote.

    Raises:
        InvalidInput: it is not one.
    """
    try:
        return Threshold(**values) if "threshold" in values else NoPromise(**values)
    except TypeError as error:
        expected = "expected the fields of Threshold or NoPromise"
        raise InvalidInput(f"promise: {expected}, got {str(dict(values))[:200]}") from error


def to_json(promise: Promise) -> dict[str, Any]:
    """Plain JSON values."""
    return asdict(promise)


def _met(scores: NDArray[np.float64], wrong: NDArray[np.bool_], grid: NDArray[np.float64]) -> tuple[Counts, Counts]:
    """How many checks each threshold accepts, and how many of those are wrong."""
    order = np.argsort(scores, kind="stable")
    errors_below = np.concatenate([[0], np.cumsum(wrong[order])])
    accepted = np.searchsorted(scores[order], grid, side="right")
    return accepted, errors_below[accepted]


def _start(share: NDArray[np.float64], n: int, needed: int) -> int:
    """The first threshold likely to accept ``needed`` of ``n`` checks; the loosest where none is."""
    if n < needed:
        return len(share) - 1
    likely = bdtrc(needed - 1, n, share) >= SURE_START
    return int(likely.argmax()) if likely.any() else len(share) - 1


def _missing(share: NDArray[np.float64], accepted: Counts, failed: Counts, n: int, alpha: float, delta: float) -> int:
    """The fewest further checks after which some threshold could pass.

    That is, if all of them are accepted and right, and there are enough for the sequence to begin there.
    """
    kinds, rows = np.unique(failed, return_inverse=True)
    to_pass = least_checks(alpha, delta, kinds)[rows] - accepted
    to_begin = np.ceil(int(least_checks(alpha, delta)) / share).astype(np.int64) - n
    return max(1, int(np.maximum(to_pass, to_begin).min()))


def _no_promise(alpha: float, delta: float, n: int, accepted: int, errors: int, missing: int) -> NoPromise:
    found = (
        f"{errors} wrong among the surest {accepted} of {n} random checks" if errors else f"{n} random checks so far"
    )
    reason = f"{found}, at least {missing} more are needed (alpha {percent(alpha)}, delta {percent(delta)})"
    return NoPromise(reason, alpha, delta, n, missing)


def percent(share: float) -> str:
    """A share as a person reads it: ``2 %``, ``0.5 %``."""
    return f"{100 * share:.4g} %"


def _require_rates(alpha: float, delta: float) -> None:
    for name, rate in (("alpha", alpha), ("delta", delta)):
        if not 0 < rate < 1:
            raise InvalidInput(f"promise: expected {name} in (0, 1), got {rate}")
