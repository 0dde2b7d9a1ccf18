"""What was done and what it took, worked by hand."""

import pytest

from models.changes import Changes
from models.errors import InvalidInput
from selection.actions import Actions, spent_seconds
from selection.cost import Costs

COSTS = Costs(image_s=2, box_verify_s=1, box_adjust_s=4, box_draw_s=7, lane_verify_s=1, lane_adjust_s=5, lane_draw_s=9)


def test_images() -> None:
    # a look 2, four checks, two adjustments, one drawn
    did = Actions(Changes(kept=2, altered=1, removed=1, added=1), shown=True)
    assert spent_seconds("detection", did, COSTS) == 2 + 4 * 1 + 2 * 4 + 7
    assert spent_seconds("lane", did, COSTS) == 2 + 4 * 1 + 2 * 5 + 9
    from_nothing = Actions(Changes(added=3), shown=False)
    assert spent_seconds("detection", from_nothing, COSTS) == 2 + 3 * 7
    assert spent_seconds("lane", from_nothing, COSTS) == 2 + 3 * 9


@pytest.mark.parametrize(
    ("changes", "shown", "seconds"),
    [
        (Changes(kept=10), True, 2 * 1.8),  # a check
        (Changes(kept=8, altered=1, added=1), True, 2 * (1.8 + 0.2 * 3.2 / 0.3)),
        (Changes(kept=1, altered=1), True, 2 * 5.0),  # half of it wrong: as from nothing
        (Changes(removed=1), True, 2 * 5.0),  # nothing was said, and a word was shown
        (Changes(added=4), False, 2 * 5.0),
        (Changes(), False, 2 * 5.0),
    ],
)
def test_two_seconds_of_sound(changes: Changes, shown: bool, seconds: float) -> None:
    assert spent_seconds("asr", Actions(changes, shown, 2.0), Costs()) == pytest.approx(seconds)


def test_what_cannot_have_been_done() -> None:
    with pytest.raises(InvalidInput, match="expected the duration in seconds, got none"):
        spent_seconds("asr", Actions(Changes(kept=1), shown=True), Costs())
    with pytest.raises(InvalidInput, match="expected only additions where nothing was shown"):
        Actions(Changes(kept=1), shown=False)
