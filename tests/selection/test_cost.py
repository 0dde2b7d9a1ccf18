"""Costs: the formulas worked by hand, then properties."""

import math
from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import InvalidInput
from models.records import Box, Boxes, Label, Lane, Lanes, Task, Transcript, Word
from selection.cost import Costs, expected_seconds, from_scratch_seconds, part_doubts, parts_seconds

COSTS = Costs(image_s=2, box_verify_s=1, box_adjust_s=4, box_draw_s=7, lane_verify_s=1, lane_adjust_s=5, lane_draw_s=9)
BOXES = Boxes(100, 100, (Box((0, 0, 9, 9), "car", 0.75), Box((20, 20, 40, 40), "car", 0.5)))
LANES = Lanes(512, 100, (Lane(((1, 1), (2, 2)), (), 0.8),))
WORDS = Transcript("one two three")
TASKS: list[tuple[Task, Label, str]] = [
    ("asr", WORDS, "expected_wer"),
    ("detection", BOXES, "expected_missed"),
    ("lane", LANES, "expected_missed"),
]


def test_boxes() -> None:
    features = {"expected_missed": 0.5}
    # a look 2, two checks 2, (0.25 + 0.5) adjustments of 4, half a box to draw of 7
    assert expected_seconds("detection", BOXES, 0.9, features, None, COSTS) == pytest.approx(2 + 2 + 3 + 3.5)
    assert from_scratch_seconds("detection", BOXES, features, None, COSTS) == pytest.approx(2 + (0.75 + 0.5 + 0.5) * 7)


def test_each_part_that_is_seen_is_verified() -> None:
    features, dear = {"expected_missed": 0.5}, replace(COSTS, box_verify_s=3.5)
    assert expected_seconds("detection", BOXES, 0.9, features, None, dear) == pytest.approx(2 + 2 * 3.5 + 3 + 3.5)
    assert parts_seconds("detection", BOXES, [1], False, features, None, dear) == pytest.approx(2 + 3.5 + 2)


def test_lines() -> None:
    features = {"expected_missed": 0.1}
    assert expected_seconds("lane", LANES, 0.0, features, None, COSTS) == pytest.approx(2 + 1 + 0.2 * 5 + 0.1 * 9)
    assert from_scratch_seconds("lane", LANES, features, None, COSTS) == pytest.approx(2 + (0.8 + 0.1) * 9)


def test_points_of_a_line_that_may_be_off_are_moved() -> None:
    # On 512 px a point is off beyond 8 px: with deviation 8 that happens with probability 0.3173, with 0 never.
    doubtful = Lanes(512, 100, (Lane(((1, 1), (2, 2)), (8.0, 0.0)),))
    seconds = expected_seconds("lane", doubtful, 0.0, {"expected_missed": 0.0}, None, COSTS)
    assert seconds == pytest.approx(2 + 1 + 0.3173 / 2 * 5, abs=1e-3)
    scratch = from_scratch_seconds("lane", doubtful, {"expected_missed": 0.0}, None, COSTS)
    assert scratch == pytest.approx(2 + (1 - 0.3173 / 2) * 9, abs=1e-3)


@pytest.mark.parametrize(("wer", "seconds"), [(0.0, 18.0), (0.15, 34.0), (0.30, 50.0), (0.9, 50.0)])
def test_ten_seconds_of_speech(wer: float, seconds: float) -> None:
    assert expected_seconds("asr", WORDS, 0.0, {"expected_wer": wer}, 10.0, COSTS) == pytest.approx(seconds)
    assert from_scratch_seconds("asr", WORDS, {"expected_wer": wer}, 10.0, COSTS) == 50.0


def test_a_likely_error_is_at_least_one_change() -> None:
    sure = Boxes(100, 100, (Box((0, 0, 9, 9), "car", 1.0),))
    assert expected_seconds("detection", sure, 0.5, {"expected_missed": 0.0}, None, COSTS) == 2 + 1 + 0.5 * 4
    line = Lanes(100, 100, (Lane(((1, 1), (2, 2))),))
    assert expected_seconds("lane", line, 0.5, {"expected_missed": 0.0}, None, COSTS) == 2 + 1 + 0.5 * 5
    # one of three words is wrong with probability 0.6: a word error rate of 0.2
    seconds = expected_seconds("asr", WORDS, 0.6, {"expected_wer": 0.0}, 10.0, COSTS)
    assert seconds == pytest.approx(10 * (1.8 + 0.2 * 3.2 / 0.3))


SPOKEN = Transcript("one two", (Word("one", 1.0, 1.5, 0.9), Word("two", 2.0, 3.0, 0.4)))


def test_doubtful_parts_alone() -> None:
    features = {"expected_missed": 0.5}
    assert part_doubts(BOXES).tolist() == [0.25, 0.5]
    # a look 2, one check 1, half an adjustment of 4; with the question half a box to draw of 7
    assert parts_seconds("detection", BOXES, [1], False, features, None, COSTS) == 2 + 1 + 2
    assert parts_seconds("detection", BOXES, [1], True, features, None, COSTS) == 2 + 1 + 2 + 3.5
    assert parts_seconds("detection", BOXES, [], True, features, None, COSTS) == 2 + 3.5
    assert parts_seconds("lane", LANES, [0], False, features, None, COSTS) == pytest.approx(2 + 1 + 0.2 * 5)
    # "two" is heard from 1 s to 4 s and typed with probability 0.6: half of the words, 10.67 s a second of sound
    hears = parts_seconds("asr", SPOKEN, [1], False, {}, 10.0, COSTS)
    assert hears == pytest.approx(1.8 * 3 + 0.6 / 2 * 3.2 / 0.3 * 10)
    asked = parts_seconds("asr", SPOKEN, [1], True, {}, 10.0, COSTS)
    assert asked == pytest.approx(1.8 * 10 + 0.6 / 2 * 3.2 / 0.3 * 10)
    assert parts_seconds("asr", SPOKEN, [0, 1], True, {}, 1.0, COSTS) == 5.0  # never more than typing it all


@pytest.mark.parametrize(("task", "label", "name"), [*TASKS[1:], ("asr", SPOKEN, "expected_wer")])
def test_nothing_shown_and_nothing_asked_is_free_and_all_of_it_is_a_review(task: Task, label: Label, name: str) -> None:
    features, every = {name: 0.0}, range(len(part_doubts(label)))
    assert parts_seconds(task, label, [], False, {}, None, COSTS) == 0
    if task == "asr":
        features = {name: float(part_doubts(label).mean())}
    whole = parts_seconds(task, label, every, True, features, 10.0, COSTS)
    assert whole == pytest.approx(expected_seconds(task, label, 0.0, features, 10.0, COSTS))


@given(st.lists(st.booleans(), min_size=2, max_size=2), st.booleans())
def test_showing_more_never_costs_less(shown: list[bool], asked: bool) -> None:
    for task, label in (("detection", BOXES), ("asr", SPOKEN)):
        rows = [row for row, is_shown in enumerate(shown) if is_shown]
        seconds = parts_seconds(task, label, rows, asked, {"expected_missed": 0.5}, 10.0, COSTS)  # type: ignore[arg-type]
        assert seconds <= parts_seconds(task, label, [0, 1], True, {"expected_missed": 0.5}, 10.0, COSTS)  # type: ignore[arg-type]


def test_an_empty_label_costs_a_look_and_what_it_missed() -> None:
    empty, features = Boxes(100, 100), {"expected_missed": 0.25}
    assert expected_seconds("detection", empty, 0.0, features, None, COSTS) == 2 + 0.25 * 7
    assert from_scratch_seconds("detection", empty, features, None, COSTS) == 2 + 0.25 * 7


@pytest.mark.parametrize(("task", "label", "name"), TASKS)
def test_a_missing_feature_is_named(task: Task, label: Label, name: str) -> None:
    with pytest.raises(InvalidInput, match=rf"cost of {task}: expected the feature '{name}', got \['other'\]"):
        expected_seconds(task, label, 0.5, {"other": 1.0}, 1.0, COSTS)


def test_speech_needs_its_duration() -> None:
    with pytest.raises(InvalidInput, match="cost of asr: expected the duration in seconds, got none"):
        expected_seconds("asr", WORDS, 0.5, {"expected_wer": 0.1}, None, COSTS)
    with pytest.raises(InvalidInput, match="cost of asr: expected the duration in seconds, got none"):
        from_scratch_seconds("asr", WORDS, {}, None, COSTS)


@pytest.mark.parametrize("name", [field.name for field in fields(Costs)])
@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan, math.inf])
def test_constants_are_checked(name: str, bad: float) -> None:
    with pytest.raises(InvalidInput, match=rf"Costs\.{name}: expected a finite number > 0, got {bad}"):
        replace(COSTS, **{name: bad})


@pytest.mark.parametrize(("task", "label", "name"), TASKS)
@given(p_errors=st.tuples(st.floats(0, 1), st.floats(0, 1)), values=st.tuples(st.floats(0, 9), st.floats(0, 9)))
def test_more_doubt_never_costs_less(
    task: Task, label: Label, name: str, p_errors: tuple[float, float], values: tuple[float, float]
) -> None:
    surer, doubtful = sorted(p_errors)
    better, worse = sorted(values)
    least = expected_seconds(task, label, surer, {name: better}, 10.0, COSTS)
    assert 0 < least <= expected_seconds(task, label, doubtful, {name: better}, 10.0, COSTS)
    assert least <= expected_seconds(task, label, doubtful, {name: worse}, 10.0, COSTS)
