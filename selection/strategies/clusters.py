"""Choices by clusters of the embeddings: what is typical, for a cold start; what is doubtful everywhere, later on."""

import numpy as np
from scipy.sparse import csr_matrix
from scipy.spatial.distance import cdist

from models.arrays import Floats
from selection.strategies.gradients import spread
from selection.strategies.pool import Embeddings, Indices, Scores, checked, checked_known, in_range, in_turn

CLUSTERS = 500  # of typical items, at most
NEIGHBOURS = 20  # by which an item is typical, at most
WITNESSES = 200  # members of a cluster among which neighbours are looked for, at most
CANDIDATES = 10  # doubtful items for each one to be picked
ROUNDS = 10  # of k-means, at most
LEARNT = 256  # points for each cluster, at most, from which k-means learns; of few clusters, LEAST in all
LEAST = 1 << 16
_BLOCK = 1024  # items of one matrix product


def typiclust(
    scores: Scores, embeddings: Embeddings, budget: int, rng: np.random.Generator, known: Embeddings | None = None
) -> Indices:
    """The most typical item of each cluster, the largest first, then the next one of each; the scores do not matter.

    Typical is an item whose nearest neighbours in its cluster are near on average. There are as many clusters as items
    to be picked and items ``known``, embeddings (m, d) of what people already have; clusters without those come first.

    Source: Hacohen et al. 2022, section 3.2; in a large cluster a random sample stands for all neighbours.
    """
    _, points = checked(scores, embeddings, budget)
    points, had = in_range(points, checked_known(known, points))
    n, wanted = len(points), max(1, min(budget + len(had), CLUSTERS))
    clusters = k_means(np.concatenate([points, had]) if len(had) else points, wanted, rng)
    clusters, had_by = clusters[:n], np.bincount(clusters[n:], minlength=wanted)
    distances = np.empty(n)
    for members in _members(clusters):
        distances[members] = _neighbour_distances(points[members], rng)
    ranked = np.argsort(distances, kind="stable")
    sizes = np.bincount(clusters, minlength=wanted)
    return ranked[in_turn(clusters[ranked], -sizes[clusters[ranked]], had_by)][:budget]


def cluster_margin(scores: Scores, embeddings: Embeddings, budget: int, rng: np.random.Generator) -> Indices:
    """The most doubtful items, ten times as many as are wanted, and of their clusters one each in turn, smallest first.

    Scores are those of ``margin``. There are as many clusters as wanted items, by k-means in place of the paper's
    hierarchical clustering, so that time grows with their number only. Of a cluster the most doubtful item is first.

    Source: Citovsky et al. 2021, algorithm 1.
    """
    doubts, points = checked(scores, embeddings, budget)
    ranked = np.argsort(-doubts, kind="stable")[: CANDIDATES * budget]
    clusters = k_means(points[ranked], budget, rng)
    sizes = np.bincount(clusters, minlength=budget)
    return ranked[in_turn(clusters, sizes[clusters], np.zeros_like(sizes))][:budget]


def k_means(points: Embeddings, k: int, rng: np.random.Generator) -> Indices:
    """The cluster, from 0 to k - 1, of each point (n, d); copies of a point share one, so that some may stay empty.

    Of very many points a random sample makes the clusters. Source: Lloyd 1982, from the centres of k-means++.
    """
    if not len(points) or not k:
        return np.zeros(len(points), np.intp)
    (points,) = in_range(points)
    most = max(LEARNT * k, LEAST)
    sample = points if len(points) <= most else points[np.sort(rng.choice(len(points), most, replace=False))]
    mean = sample.mean(axis=0, dtype=np.float64).astype(np.promote_types(points.dtype, np.float32))
    return _nearest(points, _centres(sample - mean, k, rng), mean)


def _centres(points: Embeddings, k: int, rng: np.random.Generator) -> Embeddings:
    """At most k centres of clusters among points (n, d) whose mean is 0."""
    n = len(points)
    centres = points[spread(np.ones((n, 1)), points, k, rng, first=int(rng.integers(n)))]
    clusters = _nearest(points, centres)
    for _ in range(ROUNDS):
        sizes = np.bincount(clusters, minlength=len(centres))
        sums = csr_matrix((np.ones(n), clusters, np.arange(n + 1)), shape=(n, len(centres))).T @ points
        centres[sizes > 0] = (sums / np.maximum(sizes, 1)[:, None])[sizes > 0]
        before, clusters = clusters, _nearest(points, centres)
        if np.array_equal(before, clusters):
            break
    return centres


def _nearest(points: Embeddings, centres: Embeddings, mean: Embeddings | float = 0.0) -> Indices:
    """The nearest of the centres (k, d) to each point (n, d), less the mean (d,); the first of equals."""
    nearest = np.empty(len(points), np.intp)
    halves = np.einsum("kd,kd->k", centres, centres) / 2
    for first in range(0, len(points), _BLOCK):
        block = slice(first, first + _BLOCK)
        nearest[block] = ((points[block] - mean) @ centres.T - halves).argmax(axis=1)
    return nearest


def _members(clusters: Indices) -> list[Indices]:
    """The items of each cluster that has any, in rising order."""
    order = np.argsort(clusters, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(clusters[order])) + 1) if len(order) else []


def _neighbour_distances(points: Embeddings, rng: np.random.Generator) -> Floats:
    """The mean distance of each member (m, d) of a cluster to its nearest neighbours there; infinite if it has none."""
    m = len(points)
    witnesses = np.sort(rng.permutation(m)[:WITNESSES]) if m > WITNESSES else np.arange(m)
    distances = cdist(points, points[witnesses])
    distances[witnesses, np.arange(len(witnesses))] = np.inf  # no item is its own neighbour
    neighbours = min(NEIGHBOURS, len(witnesses) - 1)
    if not neighbours:
        return np.full(m, np.inf)
    nearest = np.partition(distances, neighbours - 1, axis=1)[:, :neighbours]
    means: Floats = np.sort(nearest, axis=1).mean(axis=1)  # sorted: equal distances have equal means
    return means
