"""``report.json`` of a simulation, for programs. ``docs/simulation.schema.json`` is its published schema."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from pydantic import TypeAdapter

from models.records import STRICT, Seconds, Task
from models.report.document import plain, schema_of
from serving.simulation.arms import ArmName
from serving.simulation.pool import Source

SCHEMA_VERSION: Literal[1] = 1


@dataclass(frozen=True)
class Estimate:
    """A mean over ``n`` seeds with its 95 % interval (Student's t), cut where no figure can lie; without one where
    there is one seed."""

    mean: float
    low: float | None
    high: float | None
    n: int

    __pydantic_config__ = STRICT


@dataclass(frozen=True)
class Point:
    """How things stand after a round; round 0 is before anybody worked.

    ``human_hours`` are those so far, ``labelled`` and ``accepted`` shares of the pool, ``labels_wrong`` the share of
    labels that are wrong, by the rule that the report's ``terms`` tell, if the pool were handed over now: with people's
    labels, accepted ones, and for the rest what the model says, or nothing where there is none. ``label_quality`` is
    the task's figure of the same labels, ``model_quality`` that of the model on unseen data. ``seconds_per_label`` is
    what people needed for an item of this round; None where they saw none.
    """

    round: int
    human_hours: Estimate
    labelled: Estimate
    accepted: Estimate
    labels_wrong: Estimate
    label_quality: Estimate
    model_quality: Estimate
    seconds_per_label: Estimate | None

    __pydantic_config__ = STRICT


@dataclass(frozen=True)
class Audit:
    """What was accepted unseen of one seed, labels or, where the promise speaks of them, parts, all of it compared with
    the truth: ``most_wrong`` is the exact upper bound (Clopper-Pearson, 95 %) of the error rate, None where nothing was
    accepted. ``unasked`` are the items whose parts were accepted without asking what is missing: ``lacking`` of them
    lack something, at most the share ``most_lacking``."""

    seed: int
    accepted: int
    wrong: int
    most_wrong: float | None
    unasked: int = 0
    lacking: int = 0
    most_lacking: float | None = None

    __pydantic_config__ = STRICT


@dataclass(frozen=True)
class ArmReport:
    """One way of working, up to the fully labelled pool.

    ``of_all_human`` is its share of the hours that people need without a model. ``of_all_human_to_full_model`` is the
    share until the model was within ``FULL`` of the one that is trained on people's labels of the whole pool; of the
    ``n`` seeds in which it got there, None where it never did.
    """

    name: ArmName
    words: str
    points: tuple[Point, ...]
    human_hours: Estimate
    of_all_human: Estimate
    labels_wrong: Estimate
    model_quality: Estimate
    of_all_human_to_full_model: Estimate | None
    audits: tuple[Audit, ...]
    learnt: tuple[str, ...]

    __pydantic_config__ = STRICT


@dataclass(frozen=True)
class Sensitivity:
    """The share of all-human hours of each arm, if a constant of the cost model were ``factor`` times as large."""

    constant: str
    factor: float
    value: float
    of_all_human: Mapping[ArmName, float]

    __pydantic_config__ = STRICT


@dataclass(frozen=True)
class SimulationReport:
    """What labels cost in several ways of working, measured on ``n`` items with known labels.

    ``start`` is the first model; of ``data`` and ``held_out`` it has seen what each tells, and that took no part. None
    is a start from nothing, where the first round's labels made the first model.
    ``ancestors_unknown`` is true where nobody knows all that it was trained on. ``promise_of`` says what may be
    accepted unseen: whole labels, or their parts one by one. ``costs`` are seconds, and ratios of the length of a
    sound; ``costs_from`` says where they come from.
    """

    task: Task
    created_at: datetime
    start: str | None
    ancestors_unknown: bool
    data: tuple[Source, ...]
    held_out: tuple[Source, ...]
    n: int
    groups: int
    held_out_n: int
    seeds: int
    shares: tuple[float, ...]
    epochs_per_round: int
    learn_until: float
    mistakes: float
    promise_of: Literal["items", "parts"]
    terms: Mapping[str, float | str]
    quality: str
    costs: Mapping[str, Seconds]
    costs_from: str
    arms: tuple[ArmReport, ...]
    sensitivity: tuple[Sensitivity, ...]
    schema_version: Literal[1] = SCHEMA_VERSION

    __pydantic_config__ = STRICT


_ADAPTER = TypeAdapter(SimulationReport)


def to_json(report: SimulationReport) -> dict[str, Any]:
    """The report as plain JSON values."""
    return plain(_ADAPTER, report)


def json_schema() -> dict[str, Any]:
    """The published JSON schema."""
    return schema_of(_ADAPTER, f"prelabel simulation report, version {SCHEMA_VERSION}")
