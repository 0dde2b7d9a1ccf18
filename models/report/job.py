"""One evaluation from models and data sets to a report: answers, figures, files. Stopped, it goes on where it was."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TypeAlias

import numpy as np
from rich.console import Console
from rich.progress import Progress

from models.asr.transcripts import NORMALISER
from models.errors import InvalidInput
from models.evaluate import Evaluation, evaluate
from models.figures import Figures, Statistics, differences, figures
from models.holding import alone_in
from models.marks import Mark
from models.parts import nothing
from models.progress import progress_bar
from models.records import Item, Label, Prediction, Task
from models.reliability import ROUNDS, Rows
from models.report import items, page
from models.report.document import Against, Model, Part, Report, to_json
from models.report.files import appearing
from models.report.judged import Calibrate, Judged, judge
from models.report.wishes import Wish, check, wished
from models.tasks import load_runtime

Data: TypeAlias = Mapping[str, Sequence[tuple[Item, Label]]]  # labelled items by the name of their data set


@dataclass(frozen=True)
class Subject:
    """A model to be evaluated: its file, and what makes p_error of its answers."""

    model: Model
    onnx: Path
    calibrate: Calibrate


def report(
    task: Task,
    subject: Subject,
    data: Data,
    out: Path,
    *,
    now: datetime,
    marks: Sequence[Mark | None] = (),
    against: Subject | None = None,
    wishes: Sequence[Wish] = (),
    threads: int = 2,
    rounds: int = ROUNDS,
    console: Console | None = None,
) -> Report:
    """Asks the model about every item and writes ``report.json``, ``report.html`` and ``items.parquet`` below ``out``.

    Until these are there, a journal for each model keeps its answers, and the same command goes on from them. The
    other model's items are in ``against.parquet``.

    Args:
        marks: empty, or what the data sets say of each item beside its label, in the order of ``data``.

    Raises:
        InvalidInput: a data set without items, a wish about what was not measured, a model against itself, or a folder
            that takes no files or in which another evaluation goes on.
        UnreadableMedia, TooLarge, NotFound: an item that cannot be read.
    """
    subjects = [subject, against] if against else [subject]
    if against and against.model.onnx_sha256 == subject.model.onnx_sha256:
        raise InvalidInput(f"evaluate {task}: expected another model to compare with, got {against.model.name} twice")
    if empty := [name for name, pairs in data.items() if not pairs]:
        raise InvalidInput(f"evaluate {task}: expected labelled items, got none in {', '.join(empty)}")
    _require_measured(task, subject.model, [pair for pairs in data.values() for pair in pairs], tuple(marks), wishes)
    journals = [out / f"answers-{one.model.name}.jsonl" for one in subjects]
    with alone_in(out):
        with progress_bar(console or Console(stderr=True)) as progress:
            pairs = zip(subjects, journals, strict=True)
            judged = [_judged(task, *each, data, tuple(marks), threads, progress) for each in pairs]
            found = _found(task, judged, data, now, wishes, rounds, progress)
        _write(out, found, judged, [name for name, pairs in data.items() for _ in pairs])
        for journal in journals:
            journal.unlink()
    return found


def _require_measured(
    task: Task,
    model: Model,
    pairs: Sequence[tuple[Item, Label]],
    marks: tuple[Mark | None, ...],
    wishes: Sequence[Wish],
) -> None:
    """Refuses wishes about what will not be measured, before anything is: which categories have figures follows from
    the labels alone, so a model that says nothing has figures of the same ones."""
    if wishes:
        items, truths = zip(*pairs, strict=True)
        said = tuple(Prediction(nothing(truth), 1.0, {}, ()) for truth in truths)
        statistics = Judged(model, Evaluation(task, items, truths, said, marks), np.ones(len(items))).statistics
        for wish in wishes:
            wished(wish, statistics)


def _judged(
    task: Task,
    subject: Subject,
    journal: Path,
    data: Data,
    marks: tuple[Mark | None, ...],
    threads: int,
    progress: Progress,
) -> Judged:
    pairs = [pair for part in data.values() for pair in part]
    bar = progress.add_task(f"evaluate {subject.model.name}", total=len(pairs))
    runtime = load_runtime(task, subject.onnx, threads)
    evaluation = evaluate(task, runtime, pairs, journal=journal, tell=lambda: progress.advance(bar))
    return judge(subject.model, replace(evaluation, marks=marks), subject.calibrate)


def _found(
    task: Task,
    judged: Sequence[Judged],
    data: Data,
    now: datetime,
    wishes: Sequence[Wish],
    rounds: int,
    progress: Progress,
) -> Report:
    main, rows = judged[0], np.arange(len(judged[0].evaluation.items))
    sets = np.split(rows, np.cumsum([len(pairs) for pairs in data.values()])[:-1]) if len(data) > 1 else []
    bar = progress.add_task("intervals", total=1 + len(sets) + 2 * (len(judged) - 1))

    def measured(statistics: Statistics, rows: Rows = rows) -> Figures:
        found = figures(statistics, rows, [item.group for item in main.evaluation.items], rounds)
        progress.advance(bar)
        return found

    whole = measured(main.statistics)
    parts = [measured(main.statistics, part) for part in sets] or [whole]
    return Report(
        task=task,
        created_at=now,
        model=main.model,
        data=tuple(data),
        n=whole.n,
        groups=whole.groups,
        rounds=rounds,
        normaliser=NORMALISER if task == "asr" else None,
        metrics=whole.metrics,
        intervals=whole.intervals,
        by_data={name: Part(**vars(part)) for name, part in zip(data, parts, strict=True)},
        against=_against(main, judged[1], measured) if len(judged) > 1 else None,
        thresholds=tuple(check(wish, whole.metrics) for wish in wishes),
        too_few=whole.too_few,
    )


def _against(main: Judged, other: Judged, measured: Callable[[Statistics], Figures]) -> Against:
    theirs = measured(other.statistics)
    less = measured(differences(main.statistics, other.statistics))
    return Against(other.model, theirs.metrics, theirs.intervals, less.metrics, less.intervals)


def _write(out: Path, found: Report, judged: Sequence[Judged], names: Sequence[str]) -> None:
    """Each file appears whole or not at all, the report last."""
    with appearing(out) as work:
        for one, name in zip(judged, ("items.parquet", "against.parquet"), strict=False):
            items.write(work / name, one, names)
        written = {"encoding": "utf-8", "errors": "backslashreplace"}  # a path may be no UTF-8
        (work / "report.html").write_text(page.render(found, judged[0]), **written)
        text = json.dumps(to_json(found), indent=2, ensure_ascii=False, allow_nan=False)
        (work / "report.json").write_text(text + "\n", **written)
        (out / "against.parquet").unlink(missing_ok=True)  # of an earlier report
