"""An evaluation: what a model says about labelled items, against their labels.

A journal keeps what was said while it is being said, by the content of each medium, so that a run that was stopped goes
on where it was. The evaluation itself is held in memory: it is as large as what people labelled.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import IO, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from models import media, tasks
from models.arrays import Bools, Floats
from models.errors import InvalidInput
from models.figures import each
from models.journal import append, open_journal, written_lines
from models.marks import NO_MARKS, Mark, Marks
from models.recordings import medium
from models.records import LABEL_TYPES, Box, Item, Label, Prediction, Task, Transcript, from_json, require_size, to_json
from models.tasks import Measured, Results, Runtime

Pairs: TypeAlias = Iterable[tuple[Item, Label]]


@dataclass(frozen=True)
class Evaluation:
    """What a model said about n labelled items; everything is in the order of the items, without embeddings.

    ``marks`` is empty, or what the data sets say of each item beside its label.
    """

    task: Task
    items: tuple[Item, ...]
    truths: tuple[Label, ...]
    predictions: tuple[Prediction, ...]
    marks: tuple[Mark | None, ...] = ()

    @cached_property
    def scores(self) -> Floats:
        """The model's doubt (n,) in [0, 1]."""
        return np.array([said.score for said in self.predictions], np.float64)

    @cached_property
    def errors(self) -> Bools:
        """Whether a person would change the label (n,): there are mistakes in it."""
        return np.asarray(self.results.mistakes > 0) if self.items else np.zeros(0, np.bool_)

    @cached_property
    def results(self) -> Results:
        """The task's own counts of each item."""
        marks = [self.marks] if any(self.marks) else []  # speech has none
        results: Results = tasks.results(self.task).Results(self.predictions, self.truths, *marks)
        return results

    @cached_property
    def measured(self) -> Measured:
        """The metrics over all items, as a report has them."""
        plain = tasks.measure(self.task, self._labels())
        if not self.items:
            return plain
        rows = np.arange(len(self.items))
        return Measured(self.results.quality, {**plain.values, **each(self.results.statistics(), lambda s: s(rows))})

    def _labels(self) -> Iterator[tuple[Label, Label]]:
        return ((said.label, truth) for said, truth in zip(self.predictions, self.truths, strict=True))


def evaluate(
    task: Task,
    runtime: Runtime,
    pairs: Pairs,
    *,
    marks: Marks = NO_MARKS,
    journal: Path | None = None,
    tell: Callable[[], None] = lambda: None,
) -> Evaluation:
    """Asks the model about every item; ``tell`` is called after each.

    Args:
        marks: what the data sets say of some items beside their labels.
        journal: file that keeps the answers of this one model, and gives those of an earlier run.

    Raises:
        UnreadableMedia, TooLarge, NotFound: an item that cannot be read; what was said until then is kept.
        InvalidInput: a label of a picture of another size; a journal that holds something else, or that another run is
            writing.
    """
    items, truths, predictions = [], [], []
    with asking(task, runtime, journal) as ask:
        for item, truth in pairs:
            said = ask(item)
            if not isinstance(said.label, Transcript):
                require_size(item.uri, truth, said.label.width, said.label.height)
            predictions.append(replace(said, embedding=()))
            items.append(item)
            truths.append(truth)
            tell()
    marked = tuple(marks.get(item.uri) for item in items) if marks else ()
    return Evaluation(task, tuple(items), tuple(truths), tuple(predictions), marked)


def quality(task: Task, onnx: Path, pairs: Pairs, marks: Marks = NO_MARKS) -> float:
    """The figure in [0, 1] that decides a promotion, of an exported model on labelled items."""
    return evaluate(task, tasks.load_runtime(task, onnx), pairs, marks=marks).measured.quality


def read_item(task: Task, item: Item) -> NDArray[Any]:
    """The decoded medium of an item, as its uri names it."""
    return media.read(task, medium(item.uri), item.uri)


@contextmanager
def asking(
    task: Task, runtime: Runtime, journal: Path | None, *, embeddings: bool = False
) -> Iterator[Callable[[Item], Prediction]]:
    """The model as a function of an item; with a journal it answers the same bytes once, whatever stops it.

    Where ``embeddings`` are not asked for, the journal does not keep them.
    """
    if journal is None:
        yield lambda item: runtime.predict(read_item(task, item))
        return
    with open_journal(journal) as lines:
        known = dict(_said_before(task, journal, lines))

        def ask(item: Item) -> Prediction:
            data = medium(item.uri)
            content = hashlib.sha256(data).hexdigest()
            if content not in known:
                said = runtime.predict(media.read(task, data, item.uri))
                known[content] = said if embeddings else replace(said, embedding=())
                append(lines, _line(content, known[content]))
            return known[content]

        yield ask


def _line(content: str, said: Prediction) -> dict[str, Any]:
    faint = [asdict(box) for box in said.faint]
    label, features = to_json(said.label), dict(said.features)
    line = {"sha256": content, "label": label, "score": said.score, "features": features, "faint": faint}
    return {**line, "embedding": said.embedding} if said.embedding else line


def _said_before(task: Task, journal: Path, lines: IO[bytes]) -> Iterator[tuple[str, Prediction]]:
    for number, line in enumerate(written_lines(lines), 1):
        try:
            values = json.loads(line)
            label = from_json(LABEL_TYPES[task], values["label"])
            faint = tuple(Box(**{**box, "xyxy": tuple(box["xyxy"])}) for box in values["faint"])
            embedding = tuple(values.get("embedding", ()))
            yield values["sha256"], Prediction(label, values["score"], values["features"], embedding, faint)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise InvalidInput(f"{journal}:{number}: expected a line of an evaluation, got {line[:100]!r}") from error
