"""What a person did to one item, and the seconds that this takes by the constants of ``cost``.

``cost.expected_seconds`` says beforehand what an item will take; this says afterwards what it took. What was done is
kept apart from what it costs, so that the same work can be priced anew with other constants.
"""

from dataclasses import dataclass

from models import tasks
from models.changes import Changes
from models.errors import InvalidInput
from models.records import Boxes, Label, Lanes, Seconds, Task, Transcript
from selection.cost import Costs


@dataclass(frozen=True)
class Actions:
    """The changes to what was ``shown``, or where nothing was, a label made from nothing.

    ``duration_s`` is the length of a sound; images have none.
    """

    changes: Changes
    shown: bool
    duration_s: Seconds | None = None

    def __post_init__(self) -> None:
        if not self.shown and self.changes.shown:
            raise InvalidInput(f"actions: expected only additions where nothing was shown, got {self.changes}")


def actions(task: Task, shown: Label | None, given: Label, duration_s: Seconds | None = None) -> Actions:
    """What giving a label took, to whoever was ``shown`` one, or had to begin from nothing."""
    return Actions(
        tasks.changes(task, nothing(given) if shown is None else shown, given), shown is not None, duration_s
    )


def nothing(label: Label) -> Label:
    """The label of a medium like this in which there is nothing."""
    match label:
        case Transcript():
            return Transcript("")
        case Boxes():
            return Boxes(label.width, label.height)
        case Lanes():
            return Lanes(label.width, label.height)


def spent_seconds(task: Task, actions: Actions, costs: Costs) -> Seconds:
    """What these actions take, by the rules of ``cost``: of an image a look, a check of every part shown, an adjustment
    of each that is put right or taken away, a drawing of each that is added; of a sound its length times a ratio that
    rises with the word error rate of the transcript shown.

    Raises:
        InvalidInput: the length of a sound is not known.
    """
    changes = actions.changes
    wrong = changes.altered + changes.removed
    match task:
        case "asr":
            if actions.duration_s is None:
                raise InvalidInput("actions of asr: expected the duration in seconds, got none")
            word_error_rate = (wrong + changes.added) / max(1, changes.given)
            slope = (costs.transcribe_ratio - costs.check_ratio) / costs.break_even_wer
            corrected = costs.check_ratio + word_error_rate * slope
            ratio = min(costs.transcribe_ratio, corrected) if actions.shown else costs.transcribe_ratio
            return actions.duration_s * ratio
        case "detection":
            checks = changes.shown * costs.box_verify_s + wrong * costs.box_adjust_s
            return costs.image_s + checks + changes.added * costs.box_draw_s
        case "lane":
            checks = changes.shown * costs.lane_verify_s + wrong * costs.lane_adjust_s
            return costs.image_s + checks + changes.added * costs.lane_draw_s
