"""What several people's labels of the same items are good for: one label that they agree on, and how good each is."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from models.records import Boxes, Item, Label, Lanes, Task
from models.tasks import differs
from selection.annotators import Standing, Work, standings
from selection.consensus import agree
from serving.store.records import Opinion, Opinions

SEVERAL = 2  # people make a consensus
MAJORITY = 3  # people make one that may prove one of them wrong


@dataclass(frozen=True)
class Agreed:
    """The label of an item, how many people gave one, and how far they agree, 1 where one person labelled alone."""

    item: Item
    label: Label
    people: int
    agreement: float


def agreed(task: Task, opinions: Callable[[], Iterable[Opinions]]) -> Iterator[Agreed]:
    """Every corrected item: with what people agree on where several labelled it, else with the label that counts.

    ``opinions`` is asked twice, first for the items with several labels, which are held in memory.
    """
    known = together(task, opinions())
    for one in opinions():
        yield known.get(one.item.id) or alone(one)


def together(task: Task, opinions: Iterable[Opinions]) -> dict[str, Agreed]:
    """What people agree on about each item that several of them labelled, by its id."""
    several = [(one.item, labels) for one in opinions if len(labels := _comparable(one)) >= SEVERAL]
    found = agree(task, [labels for _, labels in several]).items
    return {
        item.id: Agreed(item, one.label, len(labels), one.agreement)
        for (item, labels), one in zip(several, found, strict=True)
    }


def alone(one: Opinions) -> Agreed:
    """The label that counts, where nobody else gave one that can be compared."""
    return Agreed(one.item, one.counting.label, 1, 1.0)


def annotators(task: Task, opinions: Iterable[Opinions], is_gold: Callable[[str], bool]) -> list[Standing]:
    """How good and how fast each person is, by name.

    On gold items the known answer is the label that counts, where somebody else gave it: whoever gives the answer is
    not measured by it. Otherwise the answer is the consensus of ``MAJORITY`` people or more.
    """
    every = list(opinions)
    several = [one for one in every if len(_comparable(one)) >= MAJORITY]
    of_several = agree(task, [_comparable(one) for one in several]).items
    consensus = {one.item.id: found.label for one, found in zip(several, of_several, strict=True)}
    return standings(
        Work(
            given.annotator,
            given.seconds,
            right_on_gold=_right(task, given, one.counting.label)
            if is_gold(one.item.id) and not given.counts
            else None,
            right_with_others=_right(task, given, consensus[one.item.id]) if one.item.id in consensus else None,
        )
        for one in every
        for given in one.given
    )


def _right(task: Task, given: Opinion, answer: Label) -> bool:
    return _size(given.label) == _size(answer) and not differs(task, given.label, answer)


def _comparable(one: Opinions) -> dict[str, Label]:
    """The labels by person that are of the same image size as the one that counts."""
    size = _size(one.counting.label)
    return {given.annotator: given.label for given in one.given if _size(given.label) == size}


def _size(label: Label) -> tuple[int, int] | None:
    return (label.width, label.height) if isinstance(label, Boxes | Lanes) else None
