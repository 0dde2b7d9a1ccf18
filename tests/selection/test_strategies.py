"""What all strategies have in common, and the two simple ones: small tables, then properties."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import InvalidInput
from selection.strategies import (
    Strategy,
    badge,
    balanced,
    cluster_margin,
    distinct,
    k_center,
    random,
    spaced,
    typiclust,
    uncertainty,
)
from tests.selection.pools import Pool, pools, rng

ONE_BY_ONE = [random, uncertainty, k_center, badge]  # a smaller budget is the beginning of a larger one
BY_CLUSTERS = [typiclust, cluster_margin]
ALL = ONE_BY_ONE + BY_CLUSTERS


def wrapped(strategy: Strategy, n: int) -> list[Strategy]:
    """The strategy in wrappers that let every item through."""
    inner = distinct(spaced(strategy, [None] * n, np.zeros(n), 1), range(n))
    return [inner, balanced(inner, ["even" if i % 2 else "odd" for i in range(n)])]


@pytest.mark.parametrize(
    ("scores", "ranked"),
    [([0.1, 0.9, 0.5], [1, 2, 0]), ([0.5, 0.5, 0.5], [0, 1, 2]), ([0.0, 1.0, -0.0, 1.0], [1, 3, 0, 2]), ([], [])],
)
def test_uncertainty_ranks_by_score_then_index(scores: list[float], ranked: list[int]) -> None:
    assert uncertainty(np.array(scores), np.zeros((len(scores), 0)), len(scores), rng()).tolist() == ranked


def test_uncertainty_of_probabilities_is_the_least_confidence() -> None:
    probabilities = np.array([[0.9, 0.1, 0.0], [0.4, 0.3, 0.3], [0.5, 0.5, 0.0]])
    assert uncertainty(probabilities, np.zeros((3, 0)), 3, rng()).tolist() == [1, 2, 0]


def test_many_ties_keep_the_order_of_the_items() -> None:
    scores = np.tile([0.2, 0.8], 200)
    expected = [*range(1, 400, 2), *range(0, 400, 2)]
    assert uncertainty(scores, np.zeros((400, 0)), 400, rng()).tolist() == expected


def test_random_draws_evenly() -> None:
    counts = np.zeros(10)
    draws = rng()
    for _ in range(2000):
        counts[random(np.linspace(0, 1, 10), np.zeros((10, 1)), 3, draws)] += 1
    assert np.abs(counts - 600).max() < 5 * math.sqrt(2000 * 0.3 * 0.7)


@pytest.mark.parametrize("strategy", ALL)
@settings(deadline=None, max_examples=60)
@given(pool=pools(), budget=st.integers(0, 30), seed=st.integers(0, 99))
def test_every_strategy_picks_distinct_items_and_repeats_itself(
    strategy: Strategy, pool: Pool, budget: int, seed: int
) -> None:
    n = len(pool[0])
    for each in (strategy, *wrapped(strategy, n)):
        picks = each(*pool, budget, rng(seed)).tolist()
        assert len(picks) == len(set(picks)) == min(budget, n)
        assert set(picks) <= set(range(n))
        assert picks == each(*pool, budget, rng(seed)).tolist()


@pytest.mark.parametrize("strategy", ONE_BY_ONE)
@settings(deadline=None, max_examples=60)
@given(pool=pools(), budget=st.integers(0, 30), seed=st.integers(0, 99))
def test_a_larger_budget_only_adds(strategy: Strategy, pool: Pool, budget: int, seed: int) -> None:
    everything = strategy(*pool, len(pool[0]), rng(seed)).tolist()
    assert strategy(*pool, budget, rng(seed)).tolist() == everything[:budget]


@pytest.mark.parametrize("strategy", [uncertainty, k_center])
@given(seed=st.integers(0, 99))
def test_another_order_of_the_items_only_renames_the_picks(strategy: Strategy, seed: int) -> None:
    scores, points, order = rng(seed).random(30), rng(seed).normal(size=(30, 3)), rng(seed + 1).permutation(30)
    for plain, shuffled in zip(
        (strategy, balanced(strategy, np.arange(30) % 3)),
        (strategy, balanced(strategy, order % 3)),
        strict=True,
    ):
        picks = shuffled(scores[order], points[order], 12, rng())
        assert order[picks].tolist() == plain(scores, points, 12, rng()).tolist()


@pytest.mark.parametrize("strategy", ALL)
@pytest.mark.parametrize(
    ("scores", "embeddings", "budget", "said"),
    [
        (np.array([0.5, math.nan, math.nan]), np.zeros((3, 1)), 1, r"scores\[1\]: .* got nan"),
        (np.array([0.5, 0.5, 1.5]), np.zeros((3, 1)), 1, r"scores\[2\]: expected a number in \[0, 1\], got 1.5"),
        (np.array([[0.5, 0.5], [0.5, math.nan]]), np.zeros((2, 1)), 1, r"scores\[1\]: expected probabilities"),
        (np.zeros(3), np.array([[0.0], [0.0], [math.inf]]), 1, r"embeddings\[2\]: expected finite numbers"),
        (np.zeros(3), np.array([[0.0], [math.nan], [0.0]]), 1, r"embeddings\[1\]: expected finite numbers"),
        (np.zeros(3), np.array([[0.0], [-math.inf], [0.0]]), 1, r"embeddings\[1\]: expected finite numbers"),
        (np.zeros(3), np.zeros((2, 1)), 1, r"embeddings: expected shape \(3, d\), got \(2, 1\)"),
        (np.zeros(3), np.zeros(3), 1, r"embeddings: expected shape \(n, d\), got \(3,\)"),
        (np.zeros(3), np.zeros((3, 1), int), 1, "embeddings: expected floating-point numbers, got int64"),
        (np.zeros((3, 1)), np.zeros((3, 1)), 1, r"scores: expected probabilities of shape .*, got \(3, 1\)"),
        (np.zeros(3), np.zeros((3, 1)), -1, "budget: expected at least 0 items, got -1"),
    ],
)
def test_bad_input_is_named(strategy: Strategy, scores: Any, embeddings: Any, budget: int, said: str) -> None:
    for each in (strategy, *wrapped(strategy, len(scores))):
        with pytest.raises(InvalidInput, match=said):
            each(scores, embeddings, budget, rng())
