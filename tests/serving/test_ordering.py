"""Which items each strategy hands out, on a waiting list small enough to work out by hand."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from pydantic import ValidationError

from models.records import Box, Boxes, Item, Label, Lane, Lanes, Transcript
from selection.queueing import StrategyName
from serving.ordering import WINDOW, order_of, picked
from serving.store.order import Waiting
from tests.serving.work import boxes, settings


def frame(clip: str | None, number: int) -> Item:
    return Item(f"{clip}-{number}", f"file:///frames-2/{clip}_{number:05}.left.jpg", clip)


# Two clumps on a line, and an item apart. Half the doubt for a tenth of the seconds is worth more a second.
PLACES = np.array([[0.0], [1.0], [2.0], [10.0], [11.0], [12.0], [30.0]], np.float32)
WAITING = Waiting(
    task="detection",
    items=[frame("a", i) for i in range(7)],
    p_error=np.array([0.1, 0.8, 0.7, 0.4, 0.3, 0.2, 0.05]),
    seconds=np.array([5.0, 50.0, 50.0, 5.0, 5.0, 5.0, 5.0]),
    embeddings=PLACES,
    had=[],
    known=PLACES[:0],
    labels={},
)


def picks(strategy: StrategyName, budget: int, waiting: Waiting = WAITING, **more: Any) -> list[int]:
    chosen = settings(Path("nowhere"), **more)
    found: list[int] = picked(chosen, strategy, waiting, budget).tolist()
    assert found == picked(chosen, strategy, waiting, budget).tolist()
    return found


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(4, []), (12, [3, 4]), (25, [3, 4, 5, 0, 6]), (77, [3, 4, 5, 0, 1, 6]), (1000, [3, 4, 5, 0, 1, 2, 6])],
)
def test_what_fits_into_the_seconds_of_a_person_by_what_each_is_worth(seconds: float, expected: list[int]) -> None:
    found = picked(settings(Path("nowhere")), "uncertainty", WAITING, 7, seconds)
    assert found.tolist() == expected


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
def test_each_strategy_by_hand(strategy: StrategyName, expected: list[int]) -> None:
    assert picks(strategy, 3) == expected


def test_badge_begins_with_doubt_times_length() -> None:
    assert picks("badge", 1) == [3]  # 0.4 * 10 is more than 0.05 * 30 and 0.3 * 11
    assert len(set(picks("badge", 7))) == 7


@pytest.mark.parametrize(("strategy", "expected"), [("k-center", [6]), ("typiclust", [6])])
def test_what_people_have_is_kept_away_from(strategy: StrategyName, expected: list[int]) -> None:
    had = replace(WAITING, known=np.array([[1.1], [11.1]], np.float32))
    assert picks(strategy, 1, had) == expected
    assert picks(strategy, 1) != expected


def test_an_item_that_takes_no_time_takes_a_second() -> None:
    quick = replace(WAITING, seconds=np.array([0.0, *WAITING.seconds[1:]]))
    assert picks("per-second", 2, quick) == [0, 3]  # 0.1 and 0.08 a second


@pytest.mark.parametrize("strategy", get_args(StrategyName))
def test_every_strategy_of_the_settings_orders_the_queue(strategy: StrategyName) -> None:
    order = order_of(settings(Path("nowhere")), strategy, 2)
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


def test_groups_take_turns_whatever_the_strategy() -> None:
    waiting = replace(WAITING, items=[frame(clip, i) for i, clip in enumerate(["a", "a", "a", "a", "b", "b", None])])
    assert picks("uncertainty", 7, waiting, balance="group") == [1, 4, 6, 2, 5, 3, 0]
    had = replace(waiting, had=[frame("b", 0), frame("b", 1), frame(None, 3), frame("z", 1)])
    assert picks("uncertainty", 7, had, balance="group") == [1, 2, 6, 3, 4, 5, 0]
    assert picks("k-center", 3, waiting, balance="group") == [1, 4, 6]
    assert picks("per-second", 3, waiting, balance="group") == [3, 4, 6]


def saying(*labels: Label, had: Sequence[Label] = ()) -> Waiting:
    """The seven items with these labels, and what people had."""
    known = [frame("z", i) for i in range(len(had))]
    said = {item.id: label for item, label in zip([*WAITING.items, *known], [*labels, *had], strict=True)}
    return replace(WAITING, had=known, labels=said)


def test_classes_take_turns() -> None:
    car, none = boxes("car"), boxes()
    rare = Boxes(99, 9, (Box((0, 0, 9, 9), "car", 0.9), Box((9, 0, 20, 9), "tram", 0.3)))
    labels = [car, car, car, rare, none, rare, none]
    assert picks("uncertainty", 4, saying(*labels), balance="class") == [1, 3, 4, 2]
    assert picks("uncertainty", 4, saying(*labels, had=[rare, none]), balance="class") == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("most", "few"),
    [(Transcript("yes"), Transcript("no")), (Lanes(9, 9, (Lane(((1, 1), (2, 2))),)), Lanes(9, 9))],
)
def test_words_and_numbers_of_lanes_are_classes(most: Label, few: Label) -> None:
    assert picks("uncertainty", 4, saying(*[most] * 5, few, few), balance="class") == [1, 5, 2, 6]


def test_frames_near_to_others_wait() -> None:
    assert picks("uncertainty", 7, frames_apart=2) == [1, 3, 5]
    assert picks("uncertainty", 7, frames_apart=3) == [1, 4]
    had = replace(WAITING, had=[frame("a", 2), frame("b", 5)])
    assert picks("uncertainty", 7, had, frames_apart=2) == [4, 0, 6]
    assert picks("random", 7, had, frames_apart=9) == []


def test_what_is_no_frame_of_a_clip_is_near_to_nothing() -> None:
    for item in (frame(None, 4), Item("1", "file:///frames-2/left.jpg", "a")):
        waiting = replace(WAITING, items=[item] * 7, had=[item])
        assert len(picks("uncertainty", 7, waiting, frames_apart=9)) == 7
    assert len(picks("uncertainty", 7, replace(WAITING, task="asr"), frames_apart=9)) == 7


def test_names_may_hold_numbers_of_any_length() -> None:
    endless = Item("1", f"file:///{'7' * 500}.jpg", "a")
    assert picks("uncertainty", 7, replace(WAITING, items=[endless] * 7), frames_apart=9) == [1]


@pytest.mark.parametrize("more", [{"balance": "group"}, {"balance": "class"}, {"frames_apart": 2}])
@pytest.mark.parametrize("strategy", get_args(StrategyName))
def test_turns_and_distance_go_with_every_strategy(strategy: StrategyName, more: dict[str, Any]) -> None:
    order = order_of(settings(Path("nowhere"), **more), strategy, 2)
    assert order.choose is not None
    assert order.reads_labels == (more == {"balance": "class"})
    assert len(set(order.choose(saying(*[boxes("car")] * 7), 2))) == 2
    nothing = Waiting("detection", [], np.empty(0), np.empty(0), PLACES[:0], [], PLACES[:0], {})
    assert order.choose(nothing, 2) == []
