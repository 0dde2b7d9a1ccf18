"""Costs: the formulas of the literature, worked by hand."""

import pytest

from models.errors import InvalidInput
from models.records import Box, Boxes, Lane, Lanes, Transcript
from selection.cost import Costs, expected_seconds, from_scratch_seconds

COSTS = Costs(image_s=2, box_verify_s=1, box_adjust_s=4, box_draw_s=7, lane_verify_s=1, lane_adjust_s=5, lane_draw_s=9)
BOXES = Boxes(100, 100, (Box((0, 0, 9, 9), "car", 0.75), Box((20, 20, 40, 40), "car", 0.5)))
LANES = Lanes(100, 100, (Lane(((1, 1), (2, 2)), (), 0.8),))


def test_boxes() -> None:
    features = {"expected_missed": 0.5}
    # a look 2 + two checks 2 + (0.25 + 0.5) adjustments of 4 + half a box to draw 3.5
    assert expected_seconds("detection", BOXES, 0.9, features, None, COSTS) == pytest.approx(10.5)
    assert from_scratch_seconds("detection", BOXES, features, None, COSTS) == pytest.approx(2 + 1.75 * 7)


def test_lanes() -> None:
    features = {"expected_missed": 0.1}
    assert expected_seconds("lane", LANES, 0.0, features, None, COSTS) == pytest.approx(2 + 1 + 0.2 * 5 + 0.1 * 9)
    assert from_scratch_seconds("lane", LANES, features, None, COSTS) == pytest.approx(2 + 0.9 * 9)


@pytest.mark.parametrize(
    ("wer", "seconds"), [(0.0, 18.0), (0.15, 34.0), (0.30, 50.0), (0.9, 50.0)], ids=["right", "half", "even", "wrong"]
)
def test_an_utterance_of_ten_seconds(wer: float, seconds: float) -> None:
    features = {"expected_wer": wer}
    label = Transcript("one two three")
    assert expected_seconds("asr", label, 0.0, features, 10.0, COSTS) == pytest.approx(seconds)
    assert from_scratch_seconds("asr", label, features, 10.0, COSTS) == 50.0


def test_a_likely_error_costs_at_least_the_smallest_change() -> None:
    sure = Boxes(100, 100, (Box((0, 0, 9, 9), "car", 1.0),))
    assert expected_seconds("detection", sure, 0.5, {"expected_missed": 0.0}, None, COSTS) == 2 + 1 + 0.5 * 4


def test_what_is_missing_is_named() -> None:
    with pytest.raises(InvalidInput, match="expected the feature 'expected_missed', got"):
        expected_seconds("detection", BOXES, 0.1, {"boxes": 2.0}, None, COSTS)
    with pytest.raises(InvalidInput, match="expected the duration in seconds, got none"):
        expected_seconds("asr", Transcript("x"), 0.1, {"expected_wer": 0.0}, None, COSTS)
    with pytest.raises(InvalidInput, match=r"Costs\.box_draw_s: expected a number > 0, got 0"):
        Costs(box_draw_s=0)
