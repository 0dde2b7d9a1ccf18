"""How certain a word is: from the confidence of its symbols to the probability that the word is right."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize
from scipy.special import expit, logit

from models.errors import InvalidInput
from models.reliability import checked_errors, checked_scores

_EDGE = 1e-4  # confidences nearer to 0 or 1 are taken for that


@dataclass(frozen=True)
class Certainty:
    """A line through the log-odds of confidences; as it stands it leaves them as they are."""

    slope: float = 1.0
    offset: float = 0.0

    def of(self, confidence: float) -> float:
        """The probability in (0, 1) that a word is right whose symbols have at least that confidence in [0, 1]."""
        return confidence if self == Certainty() else float(expit(self.slope * _odds(confidence) + self.offset))


def learn(confidences: Sequence[float], right: ArrayLike) -> Certainty:
    """The line by logistic regression, never falling, on targets that n words can tell (Platt 1999).

    Args:
        confidences: (n,) in [0, 1], as spelled.
        right: (n,) whether each word was said.

    Raises:
        InvalidInput: shapes, ranges, a NaN, or words that are all right or all wrong.
    """
    x, said = _odds(checked_scores("confidences", confidences)), checked_errors(right, confidences)
    n_right = int(said.sum())
    if n_right in (0, len(said)):
        raise InvalidInput(f"certainty: expected right and wrong words, got {n_right} right of {len(said)}")
    targets = np.where(said, (n_right + 1) / (n_right + 2), 1 / (len(said) - n_right + 2))

    def loss(line: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        z = line[0] * x + line[1]
        residual = expit(z) - targets
        return float((np.logaddexp(0, z) - targets * z).sum()), np.array([residual @ x, residual.sum()])

    found = minimize(loss, np.array([1.0, 0.0]), jac=True, method="L-BFGS-B", bounds=[(0, None), (None, None)])
    return Certainty(*(round(float(value), 4) for value in found.x))


def _odds(confidences: ArrayLike) -> NDArray[np.float64]:
    return np.asarray(logit(np.clip(confidences, _EDGE, 1 - _EDGE)), np.float64)
