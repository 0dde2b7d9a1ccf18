"""Strategies: hand-worked picks, and k-center against the plain greedy algorithm."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import InvalidInput
from selection.strategies import Embeddings, Indices, Scores, Strategy, k_center, random, uncertainty

ALL: list[Strategy] = [random, uncertainty, k_center]


def rng() -> np.random.Generator:
    return np.random.default_rng(3)


def test_uncertainty_takes_the_highest_and_ties_go_to_the_first() -> None:
    scores = np.array([0.2, 0.9, 0.5, 0.9])
    assert uncertainty(scores, np.zeros((4, 1)), 3, rng()).tolist() == [1, 3, 2]


def test_k_center_spreads_over_a_line() -> None:
    places = np.array([[0.0], [1.0], [2.0], [9.0], [10.0]])
    scores = np.array([0.9, 0.1, 0.1, 0.1, 0.1])
    assert k_center(scores, places, 4, rng()).tolist() == [0, 4, 2, 1]


def test_random_is_a_permutation_that_a_seed_repeats() -> None:
    scores, places = np.zeros(50), np.zeros((50, 2))
    first = random(scores, places, 50, rng())
    assert sorted(first.tolist()) == list(range(50))
    assert first.tolist() == random(scores, places, 50, rng()).tolist() != list(range(50))


def slow_k_center(scores: Scores, embeddings: Embeddings, budget: int) -> Indices:
    chosen = [max(range(len(scores)), key=lambda i: (scores[i], -i))]
    while len(chosen) < min(budget, len(scores)):
        nearest = [min(float(((embeddings[i] - embeddings[c]) ** 2).sum()) for c in chosen) for i in range(len(scores))]
        chosen.append(max((i for i in range(len(scores)) if i not in chosen), key=lambda i: (nearest[i], -i)))
    return np.array(chosen)


@given(st.integers(0, 2**32 - 1), st.integers(1, 25), st.integers(1, 30))
def test_k_center_equals_the_plain_greedy_algorithm(seed: int, n: int, budget: int) -> None:
    source = np.random.default_rng(seed)
    places = source.integers(-4, 5, (n, 3)).astype(np.float32)  # whole numbers: distances are exact, ties are many
    scores = source.integers(0, 5, n) / 4
    assert k_center(scores, places, budget, rng()).tolist() == slow_k_center(scores, places, budget).tolist()


@pytest.mark.parametrize("strategy", ALL)
def test_bad_input_is_named(strategy: Strategy) -> None:
    places = np.zeros((3, 2))
    with pytest.raises(InvalidInput, match=r"scores\[1\]: expected a number in \[0, 1\], got nan"):
        strategy(np.array([0.1, np.nan, 0.2]), places, 2, rng())
    places[2, 1] = np.inf
    with pytest.raises(InvalidInput, match=r"embeddings\[2\]"):
        strategy(np.zeros(3), places, 2, rng())
    with pytest.raises(InvalidInput, match=r"expected shape \(3, d\), got \(2, 2\)"):
        strategy(np.zeros(3), places[:2], 2, rng())


@pytest.mark.parametrize("strategy", ALL)
def test_no_items_give_no_picks(strategy: Strategy) -> None:
    assert strategy(np.zeros(0), np.zeros((0, 4)), 5, rng()).tolist() == []
