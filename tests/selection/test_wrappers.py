"""Strategies made of strategies: hand-worked tables, then what always holds."""

import math
from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import InvalidInput
from selection.strategies import Strategy, badge, balanced, distinct, k_center, random, spaced, typiclust, uncertainty
from tests.selection.pools import Pool, pools, rng

SCORES = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4])
NOWHERE = np.zeros((6, 0))


@pytest.mark.parametrize(
    ("groups", "labelled", "picks"),
    [
        ("aaaabb", None, [0, 4, 1, 5, 2, 3]),  # in turn, until b is used up
        ("bbaaaa", None, [0, 2, 1, 3, 4, 5]),  # the more doubtful first, whatever a group is called
        ("aaaabb", {"a": 1}, [4, 0, 5, 1, 2, 3]),
        ("aaaabb", {"a": 5, "z": 9}, [4, 5, 0, 1, 2, 3]),
        ("aabbcc", {"a": 1, "b": 1}, [4, 0, 2, 5, 1, 3]),
        (["x", None, "x", None, "x", "x"], None, [0, 1, 2, 3, 4, 5]),  # none is a group like any other
        ([0, 0, 0, 1, 1, 1], {0: 2}, [3, 4, 0, 5, 1, 2]),
    ],
)
def test_groups_take_turns(groups: Any, labelled: dict[Any, int] | None, picks: list[int]) -> None:
    strategy = balanced(uncertainty, groups, labelled)
    for budget in range(7):
        assert strategy(SCORES, NOWHERE, budget, rng()).tolist() == picks[:budget]


def test_each_group_is_chosen_from_by_the_strategy() -> None:
    points = np.array([[0.0], [1.0], [9.0], [50.0], [58.0], [59.0]])
    # From 0 and from 50 (the most doubtful of each), the farthest are 9 and 59.
    assert balanced(k_center, "aaabbb")(SCORES, points, 4, rng()).tolist() == [0, 3, 2, 5]


@pytest.mark.parametrize(
    ("keys", "picks"),
    [
        ("aabbab", [0, 2]),
        ("abcdef", [0, 1, 2, 3, 4, 5]),
        (["a", None, "a", None, "b", "b"], [0, 1, 3, 4]),
        ([7] * 6, [0]),
    ],
)
def test_one_item_of_each_key(keys: Any, picks: list[int]) -> None:
    assert distinct(uncertainty, keys)(SCORES, NOWHERE, 6, rng()).tolist() == picks
    assert distinct(uncertainty, keys)(SCORES, NOWHERE, 1, rng()).tolist() == picks[:1]


@pytest.mark.parametrize(
    ("sequences", "places", "apart", "picks"),
    [
        ("aaaaaa", [0, 1, 2, 3, 4, 5], 2, [0, 2, 4]),
        ("aaaaaa", [0, 1, 2, 3, 4, 5], 1, [0, 1, 2, 3, 4, 5]),
        ("aaaaaa", [3, 2, 4, 1, 5, 0], 2, [0, 3, 4]),
        ("ababab", [0, 0, 1, 1, 2, 2], 2, [0, 1, 4, 5]),  # each sequence has its own places
        ([None] * 6, [0] * 6, 9, [0, 1, 2, 3, 4, 5]),
        ("aaaaaa", [0.0, 0.5, 0.9, 1.0, 1.9, 2.0], 1.0, [0, 3, 5]),
    ],
)
def test_neighbours_are_hidden(sequences: Any, places: list[float], apart: float, picks: list[int]) -> None:
    assert spaced(uncertainty, sequences, places, apart)(SCORES, NOWHERE, 6, rng()).tolist() == picks


def test_what_people_have_hides_its_neighbours() -> None:
    known = [("a", 3), ("c", 0), (None, 1), ("a", 3), ("b", 9.5)]
    strategy = spaced(uncertainty, ["a", "a", "a", "b", None, "a"], [0, 1, 2, 10, 1, 5], 2, known)
    assert strategy(SCORES, NOWHERE, 6, rng()).tolist() == [0, 4, 5]


@pytest.mark.parametrize("strategy", [random, uncertainty, k_center, badge, typiclust])
@settings(deadline=None, max_examples=40)
@given(pool=pools(), budget=st.integers(0, 30), seed=st.integers(0, 99), data=st.data())
def test_wrappers_nest_in_any_order(
    strategy: Strategy, pool: Pool, budget: int, seed: int, data: st.DataObject
) -> None:
    n = len(pool[0])
    column = st.lists(st.integers(0, 3), min_size=n, max_size=n)
    groups, prompts, clips, frames = (data.draw(column) for _ in range(4))
    makers: dict[str, Callable[[Strategy], Strategy]] = {
        "balanced": lambda inner: balanced(inner, groups),
        "distinct": lambda inner: distinct(inner, prompts),
        "spaced": lambda inner: spaced(inner, clips, frames, 2),
    }
    order = data.draw(st.permutations(list(makers)))
    for name in order:
        strategy = makers[name](strategy)
    picks = strategy(*pool, budget, rng(seed)).tolist()
    assert len(picks) == len(set(picks)) <= budget
    assert picks == strategy(*pool, budget, rng(seed)).tolist()
    assert bool(picks) == bool(n and budget)
    for i, j in combinations(picks, 2):
        if order.index("distinct") > order.index("balanced") or groups[i] == groups[j]:
            assert prompts[i] != prompts[j]
        if order.index("spaced") > order.index("balanced") or groups[i] == groups[j]:
            assert clips[i] != clips[j] or abs(frames[i] - frames[j]) >= 2


@given(pool=pools(), budget=st.integers(0, 30), data=st.data())
@settings(deadline=None)
def test_balance_is_as_even_as_can_be(pool: Pool, budget: int, data: st.DataObject) -> None:
    n = len(pool[0])
    groups = data.draw(st.lists(st.sampled_from("abc"), min_size=n, max_size=n))
    had = data.draw(st.dictionaries(st.sampled_from("abc"), st.integers(0, 9)))
    picks = balanced(uncertainty, groups, had)(*pool, budget, rng()).tolist()
    assert len(picks) == min(budget, n)
    have = {group: had.get(group, 0) + sum(groups[i] == group for i in picks) for group in groups}
    more = {group for i, group in enumerate(groups) if i not in picks}  # groups that could still give
    grew = {groups[i] for i in picks}
    assert all(have[one] <= have[other] + 1 for one in grew for other in more)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: balanced(random, ["a", math.nan]), r"groups\[1\]: expected a key, got nan"),
        (lambda: distinct(random, np.array([math.nan, 1.0])), r"keys\[0\]: expected a key, got nan"),
        (lambda: spaced(random, [math.nan], [0], 1), r"sequences\[0\]: expected a key, got nan"),
        (lambda: spaced(random, "aa", [0, math.nan], 1), r"places\[1\]: expected a finite number, got nan"),
        (lambda: spaced(random, "aa", [0, 1], 1, [("a", 1), ("a", math.nan)]), r"known\[1\]: expected a finite number"),
        (lambda: spaced(random, "aa", [0], 1), r"places: expected shape \(2,\) as sequences, got \(1,\)"),
        (lambda: spaced(random, "aa", [0, 1], 0), "apart: expected a number > 0, got 0"),
        (lambda: spaced(random, "aa", [0, 1], math.nan), "apart: expected a number > 0, got nan"),
    ],
)
def test_what_is_wrong_with_a_column_is_named(make: Any, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        make()


def test_a_wrapped_strategy_is_for_its_own_pool() -> None:
    with pytest.raises(InvalidInput, match="expected the 5 items that the strategy was made for, got 6"):
        distinct(uncertainty, "abcde")(SCORES, NOWHERE, 1, rng())
