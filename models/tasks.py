"""The three tasks by name: the one place that leads from a task to its package.

Runtimes and metrics load no torch; ``recipe`` and ``network`` do, and are imported only by training and export.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from models.changes import Changes
from models.errors import NotFound
from models.figures import Statistics
from models.matters import ANYTHING, Matters
from models.onnx_files import description
from models.parts import PartErrors
from models.records import TASKS, Label, Prediction, Task
from models.report.charts import Chart

TITLES: Mapping[Task, str] = {
    "asr": "Speech recognition",
    "detection": "Object detection",
    "lane": "Lane detection",
}  # as people read them


class Runtime(Protocol):
    """A model version ready to answer: an ONNX session and the settings it was exported with."""

    def feeds(self, media: NDArray[Any]) -> dict[str, NDArray[Any]]:
        """The network's inputs for one medium, by name."""

    def predict(self, media: NDArray[Any]) -> Prediction:
        """The label of one medium with its doubt.

        Raises:
            InvalidInput: the network gave NaN or infinity.
        """


class Results(Protocol):
    """What an evaluation tells of a task, counted for each of n items."""

    @property
    def columns(self) -> Mapping[str, NDArray[Any]]:
        """Counts (n,) by name."""

    @property
    def mistakes(self) -> NDArray[np.int64]:
        """How many things a person would have to change (n,)."""

    @property
    def quality(self) -> float:
        """The figure in [0, 1] that decides a promotion."""

    def statistics(self) -> Statistics:
        """The task's metrics as functions of rows."""

    def charts(self) -> list[Chart]:
        """What a person would like to see of the mistakes."""


@dataclass(frozen=True)
class Measured:
    """A task's metrics as plain numbers; ``quality`` in [0, 1] is the one that decides a promotion."""

    quality: float
    values: Mapping[str, Any]


def parse_task(name: str) -> Task:
    """The task of that name.

    Raises:
        NotFound: naming the tasks there are.
    """
    if name not in TASKS:
        raise NotFound(f"task: expected one of {', '.join(TASKS)}, got {name!r}")
    return name


def load_runtime(task: Task, onnx: Path, threads: int = 2) -> Runtime:
    """The runtime of a version's ONNX file: one of our networks, or one that others made and declared."""
    declared = description(onnx, task).get("declaration")
    name = "runtime"
    if declared is not None:
        name = "whisper" if declared.get("head") == "whisper" else "imported"
    return cast(Runtime, _module(task, name).Runtime(onnx, threads))


def declare(task: Task, onnx: Path, given: Mapping[str, Any]) -> Any:
    """The declaration of a model that others made, from its file and from what its user says of it.

    Raises:
        InvalidInput: something is missing or contradicts the file.
    """
    return _module(task, "declaration").declare(onnx, given)


def measure(task: Task, pairs: Iterable[tuple[Label, Label]]) -> Measured:
    """The task's official metric over (predicted, truth) pairs."""
    metrics: Any = _module(task, "metrics").measure(pairs)
    return Measured(quality=metrics.quality, values=asdict(metrics))


def differs(task: Task, predicted: Label, truth: Label, matters: Matters = ANYTHING) -> bool:
    """Whether a person would change something that matters."""
    return bool(_module(task, "metrics").differs(predicted, truth, matters))


def part_errors(task: Task, predicted: Label, truth: Label, matters: Matters = ANYTHING) -> PartErrors:
    """Which parts of a label a person would change, and how many are missing."""
    errors: PartErrors = _module(task, "metrics").part_errors(predicted, truth, matters)
    return errors


def changes(task: Task, shown: Label, given: Label) -> Changes:
    """What a person does who is shown one label and gives another."""
    counted: Changes = _module(task, "metrics").changes(shown, given)
    return counted


def results(task: Task) -> ModuleType:
    """What an evaluation tells of the task: ``Results``, and what its ``METRICS`` mean."""
    return _module(task, "results")


def recipe(task: Task, architecture: str | None = None) -> ModuleType:
    """How the task's own network is trained, or one of another ``architecture``; imports torch."""
    return _module(task, architecture or "recipe")


def network(task: Task, architecture: str | None = None) -> ModuleType:
    """The task's torch network, its settings and its loss."""
    return _module(task, architecture or "network")


def architecture(settings: Any) -> str | None:
    """Which network of others these settings belong to: a module of the task that has the verbs of both; None: ours.

    ``settings`` are those of a network, or the same as plain values.
    """
    return settings.get("architecture") if isinstance(settings, Mapping) else getattr(settings, "architecture", None)


def _module(task: Task, name: str) -> ModuleType:
    return import_module(f"models.{task}.{name}")
