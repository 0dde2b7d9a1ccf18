"""Choices by clusters: hand-worked pools of clumps, then a plain reference for what is typical."""

from itertools import product

import numpy as np
import pytest

from models.arrays import AnyFloats, Floats
from models.errors import InvalidInput
from selection.strategies import cluster_margin, clusters, typiclust
from selection.strategies.clusters import k_means
from tests.selection.pools import rng

# Three clumps on a line, in the order of their sizes 5, 3 and 1; the most typical of the first is its middle.
LINE = np.array([[0.0], [1.0], [2.0], [3.0], [4.0], [100.0], [101.0], [103.0], [300.0]])


@pytest.mark.parametrize("seed", range(8))
def test_the_most_typical_of_each_cluster_the_largest_first(seed: int) -> None:
    # Mean distances to all others: in the first 2.5, 1.75, 1.5, 1.75, 2.5; in the second 2, 1.5, 2.5.
    assert typiclust(np.zeros(9), LINE, 3, rng(seed)).tolist() == [2, 6, 8]


@pytest.mark.parametrize("seed", range(8))
def test_clusters_where_people_have_items_come_last(seed: int) -> None:
    known = np.array([[1.5], [102.0]])
    assert typiclust(np.zeros(9), LINE, 1, rng(seed), known=known).tolist() == [8]
    assert typiclust(np.zeros(9), LINE, 2, rng(seed), known=known[:1]).tolist() == [6, 8]


def test_scores_do_not_matter_to_what_is_typical() -> None:
    points = rng().normal(size=(60, 3))
    picks = [typiclust(rng(seed).random(60), points, 9, rng(5)).tolist() for seed in range(3)]
    assert picks[0] == picks[1] == picks[2]


def test_typical_is_near_to_twenty_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    points = rng(3).normal(size=(150, 4))
    away = np.sort(np.linalg.norm(points[:, None] - points[None], axis=2), axis=1)[:, 1:21].mean(axis=1)
    assert typiclust(np.zeros(150), points, 1, rng()).tolist() == [int(np.argmin(away))]
    monkeypatch.setattr(clusters, "WITNESSES", 100)  # a sample still finds the dense middle
    (pick,) = typiclust(np.zeros(150), points, 1, rng()).tolist()
    assert pick in np.argsort(away)[:15]


def test_copies_are_typical_by_index() -> None:
    points = np.repeat(rng(1).normal(size=(3, 8)), [4, 9, 6], axis=0)
    assert typiclust(np.zeros(19), points, 3, rng()).tolist() == [4, 13, 0]


def test_equally_typical_items_come_by_index() -> None:
    corners = np.array(list(product([0.1, 0.8], repeat=5)))  # each has the same distances to the others
    assert typiclust(np.zeros(32), rng(3).permutation(corners), 1, rng()).tolist() == [0]


@pytest.mark.parametrize("seed", range(8))
def test_doubt_is_taken_from_every_cluster_the_smallest_first(seed: int) -> None:
    scores = np.array([0.1, 0.9, 0.8, 0.7, 0.95, 0.3, 0.6, 0.5, 0.2])
    assert cluster_margin(scores, LINE, 3, rng(seed)).tolist() == [8, 6, 4]


def test_only_the_most_doubtful_items_are_candidates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clusters, "CANDIDATES", 2)
    scores = np.array([0.1, 0.9, 0.8, 0.7, 0.95, 0.3, 0.6, 0.5, 0.2])
    assert sorted(cluster_margin(scores, LINE, 2, rng())) != [4, 8]
    assert set(cluster_margin(scores, LINE, 2, rng()).tolist()) <= {1, 2, 3, 4}


@pytest.mark.parametrize("seed", range(8))
def test_k_means_finds_clumps(seed: int) -> None:
    found = k_means(LINE, 3, rng(seed))
    assert len({tuple(found[:5]), (found[0],) * 5}) == len({tuple(found[5:8]), (found[5],) * 3}) == 1
    assert len({found[0], found[5], found[8]}) == 3


@pytest.mark.parametrize("seed", range(8))
def test_k_means_learns_from_a_sample_of_many_points(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes, centres = list[int](), clusters._centres

    def watched(points: AnyFloats, k: int, draws: np.random.Generator) -> AnyFloats:
        sizes.append(len(points))
        return centres(points, k, draws)

    monkeypatch.setattr(clusters, "_centres", watched)
    monkeypatch.setattr(clusters, "LEARNT", 20)
    monkeypatch.setattr(clusters, "LEAST", 1)
    places = np.repeat([0.0, 100.0, 300.0], [50, 30, 40])[:, None] + rng(seed).random((120, 1))
    found = k_means(places, 3, rng(seed))
    assert sizes == [60]
    assert len(set(found)) == 3
    assert [len(set(found[part])) for part in (slice(50), slice(50, 80), slice(80, 120))] == [1, 1, 1]


def test_k_means_ends_where_lloyd_does() -> None:
    points = rng(4).normal(size=(200, 5))
    found = k_means(points, 7, rng())
    centres = np.array([points[found == k].mean(axis=0) for k in range(7)])
    nearest = np.linalg.norm(points[:, None] - centres[None], axis=2).argmin(axis=1)
    assert (nearest == found).mean() > 0.9  # ten rounds are nearly enough


@pytest.mark.parametrize(("points", "k"), [(LINE, 0), (LINE[:0], 3), (np.zeros((5, 0)), 3), (np.ones((5, 2)), 3)])
def test_k_means_of_nothing_much(points: Floats, k: int) -> None:
    assert k_means(points, k, rng()).tolist() == [0] * len(points)


def test_bad_known_items_are_named() -> None:
    with pytest.raises(InvalidInput, match=r"known\[1\]: expected finite numbers"):
        typiclust(np.zeros(9), LINE, 1, rng(), known=np.array([[0.0], [np.nan]]))
