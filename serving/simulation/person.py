"""A simulated annotator: knows the true labels, slips at a set rate, and takes the seconds of ``selection.cost``."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from models.asr.transcripts import joined, normalise
from models.errors import InvalidInput
from models.parts import PartErrors
from models.records import Boxes, Label, Lanes, Task, Transcript
from models.tasks import part_errors
from selection.parts import Plan
from selection.routing import draw

Part = TypeVar("Part")


@dataclass(frozen=True)
class Person:
    """Someone who gives the true label but for a slip in a share ``mistakes`` of the items.

    A slip is one part of a label: a word that is another one of ``vocabulary`` or missing, a box or a line that is
    missing. The same person makes the same slip at an item whenever asked, whatever is shown; others slip elsewhere.
    """

    mistakes: float = 0.0
    seed: int = 0
    vocabulary: Sequence[str] = ()
    name: str = "ada"

    def __post_init__(self) -> None:
        if not 0 <= self.mistakes < 1:
            raise InvalidInput(f"simulated annotator: expected a share of mistakes in [0, 1), got {self.mistakes}")

    def label(self, item_id: str, truth: Label) -> Label:
        """What this person says of an item; where there is nothing in it, nothing can be missed."""
        if self._draw(item_id, "slip") >= self.mistakes:
            return truth
        place = self._draw(item_id, "slip where")
        match truth:
            case Transcript():
                return self._misheard(truth.text.split(), place, self._draw(item_id, "slip to what"))
            case Boxes():
                return replace(truth, boxes=_without(truth.boxes, place))
            case Lanes():
                return replace(truth, lanes=_without(truth.lanes, place))

    def mended(self, task: Task, item_id: str, truth: Label, said: Label, plan: Plan) -> Label:
        """What this person makes of an item, of which some parts alone are shown.

        Accepted parts stay as the model said, right or wrong; those shown become what is there, or go where nothing is.
        What no part stands for, not even a wrong one, is added where it is asked for. Whoever slips does so as at the
        whole item: what they overlook they do not add, or take away if it was shown.
        """
        true = self.label(item_id, truth)
        errors = part_errors(task, said, true)
        if errors.stands_for is None:
            return true
        match said, true:
            case Boxes(), Boxes():
                return replace(true, boxes=tuple(_mended(said.boxes, true.boxes, plan, errors)))
            case Lanes(), Lanes():
                return replace(true, lanes=tuple(_mended(said.lanes, true.lanes, plan, errors)))
            case Transcript(), Transcript():
                words = [word.text for word in said.words]
                return Transcript(joined(_mended(words, normalise(true.text).split(), plan, errors)))
        raise InvalidInput(f"simulated annotator: expected two labels of {task}, got {said} and {true}")

    def _draw(self, item_id: str, what: str) -> float:
        return draw(item_id, self.seed, f"{self.name}: {what}")

    def _misheard(self, words: list[str], place: float, to_what: float) -> Transcript:
        if words:
            at = int(place * len(words))
            others = [word for word in self.vocabulary if word != words[at]]
            words[at : at + 1] = [others[int(to_what * len(others))]] if others else []
        return Transcript(" ".join(words))


def _without(parts: tuple[Part, ...], place: float) -> tuple[Part, ...]:
    at = int(place * len(parts))
    return parts[:at] + parts[at + 1 :]


def _mended(said: Sequence[Part], true: Sequence[Part], plan: Plan, errors: PartErrors) -> Iterator[Part]:
    """The parts of a label, those that are added where they belong among the others."""
    missing = sorted(set(range(len(true))) - {row for rows in errors.stands_for or () for row in rows})
    if not plan.asked:
        missing = []
    for row, stands_for in enumerate(errors.stands_for or ()):
        while missing and stands_for and missing[0] < stands_for[0]:
            yield true[missing.pop(0)]
        yield from [said[row]] if row in plan.accepted else [true[one] for one in stands_for]
    yield from (true[one] for one in missing)
