"""Which labels are probably wrong, and why: what a model says of each medium, against the label given for it.

``transcripts`` asks how likely the given text is to the recogniser, ``boxes`` and ``rehearsal`` what an error would
look like to the detector, ``lanes`` how far the lines are from the predicted distribution. A model's own mistakes look
like errors of a label, so this is an order in which to look, and no verdict.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from models.errors import InvalidInput
from models.records import Boxes, Label, Lanes, Task, Transcript
from selection.suspects import lanes, rehearsal, transcripts
from selection.suspects.findings import Finding, Suspicion

L = TypeVar("L", Transcript, Boxes, Lanes)

LEAST_TOLD = 0.05  # less suspicious parts of a label are not spoken of

__all__ = ["Finding", "Suspicion", "suspicions", "worst_first"]


def suspicions(task: Task, labels: Sequence[Label], said: Sequence[Any], rng: np.random.Generator) -> list[Suspicion]:
    """One suspicion a label, in their order.

    Args:
        task: of all of them.
        labels: as they were given.
        said: what one model says of each medium: for speech ``models.asr.posterior.Heard``, which knows the given text,
            for boxes ``models.detection.seen.Seen``, for lanes a ``Prediction``.
        rng: decides which errors are rehearsed.

    Raises:
        InvalidInput: a label of another task.
    """
    match task:
        case "asr":
            found = transcripts.suspicions(_all(Transcript, labels), said)
        case "detection":
            found = rehearsal.suspicions(_all(Boxes, labels), said, rng)
        case "lane":
            found = lanes.suspicions(_all(Lanes, labels), said)
    return [_worth_telling(one) for one in found]


def worst_first(found: Sequence[Suspicion], item_ids: Sequence[str]) -> list[int]:
    """The places of the labels, the most suspicious first; ties by item id."""
    return sorted(range(len(found)), key=lambda place: (-found[place].score, item_ids[place]))


def _all(kind: type[L], labels: Sequence[Label]) -> list[L]:
    of_kind = [label for label in labels if isinstance(label, kind)]
    if len(of_kind) < len(labels):
        number = next(number for number, label in enumerate(labels) if not isinstance(label, kind))
        raise InvalidInput(f"suspects[{number}]: expected {kind.__name__}, got {type(labels[number]).__name__}")
    return of_kind


def _worth_telling(found: Suspicion) -> Suspicion:
    return replace(found, findings=tuple(one for one in found.findings if one.score >= LEAST_TOLD))
