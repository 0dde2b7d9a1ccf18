"""From a model's raw doubt to the probability that a person would change something."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from models.errors import InvalidInput
from selection.risk import checked_scores

MINIMUM = 30  # corrections
FOLDS = 5
_GRID = np.linspace(0, 1, 257)

Method: TypeAlias = Literal["identity", "constant", "isotonic", "logistic"]
Curve: TypeAlias = Callable[[NDArray[np.float64]], NDArray[np.float64]]


@dataclass(frozen=True)
class Calibrator:
    """A rising curve from score to p_error through the knots (``scores``, ``p_errors``), straight between them.

    ``n`` is the number of corrections it rests on; 0 means that nothing was learnt and the score stands for itself.
    """

    method: Method
    scores: tuple[float, ...]
    p_errors: tuple[float, ...]
    n: int

    def __post_init__(self) -> None:
        knots = np.array([self.scores, self.p_errors])
        if len(self.scores) < 2 or not ((knots >= 0) & (knots <= 1)).all() or (np.diff(knots) < 0).any():
            raise InvalidInput("Calibrator: expected at least 2 knots in [0, 1] that never fall")

    def p_error(self, scores: ArrayLike) -> NDArray[np.float64]:
        """Probabilities (n,) of scores (n,), both in [0, 1]."""
        return np.interp(checked_scores("scores", scores), self.scores, self.p_errors)

    def to_json(self) -> dict[str, Any]:
        """Plain values, from which ``from_json`` restores it."""
        return asdict(self)

    @staticmethod
    def from_json(values: Mapping[str, Any]) -> "Calibrator":
        """What ``to_json`` wrote."""
        return Calibrator(values["method"], tuple(values["scores"]), tuple(values["p_errors"]), values["n"])


IDENTITY = Calibrator("identity", (0.0, 1.0), (0.0, 1.0), 0)


def fit(scores: ArrayLike, errors: ArrayLike, *, minimum: int = MINIMUM) -> Calibrator:
    """The better of isotonic and logistic regression, by cross-validated log loss.

    Args:
        scores: (n,) raw doubt in [0, 1] of items drawn at random.
        errors: (n,) bool, whether a person changed something.

    Raises:
        InvalidInput: fewer than ``minimum`` items, or a score that is no number in [0, 1], naming its index.
    """
    values, wrong = checked_scores("scores", scores), np.asarray(errors, dtype=bool)
    if wrong.shape != values.shape:
        raise InvalidInput(f"errors: expected shape {values.shape} as scores, got {wrong.shape}")
    n = len(values)
    if n < minimum:
        raise InvalidInput(f"calibration: expected at least {minimum} corrections, got {n}")
    order = np.argsort(values, kind="stable")
    values, wrong = values[order], wrong[order]
    methods: dict[Method, Callable[[NDArray[np.float64], NDArray[np.bool_]], Curve]]
    methods = {"logistic": _logistic, "isotonic": _isotonic}
    if wrong.all() or not wrong.any():
        methods = {"constant": _constant}
    method = min(methods, key=lambda name: _log_loss(methods[name], values, wrong))
    curve = np.maximum.accumulate(np.clip(methods[method](values, wrong)(_GRID), 0, 1))
    return Calibrator(method, tuple(_GRID.tolist()), tuple(curve.tolist()), n)


def _isotonic(scores: NDArray[np.float64], wrong: NDArray[np.bool_]) -> Curve:
    """Kept off 0 and 1 by as much as n items cannot tell (the rule of succession)."""
    least = 1 / (len(scores) + 2)
    model = IsotonicRegression(y_min=least, y_max=1 - least, out_of_bounds="clip").fit(scores, wrong)
    return lambda at: np.asarray(model.predict(at), dtype=np.float64)


def _logistic(scores: NDArray[np.float64], wrong: NDArray[np.bool_]) -> Curve:
    """Platt scaling of the score's log-odds; flat where the scores point the wrong way."""
    if wrong.all() or not wrong.any():
        return _constant(scores, wrong)
    model = LogisticRegression(C=10.0).fit(_log_odds(scores), wrong)
    if model.coef_[0, 0] <= 0:
        return _constant(scores, wrong)
    return lambda at: np.asarray(model.predict_proba(_log_odds(at))[:, 1], dtype=np.float64)


def _constant(scores: NDArray[np.float64], wrong: NDArray[np.bool_]) -> Curve:
    rate = (wrong.sum() + 1) / (len(scores) + 2)
    return lambda at: np.full(len(at), rate)


def _log_odds(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    kept = np.clip(scores, 1e-4, 1 - 1e-4)
    return np.log(kept / (1 - kept))[:, None]


def _log_loss(
    method: Callable[[NDArray[np.float64], NDArray[np.bool_]], Curve],
    scores: NDArray[np.float64],
    wrong: NDArray[np.bool_],
) -> float:
    """Mean log loss of items that the fit has not seen; every fifth of the sorted items is one fold."""
    fold = np.arange(len(scores)) % FOLDS
    losses = []
    for held in range(FOLDS):
        out = fold == held
        p = np.clip(method(scores[~out], wrong[~out])(scores[out]), 1e-6, 1 - 1e-6)
        losses.append(-np.where(wrong[out], np.log(p), np.log(1 - p)))
    return float(np.concatenate(losses).mean())
