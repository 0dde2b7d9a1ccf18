"""A simulated annotator: knows the true labels, slips at a set rate, and takes the seconds of ``selection.cost``."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from models.errors import InvalidInput
from models.records import Boxes, Label, Lanes, Transcript
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
