"""From a model's raw doubt to ``p_error``: the probability that a person would change something that matters.

A calibrator is learnt from corrections of items drawn at random. Its curve is a line of straight pieces on the log-odds
scale, strictly increasing, so it never changes which of two items is the surer one. Where an item's features tell more
than its score, trees on both answer instead: ``p_error`` is for display, for cost and for the order of work, while the
promise speaks of the score alone.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import isotonic_regression
from scipy.special import expit, logit

from models.arrays import Bools, Floats
from models.errors import InvalidInput
from models.platt import line, targets_of
from models.reliability import checked_errors, checked_scores
from selection.boosting import Features, Table, Trees, grow, shared_names, table_of
from selection.checks import group_rows

Method: TypeAlias = Literal["identity", "isotonic", "logistic", "boosted"]
Groups: TypeAlias = Sequence[Hashable]
Knots: TypeAlias = tuple[tuple[float, float], ...]

MINIMUM = 30  # corrections below which nothing is learnt
BOOSTED_MINIMUM = 100  # wrong and right ones each below which trees are not tried
FOLDS = 5
_EDGE = 1e-6  # scores keep this distance from 0 and 1, where log-odds end
_LEAST_SLOPE = 1e-4  # in log-odds of p_error for one of the score: the order of items is never lost
_LOWEST, _HIGHEST = float(logit(_EDGE)), float(logit(1 - _EDGE))  # log-odds of the scores 0 and 1


def _require(holds: bool, field: str, expected: str, got: object) -> None:
    if not holds:
        raise InvalidInput(f"calibrator.{field}: expected {expected}, got {str(got)[:200]}")


@dataclass(frozen=True)
class Calibrator:
    """From score, and features where they help, to ``p_error`` in [0, 1].

    ``n`` is the number of corrections it rests on, ``errors`` how many of them changed something. ``knots`` are pairs
    (log-odds of the score, log-odds of p_error) from score 0 to score 1; the identity has none. ``trees`` are those of
    the boosted method; they stay within what so many corrections can tell (``models.platt``).
    """

    method: Method
    n: int
    errors: int
    knots: Knots = ()
    trees: Trees | None = None

    def __post_init__(self) -> None:
        _require(self.method in get_args(Method), "method", f"one of {get_args(Method)}", self.method)
        _require(0 <= self.errors <= self.n, "errors", f"a number from 0 to n = {self.n}", self.errors)
        boosted = self.method == "boosted"
        _require((self.trees is not None) == boosted, "trees", "some if boosted, else none", self.trees)
        if self.method == "identity":
            _require(not self.knots, "knots", "none for the identity", self.knots)
            return
        finite = all(math.isfinite(x) and math.isfinite(y) for x, y in self.knots)
        rising = all(x0 < x1 and y0 < y1 for (x0, y0), (x1, y1) in pairwise(self.knots))
        _require(len(self.knots) >= 2 and finite and rising, "knots", "at least 2 finite, rising pairs", self.knots)

    def p_error(self, scores: ArrayLike, features: Features | None = None) -> Floats:
        """The probability (n,) that a person would change something, for scores (n,) in [0, 1].

        Where ``features`` (n,) are not given, the curve on the score answers.

        Raises:
            InvalidInput: naming the first score that is not in [0, 1], or a feature that is not there.
        """
        checked = checked_scores("scores", scores)
        if self.trees is not None and features is not None:
            least, most = _told_by(self.n, self.errors)
            table = table_of(self.trees.names, checked, features)
            return np.asarray(expit(np.clip(self.trees.log_odds(table), least, most)))
        return _curve(self.knots, checked) if self.knots else checked

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; ``from_json`` loses nothing of them."""
        kept = {"method": self.method, "n": self.n, "errors": self.errors, "knots": [list(knot) for knot in self.knots]}
        return kept if self.trees is None else {**kept, "trees": self.trees.to_json()}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Calibrator":
        """The calibrator that ``to_json`` wrote.

        Raises:
            InvalidInput: it is not one.
        """
        try:
            knots = tuple((float(x), float(y)) for x, y in values["knots"])
            trees = Trees.from_json(values["trees"]) if values.get("trees") else None
            return cls(values["method"], int(values["n"]), int(values["errors"]), knots, trees)
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, InvalidInput):
                raise
            expected = "expected method, n, errors and knots"
            raise InvalidInput(f"calibrator: {expected}, got {str(dict(values))[:200]}") from error


IDENTITY = Calibrator("identity", 0, 0)  # what is used before anything is learnt: p_error = score


def fit(
    scores: ArrayLike,
    errors: ArrayLike,
    *,
    features: Features | None = None,
    groups: Groups | None = None,
) -> Calibrator:
    """Learns a calibrator from corrected items; the answer does not depend on their order.

    Isotonic or logistic, or boosted trees where there are ``features`` and corrections enough for them, whichever has
    the lower log loss in cross-validation. Whole groups are held out, so that nothing is known from an item's
    neighbours that would not be known of a new clip or speaker. Trees need hundreds of both kinds (van der Ploeg,
    Austin and Steyerberg 2014, "Modern modelling techniques are data hungry"): grown on 62 errors of mixed material
    they ranked new speakers' words worse than the score alone, whatever cross-validation had said. With errors in none
    or all of the items there is nothing to shape a curve by: logistic, nearly flat at Laplace's 1 / (n + 2) or its
    complement.

    Args:
        scores: (n,) raw doubt in [0, 1].
        errors: (n,) bool, whether a person changed something. The items must be a random sample.
        features: (n,) numbers of each item by name.
        groups: (n,) what an item shares with others (clip, speaker); None is a group of its own.

    Raises:
        InvalidInput: fewer than ``MINIMUM`` corrections, or naming the first score that is not in [0, 1].
    """
    x, wrong = checked_scores("scores", scores), checked_errors(errors, scores)
    if len(x) < MINIMUM:
        raise InvalidInput(f"calibration: expected at least {MINIMUM} corrections, got {len(x)}")
    sample = _sample(x, wrong, features, groups)
    losses = _losses(sample)
    curve = min(_CURVES, key=lambda method: losses[method])
    knots = _CURVES[curve](sample.x, sample.wrong)
    if losses["boosted"] < losses[curve]:
        trees = grow(sample.names, sample.table, sample.wrong)
        return Calibrator("boosted", len(x), int(wrong.sum()), knots, trees)
    return Calibrator(curve, len(x), int(wrong.sum()), knots)


@dataclass(frozen=True, eq=False)
class _Sample:
    """The corrections (n,) in an order that only what they are decides: log-odds ``x`` of the score, the ``table`` of
    features by ``names``, and the ``group``, counted from 0 on in the order of what is in it."""

    x: Floats
    wrong: Bools
    names: tuple[str, ...]
    table: Table
    group: NDArray[np.int64]


def _sample(scores: Floats, wrong: Bools, features: Features | None, groups: Groups | None) -> _Sample:
    names = shared_names(features or ())
    table = table_of(names, scores, [{}] * len(scores) if features is None else features)
    order = np.lexsort((*table.T[:0:-1], wrong, scores))
    rows = np.column_stack((scores, table, wrong))[order]
    unlike = np.cumsum((rows != np.roll(rows, 1, axis=0)).any(axis=1))  # equal items have equal numbers
    of, members = group_rows(groups, len(scores))[order].tolist(), defaultdict[int, list[int]](list)
    for one, number in zip(of, unlike.tolist(), strict=True):
        members[one].append(number)
    place = {one: number for number, one in enumerate(sorted(members, key=members.__getitem__))}
    group = np.array([place[one] for one in of], np.int64)
    return _Sample(_log_odds(scores[order]), wrong[order], names, table[order], group)


def _log_odds(scores: Floats) -> Floats:
    return np.asarray(logit(_EDGE + (1 - 2 * _EDGE) * scores))


def _curve(knots: Knots, scores: Floats) -> Floats:
    """p_error (n,): each step below keeps the order of its numbers, rounding included."""
    at, values = np.array(knots).T
    x = np.clip(_log_odds(scores), at[0], at[-1])
    right = np.clip(np.searchsorted(at, x, side="right"), 1, len(at) - 1)
    left = right - 1
    share = (x - at[left]) / (at[right] - at[left])
    return np.asarray(expit(np.minimum(values[left] + share * (values[right] - values[left]), values[right])))


def _losses(sample: _Sample) -> dict[Method, float]:
    """The cross-validated log loss of each method, infinite where it is not tried; logistic is the first.

    Items are sorted. Each fold is a fixed random fifth of the groups with an error and of those without: were it every
    fifth in order, the held-out items would follow from their neighbours, and the curve with more bends would always
    seem better.
    """
    wrong, fold = sample.wrong, _folds(sample)
    losses: dict[Method, float] = {"logistic": 0.0, "isotonic": math.inf, "boosted": math.inf}
    if wrong.all() or not wrong.any() or fold.max() == 0:
        return losses
    tried: list[Method] = ["logistic", "isotonic", *(("boosted",) if _may_boost(sample, fold) else ())]
    for method in tried:
        losses[method] = 0.0
        for held_out in (fold == k for k in range(fold.max() + 1)):
            z = _held_out(method, sample, held_out)
            losses[method] += float((np.logaddexp(0, z) - wrong[held_out] * z).sum())
    return losses


def _held_out(method: Method, sample: _Sample, held_out: Bools) -> Floats:
    """Log-odds of an error of the held-out items, by what the others teach."""
    wrong = sample.wrong[~held_out]
    if method != "boosted":
        at, values = np.array(_CURVES[method](sample.x[~held_out], wrong)).T
        return np.asarray(np.interp(sample.x[held_out], at, values))
    trees = grow(sample.names, sample.table[~held_out], wrong)
    least, most = _told_by(len(wrong), int(wrong.sum()))
    return np.asarray(np.clip(trees.log_odds(sample.table[held_out]), least, most))


def _folds(sample: _Sample) -> NDArray[np.intp]:
    """The fold of each item (n,)."""
    groups = int(sample.group.max()) + 1
    has_error = np.bincount(sample.group, sample.wrong, groups) > 0
    fold, rng = np.zeros(groups, np.intp), np.random.default_rng(0)
    for kind in (True, False):
        fold[has_error == kind] = rng.permutation((has_error == kind).sum()) % FOLDS
    return fold[sample.group]


def _may_boost(sample: _Sample, fold: NDArray[np.intp]) -> bool:
    """Whether trees are tried: there are features, and enough corrections of both kinds, some in every part."""
    wrong, n = sample.wrong, len(sample.wrong)
    parts = [wrong[fold != k] for k in range(fold.max() + 1)]
    enough = min(wrong.sum(), n - wrong.sum()) >= BOOSTED_MINIMUM
    return bool(sample.names) and bool(enough) and all(part.any() and not part.all() for part in parts)


def _told_by(n: int, errors: int) -> tuple[float, float]:
    """The least and the most log-odds of an error of which so many corrections can tell (``models.platt``)."""
    return float(logit(1 / (n - errors + 2))), float(logit((errors + 1) / (errors + 2)))


def _isotonic(x: Floats, wrong: Bools) -> Knots:
    """Centred isotonic regression: each flat stretch counts at its centre only, so that the line never rests.

    Source: Oron and Flournoy 2017, "Centered Isotonic Regression".
    """
    places, rows, counts = np.unique(x, return_inverse=True, return_counts=True)
    means = np.bincount(rows, targets_of(wrong)) / counts
    blocks = isotonic_regression(means, weights=counts).blocks
    sizes = np.add.reduceat(counts, blocks[:-1])
    centres = np.add.reduceat(counts * places, blocks[:-1]) / sizes
    return _rising(centres, logit(np.add.reduceat(counts * means, blocks[:-1]) / sizes))


def _logistic(x: Floats, wrong: Bools) -> Knots:
    """Logistic regression of the errors on the log-odds of the score (Platt 1999), never falling.

    It stays within the targets: beyond them lies nothing that so few items can tell.
    """
    targets = targets_of(wrong)
    spread = float(x.std())
    if spread == 0 or targets.min() == targets.max():
        return _rising(x[:1], logit(targets.mean(keepdims=True)))
    u = (x - x.mean()) / spread

    slope, intercept = line(u, targets, start=(1.0, float(logit(targets.mean()))))  # more doubt, never fewer errors
    least, most = logit(targets.min()), logit(targets.max())
    bends = (np.array([least, most]) - intercept) / max(slope, _LEAST_SLOPE)  # where the line leaves what n can tell
    at = np.unique(np.clip(bends, u[0], u[-1]))
    return _rising(at * spread + x.mean(), np.clip(slope * at + intercept, least, most))


def _rising(x: Floats, y: Floats) -> Knots:
    """Knots through (x, y), nearly level where nothing was seen, and rising everywhere by the least slope or more."""
    at = np.unique(np.concatenate([[_LOWEST], x, [_HIGHEST]]).round(6))  # so far apart that rounding hides no rise
    values = np.maximum.accumulate(np.interp(at, x, y))
    return tuple(zip(at.tolist(), (values + _LEAST_SLOPE * (at - x.mean())).tolist(), strict=True))


_CURVES: dict[Method, Callable[[Floats, Bools], Knots]] = {"logistic": _logistic, "isotonic": _isotonic}
