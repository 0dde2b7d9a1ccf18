"""How certain a part is: from a model's confidence in a word or a box to the probability that it is right."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit, logit

from models.arrays import Floats
from models.errors import InvalidInput
from models.platt import line, targets_of
from models.reliability import checked_errors, checked_scores

_EDGE = 1e-4  # confidences nearer to 0 or 1 are taken for that


@dataclass(frozen=True)
class Certainty:
    """A line through the log-odds of confidences; as it stands it leaves them as they are."""

    slope: float = 1.0
    offset: float = 0.0

    def of(self, confidences: ArrayLike) -> Floats:
        """The probabilities (n,) that parts are right of which a model has these confidences (n,) in [0, 1]."""
        as_told = np.asarray(confidences, np.float64)
        return as_told if self == Certainty() else np.asarray(expit(self.slope * _odds(as_told) + self.offset))


def learn(confidences: Sequence[float] | Floats, right: ArrayLike) -> Certainty:
    """The line by logistic regression, never falling, on targets that n parts can tell (Platt 1999).

    Args:
        confidences: (n,) in [0, 1].
        right: (n,) whether each word was said, or each box stands for a true one.

    Raises:
        InvalidInput: shapes, ranges, a NaN, or parts that are all right or all wrong.
    """
    x, true = _odds(checked_scores("confidences", confidences)), checked_errors(right, confidences)
    n_right = int(true.sum())
    if n_right in (0, len(true)):
        raise InvalidInput(f"certainty: expected right and wrong parts, got {n_right} right of {len(true)}")
    slope, offset = line(x, targets_of(true), start=(1.0, 0.0))
    return Certainty(round(slope, 4), round(offset, 4))


def _odds(confidences: ArrayLike) -> Floats:
    return np.asarray(logit(np.clip(confidences, _EDGE, 1 - _EDGE)), np.float64)
