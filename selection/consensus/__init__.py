"""One label an item from the labels of several annotators, with how far they agree.

``agree`` makes questions of the labels of each item: which word stands in a slot, what a drawn object is, whether a
line is there. ``dawid_skene`` answers all of them at once, so that whoever is right more often counts for more, and
the answers become labels again. Who keeps the ``votes`` of each item can have them answered without the labels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from models.errors import InvalidInput
from models.records import LABEL_TYPES, Boxes, Label, Lanes, Task
from selection.consensus import boxes, lanes, words
from selection.consensus.dawid_skene import Verdict, Votes, judge

__all__ = ["Agreed", "Consensus", "Verdict", "Votes", "agree", "agreed", "answered", "label", "votes"]


@dataclass(frozen=True)
class Agreed:
    """The label that annotators give together, and how far they agree on it, in [0, 1].

    ``agreement`` is a mean over the words, boxes or lines that anyone gave: of words the share of annotators who say
    the winning one; of boxes the mean IoU of the fused box with what each of them drew; of lines the share of its
    length near what each of them drew; 0 for who drew nothing, or something where nothing won.
    """

    label: Label
    agreement: float


@dataclass(frozen=True)
class Consensus:
    """One agreed label an item, and each annotator's estimated share of right answers."""

    items: tuple[Agreed, ...]
    accuracy: Mapping[str, float]


def agree(task: Task, items: Sequence[Mapping[str, Label]]) -> Consensus:
    """The consensus of the labels (annotator -> label) of each item; all items teach how good each annotator is.

    Raises:
        InvalidInput: an item without labels, of another task, or of images of different sizes.
    """
    for number, labels in enumerate(items):
        _check(task, number, labels)
    asked = [_questions(task, labels) for labels in items]
    verdicts, accuracy = answered([asked_of for asked_of, _ in asked])
    found = [_agreed(task, drawn, said) for (_, drawn), said in zip(asked, verdicts, strict=True)]
    return Consensus(tuple(found), accuracy)


def votes(task: Task, labels: Mapping[str, Label]) -> list[Votes]:
    """What each annotator answers to each question of one item; the labels are as in ``agree``."""
    _check(task, 0, labels)
    return _questions(task, labels)[0]


def answered(items: Sequence[Sequence[Votes]]) -> tuple[list[Sequence[Verdict]], Mapping[str, float]]:
    """The verdicts on the questions of each item, and each annotator's estimated share of right answers."""
    judged = judge([vote for of_item in items for vote in of_item])
    verdicts = iter(judged.verdicts)
    return [tuple(islice(verdicts, len(of_item))) for of_item in items], judged.accuracy


def agreed(task: Task, labels: Mapping[str, Label], verdicts: Sequence[Verdict]) -> Agreed:
    """The label of one item by the verdicts on its ``votes``."""
    return _agreed(task, _questions(task, labels)[1], verdicts)


def label(task: Task, labels: Mapping[str, Label], verdicts: Sequence[Verdict]) -> Label:
    """The same without how far they agree."""
    return _label(task, _questions(task, labels)[1], verdicts)[0]


def _questions(task: Task, labels: Mapping[str, Any]) -> tuple[list[Votes], Any]:
    """The votes of each question, and what was drawn for it."""
    if task == "asr":
        return words.questions(labels), None
    drawn = _kind(task).clusters(labels)
    return [one.votes for one in drawn], (drawn, next(iter(labels.values())))


def _agreed(task: Task, drawn: Any, verdicts: Sequence[Verdict]) -> Agreed:
    found, shapes = _label(task, drawn, verdicts)
    if task == "asr":
        return Agreed(found, _mean([verdict.agreement for verdict in verdicts]))
    each = zip(drawn[0], verdicts, shapes, strict=True)
    return Agreed(found, _mean([_kind(task).agreement(*one) for one in each]))


def _label(task: Task, drawn: Any, verdicts: Sequence[Verdict]) -> tuple[Label, list[Any]]:
    """The label, and what became of everything that was drawn: a shape, or None."""
    if task == "asr":
        return words.label(verdicts), []
    clusters, image = drawn
    found = [_kind(task).fused(*one) for one in zip(clusters, verdicts, strict=True)]
    return type(image)(image.width, image.height, tuple(one for one in found if one is not None)), found


def _kind(task: Task) -> Any:
    return boxes if task == "detection" else lanes


def _mean(agreements: Sequence[float]) -> float:
    return float(np.mean(agreements)) if agreements else 1.0


def _check(task: Task, number: int, labels: Mapping[str, Label]) -> None:
    kind = LABEL_TYPES[task]
    if not labels or not all(isinstance(label, kind) for label in labels.values()):
        got = sorted({type(label).__name__ for label in labels.values()})
        raise InvalidInput(f"consensus[{number}]: expected at least one {kind.__name__}, got {got}")
    sizes = {(label.width, label.height) for label in labels.values() if isinstance(label, Boxes | Lanes)}
    if len(sizes) > 1:
        raise InvalidInput(f"consensus[{number}]: expected labels of one image, got sizes {sorted(sizes)}")
