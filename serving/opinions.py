"""What several people's labels of the same items are good for: one label that they agree on, and whose are right."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from models.matters import Matters
from models.records import Item, Label, Task
from models.tasks import differs
from selection.annotators import Share, Speed, Standing
from selection.consensus import agree
from serving.sizes import size_of
from serving.store.records import Opinions

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
    several = [(one.item, labels) for one in opinions if len(labels := comparable(one)) >= SEVERAL]
    found = agree(task, [labels for _, labels in several]).items
    return {
        item.id: Agreed(item, one.label, len(labels), one.agreement)
        for (item, labels), one in zip(several, found, strict=True)
    }


def alone(one: Opinions) -> Agreed:
    """The label that counts, where nobody else gave one that can be compared."""
    return Agreed(one.item, one.counting.label, 1, 1.0)


def overview(found: Iterable[tuple[Task, Standing]]) -> tuple[Sequence[str], list[tuple[str, ...]]]:
    """Columns and rows for people, one a task and person."""
    columns = "task", "annotator", "labels", "s a label", "right on gold", "95 %", "s there", "right by others", "95 %"
    rows: list[tuple[str, ...]] = [
        (task, one.annotator, str(one.labels), _seconds(one.speed), *_shares(one.gold), _seconds(one.gold_speed),
         *_shares(one.consensus))
        for task, one in found
    ]  # fmt: skip
    return columns, rows


def _seconds(speed: Speed | None) -> str:
    return f"{speed.median:.1f}" if speed else ""


def _shares(share: Share) -> tuple[str, str]:
    if not share.of:
        return "", ""
    return f"{share.right} of {share.of}", f"{100 * share.low:.0f} to {100 * share.high:.0f} %"


def right(task: Task, given: Label, answer: Label, matters: Matters) -> bool:
    """Whether a label says the same as the known answer, as far as it matters."""
    return size_of(given) == size_of(answer) and not differs(task, given, answer, matters)


def comparable(one: Opinions) -> dict[str, Label]:
    """The labels by person that are of the same image size as the one that counts; not what was said to be measured."""
    size = size_of(one.counting.label)
    return {given.annotator: given.label for given in one.given if size_of(given.label) == size and not given.planted}
