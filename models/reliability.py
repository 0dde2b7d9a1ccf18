"""Whether doubt is true: how well it ranks the wrong labels, how honest its probabilities are, and how sure that is.

An item's ``score`` or ``p_error`` lies in [0, 1], higher meaning less sure; its ``error`` says whether its label was
wrong. Where a figure has no meaning (nothing measured, or errors in none or all of the items where it compares the
two) it is None, never a number that looks like one.
"""

import math
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaincinv

from models.arrays import Bools, Floats
from models.errors import InvalidInput

Rows: TypeAlias = NDArray[np.intp]
Statistic: TypeAlias = Callable[..., float | None]
Interval: TypeAlias = tuple[float, float]

BINS = 15  # of equal width, as in Guo et al. 2017
ROUNDS = 1000
LEVEL = 0.95
_EDGE = 1e-7  # probabilities keep this distance from 0 and 1 in a logarithm: one mistake never costs infinitely much


@dataclass(frozen=True)
class ReliabilityBin:
    """The ``n`` >= 1 items with ``low`` < p_error <= ``high`` (from 0 on in the first): what was said, what was so."""

    low: float
    high: float
    n: int
    p_error: float  # mean
    error_rate: float


@dataclass(frozen=True)
class RiskCoverage:
    """The error rate among the surest k of n items, for k = 1..n.

    ``coverage`` (n,) is k / n, ``risk`` (n,) the error rate, ``threshold`` (n,) the score of the k-th item. Equal
    scores have no order: ``risk`` is its mean over all orders they could have.
    """

    coverage: Floats
    risk: Floats
    threshold: Floats

    @property
    def area(self) -> float | None:
        """Mean risk over all coverages (AURC, Geifman et al. 2019), in [0, 1], lower is better; None for no items."""
        return float(self.risk.mean()) if len(self.risk) else None


def auroc(scores: ArrayLike, errors: ArrayLike) -> float | None:
    """The probability that a wrong label has a higher score than a right one; equal scores count one half.

    None where the labels are all right, all wrong or none. Source: Mann-Whitney U with mid-ranks.

    Args:
        scores: (n,) in [0, 1].
        errors: (n,) bool.

    Raises:
        InvalidInput: shapes, ranges or a NaN, naming its index.
    """
    values, wrong = _checked("scores", scores, errors)
    n_wrong = int(wrong.sum())
    n_right = len(wrong) - n_wrong
    if not n_wrong or not n_right:
        return None
    _, kinds, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[kinds]
    return float((ranks[wrong].sum() - n_wrong * (n_wrong + 1) / 2) / (n_wrong * n_right))


def ece(p_error: ArrayLike, errors: ArrayLike, bins: int = BINS) -> float | None:
    """Expected calibration error: the mean over items of |mean p_error - error rate| of their bin; None for no items.

    Source: Guo et al. 2017, section 2; arguments and errors as ``reliability_bins``.
    """
    said, wrong = _checked("p_error", p_error, errors)
    return calibration_gap(said, wrong.astype(np.float64), bins)


def calibration_gap(said: Floats, so: Floats, bins: int) -> float | None:
    """The mean over items of |mean ``said`` - mean ``so``| of their bin, both (n,) in [0, 1]; None for no items."""
    if not len(said):
        return None
    rows = _bins(said, bins)
    return float(np.abs(np.bincount(rows, said) - np.bincount(rows, so)).sum() / len(said))


def reliability_bins(p_error: ArrayLike, errors: ArrayLike, bins: int = BINS) -> tuple[ReliabilityBin, ...]:
    """The bins of equal width over [0, 1] that hold items, in order: what a reliability diagram draws.

    Args:
        p_error: (n,) in [0, 1].
        errors: (n,) bool.
        bins: at least 1; an item on an edge falls in the lower one.

    Raises:
        InvalidInput: shapes, ranges or a NaN, naming its index.
    """
    said, wrong = _checked("p_error", p_error, errors)
    edges, rows = np.linspace(0, 1, bins + 1), _bins(said, bins)
    counts = np.bincount(rows, minlength=bins)
    sums, wrongs = np.bincount(rows, said, bins), np.bincount(rows, wrong, bins)
    return tuple(
        ReliabilityBin(float(edges[i]), float(edges[i + 1]), int(n), float(sums[i] / n), float(wrongs[i] / n))
        for i, n in enumerate(counts)
        if n
    )


def nce(p_error: ArrayLike, errors: ArrayLike) -> float | None:
    """Normalised cross entropy: the share of the uncertainty about right and wrong that p_error takes away.

    1 for perfect knowledge, 0 for saying the error rate of all, below 0 for worse. It is the same of errors as of
    confidences 1 - p_error, which the speech field speaks of. None where there is no uncertainty: the labels are all
    right, all wrong or none. Source: Siu and Gish 1999; arguments and errors as ``ece``.
    """
    said, wrong = _checked("p_error", p_error, errors)
    if not wrong.any() or wrong.all():
        return None
    rate = np.full(len(wrong), wrong.mean())
    return 1 - _cross_entropy(said, wrong) / _cross_entropy(rate, wrong)


def risk_coverage(scores: ArrayLike, errors: ArrayLike) -> RiskCoverage:
    """What accepting the surest items costs; empty for no items. Arguments and errors as ``auroc``."""
    values, wrong = _checked("scores", scores, errors)
    levels, kinds, counts = np.unique(values, return_inverse=True, return_counts=True)
    wrongs = np.bincount(kinds, wrong, len(levels))
    level = np.repeat(np.arange(len(levels)), counts)  # of the k-th item
    accepted = np.arange(1, len(values) + 1)
    before = np.cumsum(counts) - counts
    expected = (np.cumsum(wrongs) - wrongs)[level] + (accepted - before[level]) * (wrongs / counts)[level]
    return RiskCoverage(accepted / len(values), expected / accepted, levels[level])


def aurc(scores: ArrayLike, errors: ArrayLike) -> float | None:
    """The area under ``risk_coverage``."""
    return risk_coverage(scores, errors).area


def most_errors(errors: int, n: int, delta: float = 0.05) -> float:
    """The error rate is at most this, with probability 1 - delta, where ``errors`` of ``n`` independent ones are wrong.

    In (0, 1]; 1 where nothing was looked at. Source: Clopper and Pearson 1934, the exact upper bound, one-sided.

    Raises:
        InvalidInput: more errors than items, or fewer than none.
    """
    if not 0 <= errors <= n:
        raise InvalidInput(f"errors: expected a number from 0 to n = {n}, got {errors}")
    return float(betaincinv(errors + 1, n - errors, 1 - delta)) if errors < n else 1.0


def interval(
    statistic: Statistic,
    *arrays: ArrayLike,
    rng: np.random.Generator,
    groups: Sequence[Hashable] | None = None,
    rounds: int = ROUNDS,
) -> Interval | None:
    """The interval that holds ``LEVEL`` of a statistic's values over bootstrap samples: their percentiles.

    Samples in which the statistic is None (one class only, say) are left out; where it is None for the data
    themselves, or there are no items, there is no interval. Source: Efron and Tibshirani 1993, chapter 13.

    Args:
        statistic: of the arrays, resampled alike; a number or None.
        arrays: (n, ..) each, a row an item.
        rng: decides the samples.
        groups: (n,) what each item shares with its neighbours: whole groups are drawn. None is a group of its own.
        rounds: number of samples.

    Raises:
        InvalidInput: unequal lengths, or a statistic that is NaN.
    """
    columns = [np.asarray(array) for array in arrays]
    lengths = {len(column) for column in columns} | ({len(groups)} if groups is not None else set())
    if len(lengths) != 1:
        raise InvalidInput(f"bootstrap: expected arrays and groups of one length, got {sorted(lengths)}")
    n = lengths.pop()
    if not n or _value(statistic, columns) is None:
        return None
    draws = [_value(statistic, [c[rows] for c in columns]) for rows in _samples(n, groups, rng, rounds)]
    known = [draw for draw in draws if draw is not None]
    if not known:
        return None
    low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def checked_scores(name: str, scores: ArrayLike) -> Floats:
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


def checked_errors(errors: ArrayLike, scores: ArrayLike) -> Bools:
    """Whether a person changed something, (n,) bool, one for each score.

    Raises:
        InvalidInput: another shape, or no truth values.
    """
    wrong, shape = np.asarray(errors), np.shape(scores)
    if wrong.shape != shape:
        raise InvalidInput(f"errors: expected shape {shape} as scores, got {wrong.shape}")
    if wrong.dtype != np.bool_ and wrong.size:  # an empty list has no type of its own
        raise InvalidInput(f"errors: expected bool, got {wrong.dtype}")
    return wrong.astype(np.bool_)


def _checked(name: str, scores: ArrayLike, errors: ArrayLike) -> tuple[Floats, Bools]:
    return checked_scores(name, scores), checked_errors(errors, scores)


def _bins(said: Floats, bins: int) -> Rows:
    """The bin of each probability (n,), of equal width; one on an edge falls in the lower bin."""
    if bins < 1:
        raise InvalidInput(f"bins: expected at least 1, got {bins}")
    return np.searchsorted(np.linspace(0, 1, bins + 1)[1:-1], said, side="left")


def _cross_entropy(said: Floats, wrong: Bools) -> float:
    """Of p_error (n,) with what was so (n,), in nats an item."""
    kept = np.clip(said, _EDGE, 1 - _EDGE)
    return float(-np.log(np.where(wrong, kept, 1 - kept)).mean())


def _value(statistic: Statistic, columns: Sequence[NDArray[Any]]) -> float | None:
    value = statistic(*columns)
    if value is not None and math.isnan(value):
        raise InvalidInput("bootstrap: expected a statistic that is a number or None, got nan")
    return value


def _samples(n: int, groups: Sequence[Hashable] | None, rng: np.random.Generator, rounds: int) -> Iterator[Rows]:
    """Rows (about n,) of each bootstrap sample."""
    if groups is None:
        yield from (rng.integers(n, size=n) for _ in range(rounds))
        return
    members: dict[Hashable, list[int]] = {}
    for row, group in enumerate(groups):
        members.setdefault(("alone", row) if group is None else ("group", group), []).append(row)
    rows = [np.array(each, np.intp) for each in members.values()]
    yield from (np.concatenate([rows[i] for i in rng.integers(len(rows), size=len(rows))]) for _ in range(rounds))
