"""From which confidence on boxes are shown: by hand, and against plain counting."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import InvalidInput
from selection.cost import Costs
from selection.showing import STEP, least_confidence


@pytest.mark.parametrize(
    ("boxes", "least"),
    [
        ([(0.9, True), (0.6, True), (0.2, True)], 0.2),  # all are right: hiding one costs 7 s, showing it 1.7 s
        ([(0.9, False), (0.6, False)], 0.95),  # none is: nothing is shown
        ([(0.9, True), (0.6, False), (0.4, True)], 0.4),  # 5.2 s to show the false one, 5.3 s saved by the right one
        ([(0.9, True), (0.6, False), (0.5, False), (0.4, True)], 0.9),  # two false ones cost more than that
    ],
)
def test_by_hand(boxes: list[tuple[float, bool]], least: float) -> None:
    confidences, right = zip(*boxes, strict=True)
    assert least_confidence(confidences, right, Costs()) == pytest.approx(least)


def test_true_confidences_are_shown_from_one_half_on() -> None:
    confidences = np.random.default_rng(0).random(200_000)
    right = np.random.default_rng(1).random(200_000) < confidences
    assert least_confidence(confidences, right, Costs()) == 0.5


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=30))
def test_no_other_confidence_is_cheaper(boxes: list[tuple[float, bool]]) -> None:
    costs = Costs()

    def spent(least: float) -> float:
        shown = [right for confidence, right in boxes if confidence >= least]
        hidden = [right for confidence, right in boxes if confidence < least]
        looks = len(shown) * costs.box_verify_s + (len(shown) - sum(shown)) * costs.box_adjust_s
        return looks + sum(hidden) * costs.box_draw_s

    confidences, right = zip(*boxes, strict=True)
    least = least_confidence(confidences, right, costs)
    every = [round(STEP * step, 2) for step in range(1, 20)]
    assert least in every
    assert spent(least) == pytest.approx(min(map(spent, every)))


def test_no_boxes_say_nothing() -> None:
    with pytest.raises(InvalidInput, match="expected boxes, got none"):
        least_confidence([], [], Costs())
