"""What was done and what it took, worked by hand."""

from dataclasses import replace

import pytest

from models.changes import Changes
from models.errors import InvalidInput
from models.records import Label, Task, Transcript, Word
from selection.actions import Actions, actions, part_actions, spent_seconds
from selection.cost import Costs
from selection.parts import Plan
from tests.small_labels import boxes, lines

COSTS = Costs(image_s=2, box_verify_s=1, box_adjust_s=4, box_draw_s=7, lane_verify_s=1, lane_adjust_s=5, lane_draw_s=9)


def test_images() -> None:
    # a look 2, four checks, two adjustments, one drawn
    did = Actions(Changes(kept=2, altered=1, removed=1, added=1), shown=True)
    assert spent_seconds("detection", did, COSTS) == 2 + 4 * 1 + 2 * 4 + 7
    assert spent_seconds("lane", did, COSTS) == 2 + 4 * 1 + 2 * 5 + 9
    assert spent_seconds("detection", did, replace(COSTS, box_verify_s=3)) == 2 + 4 * 3 + 2 * 4 + 7
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


SAID = Transcript("one two ten", tuple(Word(text, i, i + 0.5) for i, text in enumerate(("one", "two", "ten"))))


@pytest.mark.parametrize(
    ("task", "said", "given", "plan", "seconds"),
    [
        # a look 2 and one check 1: the accepted box is not looked at, right or wrong
        ("detection", boxes(0, 20), boxes(0, 20), Plan((0,), (1,), True), 2 + 1),
        # shown: one right, one moved (4), one taken away (4); one drawn (7)
        ("detection", boxes(0, 20, 40, 80), boxes(0, 20, 44, 60), Plan((0,), (1, 2, 3), True), 2 + 3 + 4 + 4 + 7),
        # nothing shown: the question alone, and one drawn
        ("detection", boxes(0, 20), boxes(0, 20, 60), Plan((0, 1), (), True), 2 + 7),
        ("detection", boxes(0), boxes(), Plan((), (0,), False), 2 + 1 + 4),
        ("lane", lines(100, 200), lines(100, 200, 300), Plan((1,), (0,), True), 2 + 1 + 9),
        ("lane", lines(100, 200), lines(200), Plan((1,), (0,), False), 2 + 1 + 5),
        # "ten" is heard from 1 s to 3.5 s and typed anew: one of three words
        ("asr", SAID, Transcript("one two six"), Plan((0, 1), (2,), False), 1.8 * 2.5 + 1 / 3 * 3.2 / 0.3 * 10),
        ("asr", SAID, Transcript("one two six"), Plan((0, 1), (2,), True), 5.0 * 10),  # never more than typing it all
        # two words, 2.5 s each; four words of which one was missing
        ("asr", SAID, SAID, Plan((0,), (1, 2), False), 1.8 * 5),
        ("asr", SAID, Transcript("one two ten six"), Plan((0, 1, 2), (), True), 1.8 * 10 + 1 / 4 * 3.2 / 0.3 * 10),
    ],
)
def test_the_doubtful_parts_alone(task: Task, said: Label, given: Label, plan: Plan, seconds: float) -> None:
    duration_s = 10.0 if task == "asr" else None
    assert spent_seconds(task, part_actions(task, said, given, plan, duration_s), COSTS) == pytest.approx(seconds)


def test_each_word_is_heard_with_what_stands_before_and_after_it() -> None:
    one, costs = part_actions("asr", SAID, SAID, Plan((0, 1), (2,), False), 10.0), replace(COSTS, context_s=3)
    assert spent_seconds("asr", one, costs) == pytest.approx(1.8 * (3 + 0.5 + 3))


def test_words_of_a_short_sound_cost_no_more_than_all_of_it() -> None:
    assert spent_seconds("asr", part_actions("asr", SAID, SAID, Plan((0,), (1, 2), False), 3.0), COSTS) == 1.8 * 3
    wrong = part_actions("asr", SAID, Transcript("six five ten"), Plan((), (0, 1, 2), False), 3.0)
    assert spent_seconds("asr", wrong, COSTS) == 5.0 * 3


def test_all_shown_and_asked_is_a_review() -> None:
    for task, said, given in (("detection", boxes(0, 20), boxes(1, 60)), ("lane", lines(9, 200), lines(200, 300))):
        every = Plan((), (0, 1), True)
        assert part_actions(task, said, given, every) == actions(task, said, given)  # type: ignore[arg-type]
