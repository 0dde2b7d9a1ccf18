"""An evaluation: what a model says about labelled items, against their labels."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models import media, tasks
from models.records import Item, Label, Task
from models.tasks import Measured, Runtime


@dataclass(frozen=True)
class Evaluation:
    """The metrics over n items, and per item the model's doubt and whether a person would change its label.

    ``scores`` is (n,) in [0, 1], ``errors`` is (n,) bool; both in the order of the items.
    """

    measured: Measured
    ids: tuple[str, ...]
    scores: NDArray[np.float64]
    errors: NDArray[np.bool_]


def evaluate(task: Task, runtime: Runtime, pairs: Iterable[tuple[Item, Label]]) -> Evaluation:
    """Predicts every item and compares with its label."""
    ids, scores, labels = [], [], []
    for item, truth in pairs:
        prediction = runtime.predict(read_item(task, item))
        ids.append(item.id)
        scores.append(prediction.score)
        labels.append((prediction.label, truth))
    errors = [tasks.differs(task, predicted, truth) for predicted, truth in labels]
    return Evaluation(
        measured=tasks.measure(task, labels),
        ids=tuple(ids),
        scores=np.array(scores, dtype=np.float64),
        errors=np.array(errors, dtype=np.bool_),
    )


def quality(task: Task, onnx: Path, pairs: Iterable[tuple[Item, Label]]) -> float:
    """The figure in [0, 1] that decides a promotion, of an exported model on labelled items."""
    return evaluate(task, tasks.load_runtime(task, onnx), pairs).measured.quality


def read_item(task: Task, item: Item) -> NDArray[Any]:
    """The decoded medium of an item that is a file."""
    return media.read(task, Path(item.uri).read_bytes(), item.uri)
