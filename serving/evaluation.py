"""One evaluation command: a version or a file, with the calibration it answers with, on labelled data sets."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from rich.console import Console

from models import datasets
from models.arrays import Floats
from models.errors import InvalidInput
from models.onnx_files import description
from models.parts import tell_empty
from models.records import Label, Prediction, Task
from models.report.document import Model, Report
from models.report.job import Subject, report
from models.report.lines import lines, shown, span
from models.report.wishes import parse_wish
from models.versions import MANIFEST, ONNX, file_sha256, read_version, version_name
from selection.calibration import IDENTITY, Calibrator
from serving.label_names import categories_told, names_unknown
from serving.loop import Loop
from serving.settings import Settings
from serving.trust import untried


@dataclass(frozen=True)
class Request:
    """What to evaluate on what; ``model`` and ``against`` name a version or an ONNX file, None the serving version."""

    task: Task
    data: tuple[str, ...]
    model: str | None = None
    against: str | None = None
    require: tuple[str, ...] = ()


def evaluate(
    request: Request, loop: Loop, settings: Settings, out: Path, now: datetime, console: Console | None = None
) -> Report:
    """Writes the report of a model on data sets below ``out``; the same command goes on where it was stopped.

    Raises:
        InvalidInput: no data, the same twice or of another task; a threshold or a file that is none.
        NotFound: there is no such version, file or data.
    """
    wishes = [parse_wish(request.task, text) for text in request.require]
    if not request.data:
        raise InvalidInput(f"evaluate {request.task}: expected data sets to measure it on, got none")
    datasets.require_each_once("evaluate", request.task, request.data)
    datasets.require_task("evaluate", request.task, request.data)
    subject = find(request.task, request.model, loop)
    marked = {spec: list(datasets.read_marked(spec)) for spec in request.data}
    console = console or Console(stderr=True)
    for spec, items in marked.items():
        if told := tell_empty([label for _, label, _ in items]):
            console.print(f"{spec}: {told}", markup=False, highlight=False)
    against = find(request.task, request.against, loop) if request.against else None
    for one in (subject, against) if against else (subject,):
        _tell_unknown(request.task, one, [label for items in marked.values() for _, label, _ in items], console)
    return report(
        request.task,
        subject,
        {spec: [(item, label) for item, label, _ in items] for spec, items in marked.items()},
        out,
        now=now,
        marks=[mark for items in marked.values() for *_, mark in items],
        against=against,
        wishes=wishes,
        threads=settings.threads,
        console=console,
    )


def _tell_unknown(task: Task, subject: Subject, labels: Sequence[Label], console: Console) -> None:
    if task != "detection":
        return
    about = description(subject.onnx, task)
    if told := names_unknown(labels, categories_told(about.get("declaration", about.get("settings", {})))):
        console.print(f"evaluate {subject.model.name}: {told}", markup=False, highlight=False)


def overview(report: Report) -> tuple[list[str], list[list[str]]]:
    """A report as a table for a terminal: its columns and its rows."""
    columns = ["metric", "value", "95 % interval"]
    rows = [[line.label, shown(line.value), span(line.interval)] for line in lines(report)]
    if report.against:
        columns += [report.against.model.name, "difference", "95 % interval"]
        for row, line in zip(rows, lines(report), strict=True):
            row += [shown(line.other), shown(line.difference), span(line.difference_interval)]
    return columns, rows


def find(task: Task, model: str | None, loop: Loop) -> Subject:
    """A version of the store by its name, the serving one by None, or an exported model by its file.

    A version answers with what people's checks taught of it, or else with the calibration that it came with; a file
    that lies in no version's folder has none, so its p_error is the score.
    """
    if model is not None and model.endswith(".onnx"):
        return _of_file(task, Path(model))
    stored = loop.versions.of_task(task, model)
    return _subject(stored.name, read_version(stored.folder, stored.name).onnx, loop.trust(stored.name).calibrator)


def _of_file(task: Task, onnx: Path) -> Subject:
    description(onnx, task)
    if onnx.name != ONNX or not (onnx.parent / MANIFEST).is_file():
        return _subject(version_name(task, file_sha256(onnx)), onnx, IDENTITY)
    version = read_version(onnx.parent)
    return _subject(version.name, version.onnx, untried(version).calibrator)


def _subject(name: str, onnx: Path, calibrator: Calibrator) -> Subject:
    def calibrate(said: Sequence[Prediction]) -> Floats:
        return calibrator.p_error([one.score for one in said], [one.features for one in said])

    return Subject(Model(name, file_sha256(onnx), calibrator.method, calibrator.n), onnx, calibrate)
