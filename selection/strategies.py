"""Which items to show people next: functions ``(scores, embeddings, budget, rng) -> indices``, the best first.

``scores`` (n,) say how much is to be gained by an item, ``embeddings`` (n, d) how it looks to the model; each strategy
reads what it needs. Equal items come in the order of their index, so callers sort by item id. A budget beyond n gives
all n items.
"""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from models.errors import InvalidInput

Numbers: TypeAlias = NDArray[np.floating]
Indices: TypeAlias = NDArray[np.intp]
Strategy: TypeAlias = Callable[[Numbers, Numbers, int, np.random.Generator], Indices]

_CHUNK = 1 << 16  # numbers of the embeddings looked at together: half a megabyte of float64, which a cache holds


def random(scores: Numbers, embeddings: Numbers, budget: int, rng: np.random.Generator) -> Indices:
    """Items drawn without replacement, whatever their scores."""
    _check(scores, embeddings, budget)
    return rng.permutation(len(scores))[:budget].astype(np.intp)


def uncertainty(scores: Numbers, embeddings: Numbers, budget: int, rng: np.random.Generator) -> Indices:
    """The highest scores first.

    Raises:
        InvalidInput: naming the first score that is not finite.
    """
    _check(scores, embeddings, budget)
    return np.argsort(-scores, kind="stable")[:budget]


def k_center(scores: Numbers, embeddings: Numbers, budget: int, rng: np.random.Generator) -> Indices:
    """The highest score first, then always the item farthest from all picked so far.

    Exact greedy k-center (Gonzalez 1985; "core-set" of Sener and Savarese 2018) on Euclidean distances. They are taken
    from differences in float64, whatever the embeddings' type, so nothing cancels and copies of an item are exactly 0
    apart. A pick costs O(n d) time and, besides the embeddings, O(n) memory.

    Raises:
        InvalidInput: naming the first score or embedding that is not finite.
    """
    _check(scores, embeddings, budget)
    finite = np.isfinite(embeddings).all(axis=1)
    if not finite.all():
        raise InvalidInput(f"selection: expected finite embeddings, got NaN or infinity at index {finite.argmin()}")
    picks = np.empty(min(budget, len(scores)), np.intp)
    distances = np.full(len(scores), np.inf)  # squared, to the nearest pick
    for rank in range(len(picks)):
        pick = int((distances if rank else scores).argmax())
        picks[rank] = pick
        _approach(distances, embeddings, pick)
        distances[pick] = -1.0  # and it stays the least: never again
    return picks


def _approach(distances: NDArray[np.float64], embeddings: Numbers, pick: int) -> None:
    """Lowers each squared distance (n,) to that from ``pick``, where it is less."""
    centre = embeddings[pick].astype(np.float64)
    rows = max(1, _CHUNK // max(1, len(centre)))
    for first in range(0, len(distances), rows):
        away = embeddings[first : first + rows] - centre  # (rows, d)
        near = distances[first : first + rows]
        np.minimum(near, np.einsum("ij,ij->i", away, away), out=near)


def _check(scores: Numbers, embeddings: Numbers, budget: int) -> None:
    """Raises InvalidInput unless the shapes agree, the scores are finite and the budget is no less than 0."""
    if scores.ndim != 1 or embeddings.ndim != 2 or len(scores) != len(embeddings):
        got = f"{scores.shape} and {embeddings.shape}"
        raise InvalidInput(f"selection: expected scores (n,) and embeddings (n, d), got {got}")
    if budget < 0:
        raise InvalidInput(f"selection: expected a budget of at least 0 items, got {budget}")
    finite = np.isfinite(scores)
    if not finite.all():
        index = int(finite.argmin())
        raise InvalidInput(f"selection: expected finite scores, got {scores[index]} at index {index}")
