"""Which items each strategy hands out, on a waiting list small enough to work out by hand."""

from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from pydantic import ValidationError

from serving.ordering import WINDOW, order_of, picked
from serving.settings import QueueStrategy
from serving.store.queue import Waiting
from tests.serving.work import settings

# Two clumps on a line, and an item apart. Half the doubt for a tenth of the seconds is worth more a second.
PLACES = np.array([[0.0], [1.0], [2.0], [10.0], [11.0], [12.0], [30.0]], np.float32)
WAITING = Waiting(
    p_error=np.array([0.1, 0.8, 0.7, 0.4, 0.3, 0.2, 0.05]),
    seconds=np.array([5.0, 50.0, 50.0, 5.0, 5.0, 5.0, 5.0]),
    embeddings=PLACES,
    known=PLACES[:0],
)


def picks(strategy: QueueStrategy, budget: int, waiting: Waiting = WAITING) -> list[int]:
    found: list[int] = picked(strategy, waiting, budget, np.random.default_rng(0)).tolist()
    return found


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        ("uncertainty", [1, 2, 3]),
        ("per-second", [3, 4, 5]),  # 0.08, 0.06, 0.04 a second
        ("k-center", [1, 6, 5]),  # the most doubtful, then the farthest: 29, then 11 from item 1
        ("typiclust", [1, 4, 6]),  # the middles of the clumps
        ("cluster-margin", [6, 1, 3]),  # of each clump the most doubtful, the smallest clump first
    ],
)
def test_each_strategy_by_hand(strategy: QueueStrategy, expected: list[int]) -> None:
    assert picks(strategy, 3) == expected


def test_badge_begins_with_doubt_times_length() -> None:
    assert picks("badge", 1) == [3]  # 0.4 * 10 is more than 0.05 * 30 and 0.3 * 11
    assert len(set(picks("badge", 7))) == 7


@pytest.mark.parametrize(("strategy", "expected"), [("k-center", [6]), ("typiclust", [6])])
def test_what_people_have_is_kept_away_from(strategy: QueueStrategy, expected: list[int]) -> None:
    had = Waiting(WAITING.p_error, WAITING.seconds, PLACES, np.array([[1.1], [11.1]], np.float32))
    assert picks(strategy, 1, had) == expected
    assert picks(strategy, 1) != expected


def test_an_item_that_takes_no_time_takes_a_second() -> None:
    quick = Waiting(np.array([0.5, 0.1]), np.array([1.0, 0.0]), PLACES[:2], PLACES[:0])
    assert picks("per-second", 2, quick) == [0, 1]


@pytest.mark.parametrize("strategy", get_args(QueueStrategy))
def test_every_strategy_of_the_settings_orders_the_queue(strategy: QueueStrategy) -> None:
    order = order_of(strategy, 2, 1, seed=0)
    assert order.audits == 1
    assert len(set(picks(strategy, 2))) == 2
    assert order.by == ("draw" if strategy in ("random", "typiclust") else "priority")
    if strategy in ("random", "uncertainty"):
        assert order.choose is None
        return
    assert order.choose is not None
    assert order.window == WINDOW
    assert len(set(order.choose(WAITING, 2))) == 2
    assert order.choose(WAITING, 2) == order.choose(WAITING, 2)


def test_no_other_strategy_is_taken(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="'random', 'uncertainty', 'per-second'"):
        settings(tmp_path, strategy="best")
