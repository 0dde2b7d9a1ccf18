"""A budget in seconds: a hand-worked batch, a plain greedy reference, and that it is never exceeded."""

import math
from fractions import Fraction
from itertools import combinations
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
    distinct,
    k_center,
    random,
    spaced,
    uncertainty,
    within_seconds,
)
from tests.selection.pools import Pool, pools, rng


def test_a_hand_worked_batch() -> None:
    # A second brings 0.03, 0.05, 0.1, 0.04: by that, 2 s and 10 s and 20 s are taken; 30 s never fit into 36.
    scores, seconds = np.array([0.9, 0.5, 0.2, 0.8]), np.array([30.0, 10.0, 2.0, 20.0])
    nowhere = np.zeros((4, 0))
    for budget_s, picks in [
        (0, []),
        (1.9, []),
        (2, [2]),
        (11.9, [2]),
        (12, [2, 1]),
        (36, [2, 1, 3]),
        (62, [2, 1, 3, 0]),
    ]:
        assert within_seconds(uncertainty, scores, nowhere, seconds, budget_s, rng()).tolist() == picks


def test_seconds_left_go_to_cheaper_items() -> None:
    # 5 s of the best item; the second best does not fit into the 4 s left, the two cheap ones do.
    scores, seconds = np.array([1.0, 0.9, 0.1, 0.1]), np.array([5.0, 5.0, 2.0, 2.0])
    assert within_seconds(uncertainty, scores, np.zeros((4, 0)), seconds, 9, rng()).tolist() == [0, 2, 3]


def test_sums_of_seconds_are_exact() -> None:
    seconds = np.full(10, 0.1)  # a little more than a tenth, as a binary number: ten of them are more than 1
    assert len(within_seconds(uncertainty, np.ones(10), np.zeros((10, 0)), seconds, 1.0, rng())) == 9


@given(pool=pools(), budget_s=st.integers(0, 400), data=st.data())
@settings(deadline=None)
def test_it_is_the_plain_greedy_one(pool: Pool, budget_s: int, data: st.DataObject) -> None:
    scores, points = pool
    n = len(scores)
    quarters = data.draw(st.lists(st.integers(1, 100), min_size=n, max_size=n))
    seconds, left, expected = np.array(quarters) / 4, budget_s / 4, []
    for item in sorted(range(n), key=lambda i: (-Fraction(float(scores[i])) / Fraction(float(seconds[i])), i)):
        if seconds[item] <= left:
            expected.append(item)
            left -= seconds[item]
    assert within_seconds(uncertainty, scores, points, seconds, budget_s / 4, rng()).tolist() == expected


@pytest.mark.parametrize("strategy", [random, uncertainty, k_center, badge, "balanced"])
@given(pool=pools(), budget_s=st.floats(0, 100), data=st.data(), seed=st.integers(0, 9))
@settings(deadline=None, max_examples=50)
def test_it_is_never_exceeded_and_nothing_that_fits_is_left(
    strategy: Any, pool: Pool, budget_s: float, data: st.DataObject, seed: int
) -> None:
    n = len(pool[0])
    seconds = np.array(data.draw(st.lists(st.floats(1e-3, 60), min_size=n, max_size=n)))
    each: Strategy = balanced(uncertainty, np.arange(n) % 3) if strategy == "balanced" else strategy
    picks = within_seconds(each, *pool, seconds, budget_s, rng(seed)).tolist()
    left = Fraction(budget_s) - sum(Fraction(float(seconds[i])) for i in picks)
    assert len(picks) == len(set(picks))
    assert left >= 0
    assert all(Fraction(float(seconds[i])) > left for i in range(n) if i not in picks)
    assert picks == within_seconds(each, *pool, seconds, budget_s, rng(seed)).tolist()


def test_what_is_taken_hides_what_is_like_it_to_the_end() -> None:
    # What is unlike costs 9 s of 10; the 1 s left would pay for item 3 or 4, were they not like those that are taken.
    scores, seconds = np.array([1.0, 0.9, 0.8, 0.05, 0.04, 0.03]), np.array([2.0, 3, 3, 1, 1, 1])
    for strategy in (distinct(uncertainty, "abcabd"), spaced(uncertainty, "aaaaaa", [0, 10, 20, 1, 9, 30], 3)):
        assert within_seconds(strategy, scores, np.zeros((6, 0)), seconds, 10, rng()).tolist() == [0, 1, 2, 5]


def test_turns_go_on_where_they_were() -> None:
    # 6 s may pay for two items: a's and b's best, of which b's is too dear after all. It is still b's turn.
    scores, seconds = np.array([1.0, 1.0, 0.5, 0.4]), np.array([2.0, 5.0, 3.0, 3.0])
    turns = balanced(uncertainty, "abab")
    assert within_seconds(turns, scores, np.zeros((4, 0)), seconds, 6, rng()).tolist() == [0, 3]


@given(pool=pools(), budget_s=st.integers(0, 40), data=st.data())
@settings(deadline=None)
def test_no_two_alike_in_a_batch(pool: Pool, budget_s: float, data: st.DataObject) -> None:
    n = len(pool[0])
    column = st.lists(st.integers(0, 3), min_size=n, max_size=n)
    clips, frames, seconds = data.draw(column), data.draw(column), 1.0 + np.array(data.draw(column))
    strategy = distinct(spaced(uncertainty, clips, frames, 2), list(zip(clips, frames, strict=True)))
    picks = within_seconds(strategy, *pool, seconds, budget_s, rng()).tolist()
    assert all(clips[i] != clips[j] or abs(frames[i] - frames[j]) >= 2 for i, j in combinations(picks, 2))


@pytest.mark.parametrize("budget_s", [-1.0, math.nan, math.inf])
def test_a_bad_budget_is_named(budget_s: float) -> None:
    with pytest.raises(InvalidInput, match="budget_s: expected a finite number of seconds >= 0, got"):
        within_seconds(uncertainty, np.zeros(1), np.zeros((1, 1)), np.ones(1), budget_s, rng())


def test_bad_seconds_are_named() -> None:
    with pytest.raises(InvalidInput, match=r"seconds\[1\]: expected a finite number > 0, got nan"):
        within_seconds(uncertainty, np.zeros(2), np.zeros((2, 1)), np.array([1, math.nan]), 1, rng())


def test_probabilities_reach_the_strategy_as_they_are() -> None:
    seen = []

    def watched(scores: Any, embeddings: Any, budget: int, draws: np.random.Generator) -> Any:
        seen.append(scores)
        return uncertainty(scores, embeddings, budget, draws)

    probabilities = np.array([[0.5, 0.5], [0.9, 0.1]])
    assert within_seconds(watched, probabilities, np.zeros((2, 1)), np.ones(2), 2, rng()).tolist() == [0, 1]
    assert np.array_equal(seen[0], probabilities)
