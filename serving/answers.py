"""What the API answers: the records that its routes tell, its description shows, and ``serving.client`` reads."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BeforeValidator

from models.records import Correction, Item, Label, Seconds, Task, Uncertainty, from_json

Rows: TypeAlias = tuple[Mapping[str, Any], ...]


@dataclass(frozen=True)
class ErrorDetail:
    """What went wrong: ``code`` for programs, ``message`` (expected, got, where) for people."""

    code: str
    message: str


@dataclass(frozen=True)
class Parts:
    """Rows of a label: those ``accepted`` unseen, those ``shown``, and whether it is ``asked`` what is missing."""

    accepted: tuple[int, ...]
    shown: tuple[int, ...]
    asked: bool


@dataclass(frozen=True)
class Route:
    """Who must look at an item, and why; ``parts`` where people see only some of them.

    ``policy`` is the version of that by which it was decided, ``otherwise`` what would change the decision.
    """

    decision: Literal["accept", "review", "annotate", "audit", "calibrate"]
    reason: str
    parts: Parts | None
    policy: str | None
    otherwise: str | None


@dataclass(frozen=True)
class Answer:
    """What a version said about a medium, how far that is to be trusted, and who must look at it."""

    item_id: str
    task: Task
    model_version: str
    label: Label
    uncertainty: Uncertainty
    route: Route


@dataclass(frozen=True)
class Failed:
    """The place of a medium that got no answer, among those of one request that did."""

    name: str
    error: ErrorDetail


@dataclass(frozen=True)
class Leased(Answer):
    """An item that one person holds until ``expires_at``, with the answer to correct."""

    uri: str
    group: str | None
    language: str | None
    due: datetime | None
    lease_id: str
    expires_at: datetime

    def correction(self, label: Label, annotator: str, seconds: Seconds, tool: str, at: datetime) -> Correction:
        """What a person made of it, in ``seconds`` of work; ``at`` carries its time zone and tells repeats apart."""
        return Correction(self.item_id, self.task, label, annotator, seconds, tool, at, self.model_version)


@dataclass(frozen=True)
class Queue:
    """The next items, most useful first; where there are none, the reason and, where that is known, when it is worth to
    ask again."""

    items: tuple[Leased, ...]
    reason: str | None
    retry_after_s: Seconds | None


@dataclass(frozen=True)
class Entry:
    """A medium to register: the server reads its ``uri``; ``group`` is its speaker, clip or sequence, ``language`` the
    one spoken in it, ``due`` when its label is needed, with its zone."""

    uri: str
    task: Task
    group: str | None = None
    language: str | None = None
    due: datetime | None = None


@dataclass(frozen=True)
class EntryFailure:
    """An entry, counted from 1, whose medium could not be had."""

    line: int
    uri: str
    error: ErrorDetail


@dataclass(frozen=True)
class Registered:
    """How many items were new, how many known, and how many entries failed, and which."""

    new: int
    known: int
    failed: int
    failures: tuple[EntryFailure, ...]


@dataclass(frozen=True)
class Receipt:
    """What became of a correction; ``repeated`` when the same one had come before."""

    item_id: str
    correction_id: int
    repeated: bool


@dataclass(frozen=True)
class UnfitReceipt:
    """What became of the word that an item cannot be labelled; ``repeated`` when the same one had come before."""

    item_id: str
    task: Task
    reason: str
    repeated: bool


@dataclass(frozen=True)
class History:
    """An item and, oldest first, everything that happened to it."""

    item: Annotated[Item, BeforeValidator(lambda told: from_json(Item, told))]
    tasks: Rows
    preannotations: Rows
    corrections: Rows
    leases: Rows
    unfit: Rows = ()


@dataclass(frozen=True)
class Choice:
    """What became of an item that was chosen as gold: whether it is so ``new``, whether it is ``labelled`` yet, whether
    the serving version, or one that it comes from, was ``trained_on`` it, for which it is no yardstick then, and
    whether the label that came along ``replaced`` another, which counts no longer."""

    item_id: str
    task: Task
    new: bool
    labelled: bool
    trained_on: bool
    replaced: bool = False


@dataclass(frozen=True)
class Chosen:
    """An item that was chosen as gold, which it is once it is ``corrected``."""

    item_id: str
    uri: str
    state: str
    chosen_at: datetime


@dataclass(frozen=True)
class ChosenItems:
    """A page of the items of a task that were chosen, by id; how many there are, how many of these are ``labelled``,
    and how many labels came ``known``; ``next`` is the ``after`` of the page behind it."""

    task: Task
    chosen: int
    labelled: int
    known: int
    items: tuple[Chosen, ...]
    next: str | None


@dataclass(frozen=True)
class Version:
    """One version of a task's model; ``failure`` says why it does not load."""

    version: str
    task: Task
    state: Literal["candidate", "serving", "retired", "failed"]
    parent: str | None
    created_at: datetime
    onnx_sha256: str
    metrics: Mapping[str, Any]
    failure: str | None


@dataclass(frozen=True)
class Models:
    """Every version, by task and age."""

    models: tuple[Version, ...]


@dataclass(frozen=True)
class Promotion:
    """A switch, and the figures on gold items that allowed it."""

    version: str
    task: Task
    previous: str | None
    forced: bool
    quality: float | None
    previous_quality: float | None
    gold_items: int
    note: str
    at: datetime
    actor: str


@dataclass(frozen=True)
class Finding:
    """One thing that may be wrong with a label: how likely in [0, 1], why, and where, in pixels."""

    kind: Literal["overlooked", "badly located", "swapped", "spurious", "misheard"]
    score: float
    reason: str
    where: tuple[float, float, float, float] | None


@dataclass(frozen=True)
class Suspect:
    """A label that may be wrong: how likely in [0, 1], why, and who gave it."""

    rank: int
    score: float
    item_id: str
    uri: str
    group: str | None
    annotator: str
    reason: str
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class Unread:
    """An item whose label nothing is said of, and what is wrong with its medium."""

    item_id: str
    uri: str
    error: ErrorDetail


@dataclass(frozen=True)
class Suspects:
    """A page of a task's labels, worst first, as a version saw them; ``next`` is the offset of the page after it.

    A label that counts no longer is left out until the next ranking; ``total`` and each ``rank`` count it.
    ``unread`` are the items whose media cannot be read, the same on every page.
    """

    task: Task
    model_version: str
    ranked_at: datetime
    total: int
    suspects: tuple[Suspect, ...]
    unread: tuple[Unread, ...]
    next: int | None


@dataclass(frozen=True)
class Opinion:
    """What one person said of an item, and whether it is the label that counts: the newest of all. ``planted``: its
    answer was known, and they were measured by it."""

    annotator: str
    label: Label
    seconds: Seconds
    counts: bool
    planted: bool


@dataclass(frozen=True)
class Agreed:
    """The label that people give together, how many gave one, and how far they agree in [0, 1]."""

    label: Label
    people: int
    agreement: float
    given: tuple[Opinion, ...]


@dataclass(frozen=True)
class Consensus:
    """What people agree on about an item, by the tasks that it is corrected for."""

    item_id: str
    tasks: Mapping[Task, Agreed]


@dataclass(frozen=True)
class Share:
    """``right`` of ``of``, and the exact 95 % interval of the rate."""

    right: int
    of: int
    low: float
    high: float


@dataclass(frozen=True)
class Speed:
    """Seconds a label: of ``n`` labels the sum, the median and its exact 95 % interval, None from too few."""

    n: int
    total: Seconds
    median: Seconds
    low: Seconds | None
    high: Seconds | None


@dataclass(frozen=True)
class Standing:
    """How fast one person is and how often right: on gold items, and by what three people or more say together;
    ``gold_speed`` is that on gold items, ``labels`` the number of all that they gave."""

    annotator: str
    speed: Speed | None
    gold: Share
    consensus: Share
    gold_speed: Speed | None
    labels: int


@dataclass(frozen=True)
class Annotators:
    """Who labelled, by task and name."""

    tasks: Mapping[Task, tuple[Standing, ...]]


@dataclass(frozen=True)
class InForce:
    """The policy of a task: its version, all its terms, and who adopted it when, if anybody did."""

    version: str
    policy: Mapping[str, Any]
    adopted_by: str | None
    adopted_at: datetime | None


@dataclass(frozen=True)
class Policies:
    """The policy in force for each task."""

    tasks: Mapping[Task, InForce]


@dataclass(frozen=True)
class Report:
    """The figures of each task."""

    tasks: Mapping[Task, Mapping[str, Any]]


@dataclass(frozen=True)
class Status:
    """The answer of a probe."""

    status: Literal["ok"]
