"""``report.json``: what an evaluation found, for programs. ``docs/report.schema.json`` is its published schema."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypeAlias

from pydantic import TypeAdapter

from models import tasks
from models.figures import DOUBT, Named
from models.records import STRICT, TASKS, Task
from models.reliability import Interval

SCHEMA_VERSION: Literal[1] = 1

Values: TypeAlias = Named[float | None]
Intervals: TypeAlias = Named[Interval | None]


@dataclass(frozen=True)
class Model:
    """The model that answered: its version's name, the hash of its file, and where its p_error comes from.

    ``calibration`` is "identity" where p_error is the model's own score; ``calibrated_on`` counts the items that
    the calibration was learnt from.
    """

    name: str
    onnx_sha256: str
    calibration: str = "identity"
    calibrated_on: int = 0

    __pydantic_config__ = STRICT


@dataclass(frozen=True)
class Part:
    """The figures of one of several data sets."""

    n: int
    groups: int
    metrics: Values
    intervals: Intervals
    too_few: bool = False

    __pydantic_config__ = STRICT


@dataclass(frozen=True)
class Against:
    """Another model on the same items: its figures, and ``differences`` of the first less this one, with the
    intervals of a paired bootstrap."""

    model: Model
    metrics: Values
    intervals: Intervals
    differences: Values
    difference_intervals: Intervals

    __pydantic_config__ = STRICT


@dataclass(frozen=True)
class Threshold:
    """A wish such as ``wer<=0.1``: what was measured, and whether that is good enough; None is never."""

    wish: str
    value: float | None
    met: bool

    __pydantic_config__ = STRICT


@dataclass(frozen=True)
class Report:
    """An evaluation of ``n`` labelled items from ``data``.

    ``metrics`` are plain numbers, None where a figure has no meaning (no error to rank, say), or one number a
    category; ``intervals`` holds [low, high] of each under the same name: percentiles, at 95 %, of ``rounds`` bootstrap
    samples of whole ``groups`` (speakers, clips) where there are at least two, of items otherwise. ``too_few`` says
    that there are fewer than ten of these, and the intervals too narrow: of two groups about half of them hold the
    truth, of five about five in six.
    """

    task: Task
    created_at: datetime
    model: Model
    data: tuple[str, ...]
    n: int
    groups: int
    rounds: int
    normaliser: str | None
    metrics: Values
    intervals: Intervals
    by_data: Mapping[str, Part]
    against: Against | None = None
    thresholds: tuple[Threshold, ...] = ()
    too_few: bool = False
    schema_version: Literal[1] = SCHEMA_VERSION

    __pydantic_config__ = STRICT


_ADAPTER = TypeAdapter(Report)


def to_json(report: Report) -> dict[str, Any]:
    """The report as plain JSON values."""
    return plain(_ADAPTER, report)


def json_schema() -> dict[str, Any]:
    """The published JSON schema, with what each metric means and which ones each task has at least."""
    schema = schema_of(_ADAPTER, f"prelabel evaluation report, version {SCHEMA_VERSION}")
    schema["allOf"] = [_of_task(task) for task in TASKS]
    return schema


def plain(adapter: TypeAdapter[Any], report: object) -> dict[str, Any]:
    """A report that has a ``schema_version`` as plain JSON values, the version first."""
    values: dict[str, Any] = adapter.dump_python(report, mode="json")
    return {"schema_version": values.pop("schema_version"), **values}


def schema_of(adapter: TypeAdapter[Any], title: str) -> dict[str, Any]:
    """The JSON schema of what ``plain`` returns."""
    schema = adapter.json_schema()
    schema["title"] = title
    schema["required"] = ["schema_version", *schema["required"]]
    return schema


def _of_task(task: Task) -> dict[str, Any]:
    meanings = {**tasks.results(task).METRICS, **DOUBT}
    described = {name: {"description": f"{m.words}; {m.better} is better"} for name, m in meanings.items()}
    has = {"properties": described, "required": list(meanings)}
    return {
        "if": {"properties": {"task": {"const": task}}},
        "then": {"properties": {"metrics": has, "intervals": {"required": list(meanings)}}},
    }
