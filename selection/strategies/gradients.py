"""BADGE: items whose gradients in the model's last layer are large and unlike, without ever forming a gradient."""

import numpy as np

from models.arrays import AnyFloats
from selection.strategies.pool import Embeddings, Indices, Scores, checked, in_range


def badge(scores: Scores, embeddings: Embeddings, budget: int, rng: np.random.Generator) -> Indices:
    """The item with the largest gradient, then each next one at random, by its squared distance to the nearest pick.

    The gradient of an item is the outer product of its error a and its embedding h, with a = p - onehot(likeliest
    class) for class probabilities p (n, K), or a = its score for scores (n,). Since <g_i, g_j> = <a_i, a_j> <h_i, h_j>,
    a pick costs O(n (K + d)). Copies of picks follow, by index, once nothing else is left.

    Source: Ash et al. 2020, algorithm 1; the first pick as in the authors' program.
    """
    doubts, points = checked(scores, embeddings, budget)
    errors = doubts[:, None]
    if np.ndim(scores) == 2:
        errors = np.array(scores, np.float64)
        errors[np.arange(len(errors)), errors.argmax(axis=1)] -= 1
    picks = spread(errors, points, budget, rng)
    copies = np.setdiff1d(np.arange(len(points)), picks)
    return np.append(picks, copies[: budget - len(picks)])


def spread(
    errors: AnyFloats, points: Embeddings, budget: int, rng: np.random.Generator, first: int | None = None
) -> Indices:
    """k-means++ over the outer products of errors (n, K) and points (n, d): at most ``budget`` indices.

    The first is given, or else the longest. Each next one is drawn by its squared distance to the nearest before it;
    where rounding explains the distance it is a copy, and never drawn. In single precision, unless points are double.

    Source: Arthur and Vassilvitskii 2007, section 2.2.
    """
    (points,) = in_range(points)
    kind = np.promote_types(points.dtype, np.float32)
    points, errors = points.astype(kind, copy=False), errors.astype(kind)
    rounding = 2 * (errors.shape[1] + points.shape[1] + 16) * np.finfo(kind).eps
    lengths = np.einsum("nk,nk->n", errors, errors) * np.einsum("nd,nd->n", points, points)
    if first is None:
        first = int(np.argmax(lengths)) if len(lengths) else 0
    left, picks = lengths, list[int]()
    while len(picks) < min(budget, len(points)) and (left.any() or not picks):
        pick = _drawn(left, rng) if picks else first
        sums = lengths + lengths[pick]
        away = sums - 2 * (errors @ errors[pick]) * (points @ points[pick])
        away[away <= rounding * sums] = 0
        left = np.minimum(left, away) if picks else away
        picks.append(pick)
    return np.array(picks, np.intp)


def _drawn(weights: AnyFloats, rng: np.random.Generator) -> int:
    """An index, drawn by weights (n,) that are not all 0."""
    sums = np.cumsum(weights, dtype=np.float64)
    return int(np.searchsorted(sums, rng.random() * np.nextafter(sums[-1], 0), side="right"))
