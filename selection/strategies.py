"""Which items to show people first: functions from scores and embeddings to ranked indices.

Every strategy takes scores (n,) in [0, 1], embeddings (n, d), a budget in items and a generator, and returns at most
``budget`` distinct indices, most useful first. Ties go to the lower index, so callers sort their items by id.
"""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from models.errors import InvalidInput
from models.reliability import checked_scores

Scores: TypeAlias = NDArray[np.floating]
Embeddings: TypeAlias = NDArray[np.floating]
Indices: TypeAlias = NDArray[np.intp]
Strategy: TypeAlias = Callable[[Scores, Embeddings, int, np.random.Generator], Indices]

_CHUNK = 1 << 16  # numbers of the embeddings looked at together: half a megabyte of float64, which a cache holds


def random(scores: Scores, embeddings: Embeddings, budget: int, rng: np.random.Generator) -> Indices:
    """A random sample, in random order."""
    n = _checked(scores, embeddings, budget)
    return rng.permutation(n)[:budget]


def uncertainty(scores: Scores, embeddings: Embeddings, budget: int, rng: np.random.Generator) -> Indices:
    """The highest scores first."""
    _checked(scores, embeddings, budget)
    return np.argsort(-np.asarray(scores), kind="stable")[:budget]


def k_center(scores: Scores, embeddings: Embeddings, budget: int, rng: np.random.Generator) -> Indices:
    """The most doubtful item, then always the one farthest from all chosen ones (Sener and Savarese 2018, section 4.3).

    Exact greedy, on differences in float64 whatever the embeddings' type, so that nothing cancels and copies of an item
    are exactly 0 apart. A pick reads the embeddings once; besides them it keeps O(n) distances.
    """
    n = _checked(scores, embeddings, budget)
    picks = np.empty(min(budget, n), np.intp)
    distances = np.full(n, np.inf)  # squared, to the nearest pick
    for rank in range(len(picks)):
        pick = int(np.argmax(distances if rank else scores))
        picks[rank] = pick
        _approach(distances, np.asarray(embeddings), pick)
        distances[pick] = -1.0  # and it stays the least: never again
    return picks


def _approach(distances: NDArray[np.float64], embeddings: Embeddings, pick: int) -> None:
    """Lowers each squared distance (n,) to that from ``pick``, where it is less."""
    centre = embeddings[pick].astype(np.float64)
    rows = max(1, _CHUNK // max(1, len(centre)))
    for first in range(0, len(distances), rows):
        away = embeddings[first : first + rows] - centre  # (rows, d)
        near = distances[first : first + rows]
        np.minimum(near, np.einsum("nd,nd->n", away, away), out=near)


def _checked(scores: Scores, embeddings: Embeddings, budget: int) -> int:
    values, points = checked_scores("scores", scores), np.asarray(embeddings)
    if points.ndim != 2 or len(points) != len(values):
        raise InvalidInput(f"embeddings: expected shape ({len(values)}, d), got {points.shape}")
    broken = np.flatnonzero(~np.isfinite(points).all(axis=1))
    if len(broken):
        raise InvalidInput(f"embeddings[{broken[0]}]: expected finite numbers, got {points[broken[0]]}")
    if budget < 0:
        raise InvalidInput(f"budget: expected at least 0 items, got {budget}")
    return len(values)
