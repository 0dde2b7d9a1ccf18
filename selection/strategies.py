"""Which items to show people first: functions from scores and embeddings to ranked indices.

Every strategy takes scores (n,) in [0, 1], embeddings (n, d), a budget in items and a generator, and returns at most
``budget`` distinct indices, most useful first. Ties go to the lower index, so callers sort their items by id.
"""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from models.errors import InvalidInput
from selection.risk import checked_scores

Scores: TypeAlias = NDArray[np.floating]
Embeddings: TypeAlias = NDArray[np.floating]
Indices: TypeAlias = NDArray[np.intp]
Strategy: TypeAlias = Callable[[Scores, Embeddings, int, np.random.Generator], Indices]


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

    Exact greedy; a pick reads the embeddings once and keeps O(n) distances.
    """
    n = _checked(scores, embeddings, budget)
    points = np.asarray(embeddings, dtype=np.float32)
    chosen: list[int] = []
    distance = np.full(n, np.inf, dtype=np.float32)  # squared, to the nearest chosen item
    for _ in range(min(budget, n)):
        pick = int(np.argmax(distance)) if chosen else int(np.argmax(scores))
        chosen.append(pick)
        apart = points - points[pick]
        np.minimum(distance, np.einsum("nd,nd->n", apart, apart), out=distance)
        distance[pick] = -1.0
    return np.array(chosen, dtype=np.intp)


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
