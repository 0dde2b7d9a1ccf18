"""From class probabilities, or from what a label is worth and costs, to one score an item: which any strategy takes."""

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import entr

from models.arrays import Floats
from models.errors import InvalidInput
from models.reliability import checked_scores

_OFF = 0.01  # how far the sum of probabilities may be from 1: those in half precision are


def least_confidence(probabilities: ArrayLike) -> Floats:
    """How far the likeliest class is from certain, (n,): 0 for one sure class, 1 for K equal ones.

    (1 - max p) K / (K - 1) for probabilities (n, K). Source: Lewis and Gale 1994, scaled to [0, 1].

    Raises:
        InvalidInput: fewer than two classes, or a row that is no distribution, naming its index.
    """
    chances = _checked(probabilities)
    classes = chances.shape[1]
    return _within((1 - chances.max(axis=1)) * classes / (classes - 1))


def margin(probabilities: ArrayLike) -> Floats:
    """How near the second class is to the first, (n,): 1 - (p1 - p2) for probabilities (n, K).

    Source: Scheffer et al. 2001. Raises as ``least_confidence``.
    """
    chances = np.partition(_checked(probabilities), -2, axis=1)
    return _within(1 - (chances[:, -1] - chances[:, -2]))


def entropy(probabilities: ArrayLike) -> Floats:
    """The entropy as a share of the largest possible one, (n,): -sum p log p / log K for probabilities (n, K).

    Source: Shannon 1948. Raises as ``least_confidence``.
    """
    chances = _checked(probabilities)
    return _within(entr(chances).sum(axis=1) / np.log(chances.shape[1]))


def per_second(scores: ArrayLike, seconds: ArrayLike) -> Floats:
    """The change expected for a second of a person's time, (n,), as a share of what the cheapest item could give.

    u / c, times the least c, which keeps it in [0, 1]: scores (n,) in [0, 1], say ``p_error``; seconds (n,) > 0.

    Raises:
        InvalidInput: shapes or ranges, naming the item's index.
    """
    values = checked_scores("scores", scores)
    costs = checked_seconds(seconds, len(values))
    return values * (costs.min(initial=np.inf) / costs) if len(values) else values


def doubts(scores: ArrayLike) -> Floats:
    """One doubt an item, (n,) in [0, 1]: the scores (n,) as they are, or the least confidence of probabilities (n, K).

    Raises:
        InvalidInput: shapes or ranges, naming the item's index.
    """
    values = np.asarray(scores)
    return least_confidence(values) if values.ndim == 2 else checked_scores("scores", values)


def checked_seconds(seconds: ArrayLike, n: int) -> Floats:
    """What each item costs, (n,) in seconds.

    Raises:
        InvalidInput: another shape, or a cost that is not finite and above 0, naming its index.
    """
    costs = np.asarray(seconds, dtype=np.float64)
    if costs.shape != (n,):
        raise InvalidInput(f"seconds: expected shape ({n},), got {costs.shape}")
    broken = np.flatnonzero(~((costs > 0) & (costs < np.inf)))
    if len(broken):
        raise InvalidInput(f"seconds[{broken[0]}]: expected a finite number > 0, got {costs[broken[0]]}")
    return costs


def _within(values: Floats) -> Floats:
    """In [0, 1], which rounding may have left."""
    return np.minimum(np.maximum(values, 0), 1)


def _checked(probabilities: ArrayLike) -> Floats:
    chances = np.asarray(probabilities, dtype=np.float64)
    if chances.ndim != 2 or chances.shape[1] < 2:
        raise InvalidInput(f"scores: expected probabilities of shape (n, K) with K >= 2, got {chances.shape}")
    broken = np.flatnonzero(~((chances >= 0).all(axis=1) & (np.abs(chances.sum(axis=1) - 1) <= _OFF)))
    if len(broken):
        raise InvalidInput(f"scores[{broken[0]}]: expected probabilities with the sum 1, got {chances[broken[0]]}")
    return chances
