"""What a person did to one item, and the seconds that this takes by the constants of ``cost``.

``cost.expected_seconds`` says beforehand what an item will take; this says afterwards what it took. What was done is
kept apart from what it costs, so that the same work can be priced anew with other constants.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from models import tasks
from models.changes import Changes
from models.errors import InvalidInput
from models.parts import nothing
from models.records import Box, Boxes, Label, Lane, Lanes, Seconds, Task, Transcript
from selection.cost import Costs
from selection.parts import Plan

Part = TypeVar("Part", Box, Lane)


@dataclass(frozen=True)
class Heard:
    """So many words of a sound, ``words_s`` long together, each with its neighbourhood; or ``whole``, all of it."""

    words: int
    words_s: Seconds
    whole: bool


@dataclass(frozen=True)
class Actions:
    """The changes to what was ``shown``, or where nothing was, a label made from nothing.

    ``duration_s`` is the length of a sound, ``heard`` what a person heard of it who was shown some words alone; images
    have none.
    """

    changes: Changes
    shown: bool
    duration_s: Seconds | None = None
    heard: Heard | None = None

    def __post_init__(self) -> None:
        if not self.shown and self.changes.shown:
            raise InvalidInput(f"actions: expected only additions where nothing was shown, got {self.changes}")


def actions(task: Task, shown: Label | None, given: Label, duration_s: Seconds | None = None) -> Actions:
    """What giving a label took, to whoever was ``shown`` one, or had to begin from nothing."""
    return Actions(
        tasks.changes(task, nothing(given) if shown is None else shown, given), shown is not None, duration_s
    )


def part_actions(task: Task, said: Label, given: Label, plan: Plan, duration_s: Seconds | None = None) -> Actions:
    """What giving a label took to whoever was shown some parts alone of what was ``said``.

    Of an image nobody looks at the parts that were accepted, so they are in no count. Of a text the accepted words are
    among those that were kept: an edit counts as a share of all words, whoever hears how many of them.
    """
    if isinstance(said, Transcript):
        spans = [said.words[row].end_s - said.words[row].start_s for row in plan.shown]
        heard = Heard(len(spans), sum(spans), plan.asked)
        return Actions(tasks.changes(task, said, given), True, duration_s, heard)
    accepted = [_parts(said)[row] for row in plan.accepted]
    return actions(task, _without(said, accepted), _without(given, accepted))


def _parts(label: Boxes | Lanes) -> Sequence[Box | Lane]:
    return label.boxes if isinstance(label, Boxes) else label.lanes


def _without(label: Label, parts: Sequence[Box | Lane]) -> Label:
    """The label of an image without some parts; of equal ones as many go as are named."""
    match label:
        case Boxes():
            return replace(label, boxes=_left(label.boxes, parts))
        case Lanes():
            return replace(label, lanes=_left(label.lanes, parts))
        case Transcript():
            raise InvalidInput("actions: expected the label of an image, got a transcript")


def _left(there: Sequence[Part], parts: Sequence[Box | Lane]) -> tuple[Part, ...]:
    gone, left = list(parts), list[Part]()
    for part in there:
        if part in gone:
            gone.remove(part)
        else:
            left.append(part)
    return tuple(left)


def spent_seconds(task: Task, actions: Actions, costs: Costs) -> Seconds:
    """What these actions take, by the rules of ``cost``: of an image a look, a check of every part shown, an adjustment
    of each that is put right or taken away, a drawing of each that is added; of a sound its length times a ratio that
    rises with the word error rate of the transcript shown. Who hears some words alone checks no more than these.

    Raises:
        InvalidInput: the length of a sound is not known.
    """
    changes = actions.changes
    wrong = changes.altered + changes.removed
    if task == "asr":
        if actions.duration_s is None:
            raise InvalidInput("actions of asr: expected the duration in seconds, got none")
        word_error_rate = (wrong + changes.added) / max(1, changes.given)
        checked = costs.check_ratio * _heard_share(actions, actions.duration_s, costs)
        corrected = checked + word_error_rate * costs.edit_ratio
        ratio = min(costs.transcribe_ratio, corrected) if actions.shown else costs.transcribe_ratio
        return actions.duration_s * ratio
    verify_s, adjust_s, draw_s = costs.of_a_part(task)
    return costs.image_s + (changes.shown * verify_s + wrong * adjust_s) + changes.added * draw_s


def _heard_share(actions: Actions, duration_s: Seconds, costs: Costs) -> float:
    """The share of a sound that a person hears."""
    heard = actions.heard
    if heard is None or heard.whole or duration_s <= 0:
        return 1.0
    return min(1.0, (heard.words_s + 2 * heard.words * costs.context_s) / duration_s)
