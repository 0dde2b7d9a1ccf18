"""Strategies: small tables, a slow plain greedy k-center, then properties."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.errors import InvalidInput
from selection import strategies
from selection.strategies import Strategy, k_center, random, uncertainty

ALL = [random, uncertainty, k_center]
Pool = tuple[NDArray[np.float64], NDArray[np.float32]]


def _rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@st.composite
def pools(draw: st.DrawFn) -> Pool:
    """Scores with many ties, and embeddings on a coarse grid (ties, copies) or of any finite size."""
    n, d = draw(st.integers(0, 25)), draw(st.integers(0, 4))
    scores = draw(st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=n, max_size=n))
    value = draw(st.sampled_from([st.integers(-2, 2), st.floats(-1e4, 1e4, width=32)]))
    rows = draw(st.lists(st.lists(value, min_size=d, max_size=d), min_size=n, max_size=n))
    return np.array(scores, np.float64), np.array(rows, np.float32).reshape(n, d)


def plain_k_center(scores: NDArray[np.float64], embeddings: NDArray[np.float32], budget: int) -> list[int]:
    """Word for word: the highest score, then always the item farthest from its nearest pick; ties go to the first."""
    points = [[float(value) for value in row] for row in embeddings]
    picks: list[int] = []
    while len(picks) < min(budget, len(points)):
        left = [i for i in range(len(points)) if i not in picks]
        if picks:
            best = max(left, key=lambda i: (min(_square(points[i], points[j]) for j in picks), -i))
        else:
            best = max(left, key=lambda i: (scores[i], -i))
        picks.append(best)
    return picks


def _square(first: list[float], second: list[float]) -> float:
    # The squares are summed by numpy, so that both round alike and exact ties stay ties.
    away = np.array([[a - b for a, b in zip(first, second, strict=True)]])
    return float(np.einsum("nd,nd->n", away, away)[0])


@given(pools(), st.integers(0, 30))
@settings(deadline=None)
def test_k_center_is_the_plain_greedy_one(pool: Pool, budget: int) -> None:
    assert k_center(*pool, budget, _rng()).tolist() == plain_k_center(*pool, budget)


def test_k_center_is_the_plain_greedy_one_across_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strategies, "_CHUNK", 50)  # 7 rows at a time
    embeddings = _rng().normal(size=(60, 7)).astype(np.float32)
    scores = _rng(1).random(60)
    assert k_center(scores, embeddings, 60, _rng()).tolist() == plain_k_center(scores, embeddings, 60)


def test_k_center_sees_differences_that_single_precision_loses() -> None:
    # Items 1 and 2 are 1 + 2e-8 and 1 + 1e-8 from item 0, squared: in single precision both are 1, and 1 would win.
    embeddings = np.array([[0, 0], [1, 1e-4], [1, 1.4e-4]], np.float32)
    assert k_center(np.array([1.0, 0, 0]), embeddings, 2, _rng()).tolist() == [0, 2]


@pytest.mark.parametrize(
    ("scores", "ranked"),
    [([0.1, 0.9, 0.5], [1, 2, 0]), ([0.5, 0.5, 0.5], [0, 1, 2]), ([0.0, 1.0, -0.0, 1.0], [1, 3, 0, 2]), ([], [])],
)
def test_uncertainty_ranks_by_score_then_index(scores: list[float], ranked: list[int]) -> None:
    assert uncertainty(np.array(scores), np.zeros((len(scores), 0)), len(scores), _rng()).tolist() == ranked


def test_many_ties_keep_the_order_of_the_items() -> None:
    scores = np.tile([0.2, 0.8], 200)
    expected = [*range(1, 400, 2), *range(0, 400, 2)]
    assert uncertainty(scores, np.zeros((400, 0)), 400, _rng()).tolist() == expected


def test_k_center_spreads_over_a_line() -> None:
    places = np.array([[0.0], [1.0], [2.0], [9.0], [10.0]])
    assert k_center(np.array([0.9, 0.1, 0.1, 0.1, 0.1]), places, 5, _rng()).tolist() == [0, 4, 2, 1, 3]


def test_random_draws_evenly() -> None:
    counts = np.zeros(10)
    rng = _rng()
    for _ in range(2000):
        counts[random(np.linspace(0, 1, 10), np.zeros((10, 1)), 3, rng)] += 1
    assert np.abs(counts - 600).max() < 5 * math.sqrt(2000 * 0.3 * 0.7)


@pytest.mark.parametrize("strategy", ALL)
@settings(deadline=None, max_examples=60)
@given(pool=pools(), budget=st.integers(0, 30), seed=st.integers(0, 99))
def test_every_strategy_picks_distinct_items_and_repeats_itself(
    strategy: Strategy, pool: Pool, budget: int, seed: int
) -> None:
    picks = strategy(*pool, budget, _rng(seed)).tolist()
    assert len(picks) == len(set(picks)) == min(budget, len(pool[0]))
    assert set(picks) <= set(range(len(pool[0])))
    assert picks == strategy(*pool, budget, _rng(seed)).tolist()
    assert picks == strategy(*pool, len(pool[0]), _rng(seed)).tolist()[:budget]


@pytest.mark.parametrize("strategy", ALL)
@pytest.mark.parametrize(
    ("scores", "embeddings", "budget", "said"),
    [
        (np.array([0.5, math.nan, math.nan]), np.zeros((3, 1)), 1, r"scores\[1\]: .* got nan"),
        (np.zeros(3), np.array([[0.0], [0.0], [math.inf]]), 1, r"embeddings\[2\]: expected finite numbers"),
        (np.zeros(3), np.array([[0.0], [math.nan], [0.0]]), 1, r"embeddings\[1\]: expected finite numbers"),
        (np.zeros(3), np.zeros((2, 1)), 1, r"embeddings: expected shape \(3, d\), got \(2, 1\)"),
        (np.zeros(3), np.zeros(3), 1, r"embeddings: expected shape \(3, d\), got \(3,\)"),
        (np.zeros((3, 1)), np.zeros((3, 1)), 1, r"scores: expected shape \(n,\), got \(3, 1\)"),
        (np.zeros(3), np.zeros((3, 1)), -1, "budget: expected at least 0 items, got -1"),
    ],
)
def test_bad_input_is_named(strategy: Strategy, scores: Any, embeddings: Any, budget: int, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        strategy(scores, embeddings, budget, _rng())
