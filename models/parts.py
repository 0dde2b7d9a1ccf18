"""A label as parts: which words, boxes or lines of it a person would change, and whether any is missing."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from models.arrays import Bools
from models.counting import counted
from models.records import Boxes, Label, Lanes, Transcript


@dataclass(frozen=True, eq=False)
class PartErrors:
    """``wrong`` (p,) of the predicted parts; ``missing`` counts the true ones that no predicted part stands for.

    A true part whose place a wrong one takes is not missing: who looks at the wrong one finds it. ``stands_for`` (p,)
    are the rows of the true parts that each predicted one stands for, right or wrong: one or none, of a word as many as
    it is read as; None where the words of a text cannot be told apart.
    """

    wrong: Bools
    missing: int
    stands_for: tuple[tuple[int, ...], ...] | None


def has_parts(label: Label) -> bool:
    """Whether a label can be looked at part by part; a text whose words nobody aligned cannot."""
    return bool(label.words) or not label.text.strip() if isinstance(label, Transcript) else True


def nothing(label: Label) -> Label:
    """The label of a medium like this in which there is nothing."""
    match label:
        case Transcript():
            return Transcript("")
        case Boxes():
            return Boxes(label.width, label.height)
        case Lanes():
            return Lanes(label.width, label.height)


def tell_empty(labels: Sequence[Label]) -> str | None:
    """In how many items nothing is labelled, for whoever did not expect that; None where something is in each."""
    empty = sum(label == nothing(label) for label in labels)
    return f"nothing is labelled in {empty} of {counted(len(labels), 'item')}" if empty else None


def each_alone(label: Label) -> Sequence[Label]:
    """Each word, box or line (p,) as the only one of its label."""
    match label:
        case Transcript():
            return [Transcript(word.text, (word,)) for word in label.words]
        case Boxes():
            return [replace(label, boxes=(box,)) for box in label.boxes]
        case Lanes():
            return [replace(label, lanes=(lane,)) for lane in label.lanes]
