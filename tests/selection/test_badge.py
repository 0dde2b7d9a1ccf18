"""BADGE: hand-worked gradients, then k-means++ over gradients that are really formed."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.arrays import AnyFloats
from selection.strategies import badge
from tests.selection.pools import rng


def plain_badge(errors: AnyFloats, points: AnyFloats, budget: int, draws: np.random.Generator) -> list[int]:
    """Word for word, on the outer products: the longest, then each next one drawn by its squared distance."""
    gradients = np.einsum("nk,nd->nkd", errors, points).astype(np.float64)
    gradients = gradients.reshape(len(points), errors.shape[1] * points.shape[1])
    nearest = (gradients**2).sum(axis=1)
    picks: list[int] = []
    for rank in range(min(budget, len(points))):
        left = [i for i in range(len(points)) if i not in picks]
        if rank == 0:
            pick = int(np.argmax(nearest))
        elif not nearest.any():
            pick = left[0]
        else:
            sums = np.cumsum(nearest)
            pick = int(np.searchsorted(sums, draws.random() * np.nextafter(sums[-1], 0), side="right"))
        away = ((gradients - gradients[pick]) ** 2).sum(axis=1)
        nearest = away if rank == 0 else np.minimum(nearest, away)
        picks.append(pick)
    return picks


@given(st.data(), st.integers(0, 25), st.integers(0, 4), st.integers(0, 30), st.integers(0, 9))
@settings(deadline=None)
def test_it_draws_by_the_distance_of_gradients(data: st.DataObject, n: int, d: int, budget: int, seed: int) -> None:
    scores = np.array(data.draw(st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=n, max_size=n)))
    row = st.lists(st.integers(-2, 2), min_size=d, max_size=d)
    points = np.array(data.draw(st.lists(row, min_size=n, max_size=n)), np.float32).reshape(n, d)
    expected = plain_badge(scores[:, None], points, budget, rng(seed))
    assert badge(scores, points, budget, rng(seed)).tolist() == expected


@pytest.mark.parametrize("seed", range(5))
def test_class_probabilities_give_gradients_of_every_class(seed: int) -> None:
    probabilities, points = rng(seed).dirichlet(np.ones(5), 300), rng(seed).normal(size=(300, 8))
    errors = probabilities - np.eye(5)[probabilities.argmax(axis=1)]
    assert badge(probabilities, points, 60, rng(7)).tolist() == plain_badge(errors, points, 60, rng(7))


def test_a_hand_worked_pool() -> None:
    # Errors (-.5, .5), (-.5, .5), (-.1, .1) and (0, 0): gradients of squared length .5 * 4, .5, .02 * 9 and 0.
    probabilities = np.array([[0.5, 0.5], [0.5, 0.5], [0.9, 0.1], [1.0, 0.0]])
    points = np.array([[2.0, 0.0], [0.0, 1.0], [3.0, 0.0], [5.0, 5.0]])
    # From the first: 2 + .5 = 2.5; .5 (2 - .6)^2 / .5 ... = 2 (1 - .3)^2 = .98; and 2 for the one that is sure.
    firsts = [badge(probabilities, points, 2, rng(seed)).tolist() for seed in range(3000)]
    assert {picks[0] for picks in firsts} == {0}
    drawn = Counter(picks[1] for picks in firsts)
    for item, share in ((1, 2.5 / 5.48), (2, 0.98 / 5.48), (3, 2 / 5.48)):
        assert abs(drawn[item] - 3000 * share) < 4.5 * np.sqrt(3000 * share * (1 - share))


def test_copies_of_picks_come_last_by_index() -> None:
    points = np.array([[0.1, 0.7]] * 3 + [[0.3, -0.2]] * 2 + [[0.1, 0.7]], np.float32) * 1.7
    orders = {tuple(badge(np.ones(6), points, 6, rng(seed)).tolist()) for seed in range(40)}
    assert orders == {(0, 3, 1, 2, 4, 5), (0, 4, 1, 2, 3, 5)}


def test_rounding_makes_no_copy_worth_a_pick() -> None:
    kinds = rng(3).normal(size=(40, 7)).astype(np.float32) + np.float32(5)
    item_kinds = rng(4).permutation(np.repeat(np.arange(40), 5))
    for seed in range(20):
        picks = badge(np.full(200, 0.3), kinds[item_kinds], 200, rng(seed)).tolist()
        assert len({item_kinds[item] for item in picks[:40]}) == 40
        assert picks[40:] == sorted(picks[40:])


@pytest.mark.parametrize("size", [1e-200, 1e-30, 1e30, 1e150])
def test_the_unit_does_not_matter(size: float) -> None:
    scores, points = rng(1).random(80), rng(2).normal(size=(80, 5))
    assert badge(scores, points * size, 40, rng()).tolist() == badge(scores, points, 40, rng()).tolist()
