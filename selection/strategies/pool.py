"""A pool of items as strategies see it: the types, the checks, and the two orders that ask nothing more of it."""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.arrays import AnyFloats, Floats
from models.errors import InvalidInput
from selection.strategies.doubt import doubts

Scores: TypeAlias = AnyFloats
Embeddings: TypeAlias = AnyFloats
Indices: TypeAlias = NDArray[np.intp]
Strategy: TypeAlias = Callable[[Scores, Embeddings, int, np.random.Generator], Indices]

_WIDEST = 2.0**30  # numbers up to this, and down to its inverse, have squares well within single precision


def random(scores: Scores, embeddings: Embeddings, budget: int, rng: np.random.Generator) -> Indices:
    """A random sample, in random order."""
    values, _ = checked(scores, embeddings, budget)
    return rng.permutation(len(values))[:budget]


def uncertainty(scores: Scores, embeddings: Embeddings, budget: int, rng: np.random.Generator) -> Indices:
    """The highest scores first."""
    values, _ = checked(scores, embeddings, budget)
    return np.argsort(-values, kind="stable")[:budget]


def checked(scores: ArrayLike, embeddings: ArrayLike, budget: int) -> tuple[Floats, Embeddings]:
    """The doubts (n,) and the embeddings (n, d) of a pool.

    Raises:
        InvalidInput: shapes, ranges, or a number that is not finite, naming the item's index.
    """
    values, points = doubts(scores), checked_points("embeddings", embeddings)
    if len(points) != len(values):
        raise InvalidInput(f"embeddings: expected shape ({len(values)}, d), got {points.shape}")
    if budget < 0:
        raise InvalidInput(f"budget: expected at least 0 items, got {budget}")
    return values, points


def checked_points(name: str, embeddings: ArrayLike) -> Embeddings:
    """Embeddings (n, d) of finite floating-point numbers.

    Raises:
        InvalidInput: another shape or type, or a number that is not finite, naming the item's index.
    """
    points = np.asarray(embeddings)
    if points.ndim != 2:
        raise InvalidInput(f"{name}: expected shape (n, d), got {points.shape}")
    if not np.issubdtype(points.dtype, np.floating):
        raise InvalidInput(f"{name}: expected floating-point numbers, got {points.dtype}")
    # The least and the largest number tell of any NaN or infinity without a mask as large as the pool.
    if points.size and not (np.isfinite(points.min()) and np.isfinite(points.max())):
        row = int(np.argmin(np.isfinite(points).all(axis=1)))
        raise InvalidInput(f"{name}[{row}]: expected finite numbers, got {points[row]}")
    return points


def checked_known(known: Embeddings | None, points: Embeddings) -> Embeddings:
    """The embeddings (m, d) of items that people already have, beside a pool's (n, d); None means none.

    Raises:
        InvalidInput: another shape or type, or a number that is not finite, naming the item's index.
    """
    if known is None:
        return points[:0]
    centres = checked_points("known", known)
    if centres.shape[1] != points.shape[1]:
        raise InvalidInput(f"known: expected shape (m, {points.shape[1]}) as embeddings, got {centres.shape}")
    return centres


def in_range(*arrays: Embeddings) -> tuple[Embeddings, ...]:
    """The arrays as they are, or all times one power of two where single precision could not hold their squares."""
    ends = (abs(float(end(array))) for array in arrays if array.size for end in (np.min, np.max))
    widest = max(ends, default=0.0)
    if not widest or 1 / _WIDEST <= widest <= _WIDEST:
        return arrays
    down = -int(np.frexp(widest)[1])
    return tuple(np.ldexp(array.astype(np.float64), down) for array in arrays)


def in_turn(groups: Indices, priority: NDArray[np.number], already: Indices) -> Indices:
    """The order (m,) in which groups take turns, of items (m,) that come in their groups' own order.

    Whose group has had the fewest items goes first, ``already`` (G,) included; among those the least priority (m,).
    """
    in_group = np.argsort(groups, kind="stable")
    sizes = np.bincount(groups, minlength=len(already))
    place = np.empty(len(groups), np.intp)
    place[in_group] = np.arange(len(groups)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return np.lexsort((priority, already[groups] + place))
