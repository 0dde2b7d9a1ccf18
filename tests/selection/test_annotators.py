"""Shares and speeds of annotators: tables from books, then how often the intervals are right."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest

from models.errors import InvalidInput
from selection.annotators import Work, share, speed, standings


@pytest.mark.parametrize(
    ("right", "of", "low", "high"),
    [(0, 0, 0, 1), (0, 10, 0, 0.3085), (10, 10, 0.6915, 1), (9, 10, 0.5550, 0.9975), (50, 100, 0.3983, 0.6017)],
)
def test_exact_intervals(right: int, of: int, low: float, high: float) -> None:
    found = share([True] * right + [False] * (of - right) + [None] * 3)
    assert (found.right, found.of) == (right, of)
    assert found.low == pytest.approx(low, abs=1e-4)
    assert found.high == pytest.approx(high, abs=1e-4)


@given(st.integers(0, 40), st.integers(0, 40))
def test_intervals_are_those_of_the_exact_test(right: int, wrong: int) -> None:
    found = share([True] * right + [False] * wrong)
    if right + wrong:
        exact = binomtest(right, right + wrong).proportion_ci(0.95, method="exact")
        assert found.low == pytest.approx(exact.low)
        assert found.high == pytest.approx(exact.high)


def test_the_median_lies_between_two_of_the_values() -> None:
    """Of 10 values the 2nd and the 9th: P(Bin(10, 1/2) <= 1) = 1.07 %, and with the 3rd it would be 5.5 %."""
    found = speed([10.0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    assert (found.n, found.total, found.median, found.low, found.high) == (10, 55, 5.5, 2, 9)


def test_five_values_say_nothing_of_the_median() -> None:
    found = speed([1.0] * 5)
    assert (found.low, found.high) == (None, None)
    assert speed([1.0] * 6).low == 1  # 2 * (1/2)^6 = 3.1 %


@pytest.mark.parametrize("n", [6, 9, 17, 18, 30, 101])
def test_the_interval_is_as_narrow_as_it_may_be(n: int) -> None:
    found = speed([float(i) for i in range(n)])
    assert found.low is not None
    below = int(found.low)
    assert 2 * binom.cdf(below, n, 0.5) <= 0.05 < 2 * binom.cdf(below + 1, n, 0.5)
    assert found.high == n - 1 - below


def test_a_break_hardly_moves_it() -> None:
    work = np.random.default_rng(0).uniform(4, 8, 40).tolist()
    assert abs(speed([*work, 3600.0]).median - speed(work).median) < 0.2


@pytest.mark.parametrize("seconds", [[], [float("nan")], [-1.0]])
def test_no_seconds_are_refused(seconds: list[float]) -> None:
    with pytest.raises(InvalidInput, match="seconds: expected finite numbers"):
        speed(seconds)


def test_one_standing_a_person() -> None:
    work = [
        Work("bob", 4, right_on_gold=True, right_with_others=False),
        Work("ada", 2, right_with_others=True),
        Work("bob", 8),
    ]
    ada, bob = standings(work)
    assert ada.speed is not None
    assert bob.speed is not None
    assert (ada.annotator, ada.speed.n, ada.gold.of, ada.consensus.right) == ("ada", 1, 0, 1)
    assert (bob.annotator, bob.speed.median, bob.gold.right, bob.consensus.right, bob.consensus.of) == (
        "bob",
        6,
        1,
        0,
        1,
    )


def test_the_speed_on_gold_is_that_of_planted_items_alone() -> None:
    (ada,) = standings([Work("ada", 2, right_on_gold=False), Work("ada", 4, right_on_gold=True), Work("ada", 9)])
    assert ada.gold_speed is not None
    assert (ada.labels, ada.gold_speed.n, ada.gold_speed.median) == (3, 2, 3)


def test_where_no_seconds_were_told_there_is_no_speed() -> None:
    ada, bob = standings([Work("ada", 0), Work("bob", 0), Work("bob", 8), Work("bob", 0)])
    assert ada.speed is None
    assert bob.speed is not None
    assert (bob.speed.n, bob.speed.median) == (1, 8)
