"""An item as a card: its medium seen from afar, its label drawn on it, and the parts that a person must look at."""

from dataclasses import dataclass
from datetime import datetime

from models.drawing.shapes import Drawing, Outline, draw
from models.records import Label, Lanes, Transcript
from selection.cost import part_doubts
from selection.parts import Plan
from serving.store.records import OPEN, Answer

DOUBTFUL = 0.4  # a part about which the model is less sure than that stands out


@dataclass(frozen=True)
class Card:
    """A label in shapes; the places of its parts that are ``doubtful``, and of those that were ``accepted`` unseen."""

    label: Label
    drawing: Drawing
    doubtful: frozenset[int]
    accepted: frozenset[int]

    @property
    def is_sound(self) -> bool:
        """Whether it is heard, not seen."""
        return isinstance(self.label, Transcript)


def card(answer: Answer, duration_s: float | None) -> Card:
    """The card of a version's answer."""
    return card_of(answer.preannotation.label, answer.decision.parts, duration_s)


def card_of(label: Label, parts: Plan | None, duration_s: float | None) -> Card:
    """The card of a label; where parts are promised, those that a person sees are the doubtful ones."""
    doubts = part_doubts(label)
    if parts is not None:
        doubtful, accepted = frozenset(parts.shown), frozenset(parts.accepted)
    else:
        doubtful, accepted = frozenset(i for i, doubt in enumerate(doubts) if doubt >= DOUBTFUL), frozenset()
    return Card(label, draw(label, _sound(label, duration_s)), doubtful, accepted)


def _sound(label: Label, duration_s: float | None) -> Outline | None:
    """How long the sound is, by the words if nothing else is known; its peaks are drawn elsewhere."""
    if not isinstance(label, Transcript):
        return None
    ends = [word.end_s for word in label.words]
    return Outline(max([duration_s or 0.0, *ends, 1e-3]), ())


def is_late(due: datetime | None, state: str, now: datetime) -> bool:
    """Whether an item that is due still lacks the label that it could get."""
    return due is not None and due < now and state in OPEN


def parts_of(label: Label) -> int:
    """How many words, boxes or lines there are."""
    match label:
        case Transcript():
            return len(label.words) or len(label.text.split())
        case Lanes():
            return len(label.lanes)
    return len(label.boxes)
