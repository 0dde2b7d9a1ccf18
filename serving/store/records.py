"""What the store hands out and takes in besides the records of ``models.records``."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, TypeAlias

from models.errors import InvalidInput
from models.records import LARGEST, Item, Label, PreAnnotation, Seconds, Task
from selection.routing import Decision
from selection.rules import About

Actor: TypeAlias = str  # the name of the token that made a change; "local" or "cli" where there was none
Place: TypeAlias = tuple[datetime, float, str]  # of a check: when it was handed out, its draw, its id
ItemState: TypeAlias = Literal[
    "registered", "preannotated", "leased", "corrected", "contested", "accepted", "failed", "unfit"
]
LARGEST_NAME = 2600  # bytes; an entry of PostgreSQL's indexes holds 2704, and the name is not alone in it
OPEN: tuple[ItemState, ...] = ("registered", "preannotated", "leased", "contested", "failed")  # still without a label
VersionState: TypeAlias = Literal["candidate", "serving", "retired", "failed"]


# Why an item cannot be labelled. That there is nothing to hear or to draw is a label: an empty one.
UNFIT: Mapping[Task, tuple[str, ...]] = MappingProxyType({
    "asr": ("damaged", "no-speech", "unintelligible", "other-language", "other"),
    "detection": ("damaged", "unrecognisable", "other-scene", "other"),
    "lane": ("damaged", "unrecognisable", "no-road", "other"),
})  # fmt: skip


@dataclass(frozen=True)
class Answer:
    """What a version said about an item, and who must look at it."""

    preannotation: PreAnnotation
    decision: Decision


@dataclass(frozen=True)
class Leased:
    """An item that one person holds until ``expires_at``; it came ``first`` where it would be too late for when it is
    ``due``. Where it is ``planted``, its answer is known, and what else is known of it stands there."""

    item: Item
    task: Task
    lease_id: str
    expires_at: datetime
    answer: Answer
    due: datetime | None = None
    first: bool = False
    planted: About | None = None


@dataclass(frozen=True)
class Receipt:
    """What became of a correction; ``repeated`` when the same one had come before."""

    item_id: str
    correction_id: int
    repeated: bool


@dataclass(frozen=True)
class Unfit:
    """A person's word, after ``seconds`` of work, that an item cannot be labelled for a task; why, ``UNFIT`` lists."""

    item_id: str
    task: Task
    reason: str
    annotator: str
    seconds: Seconds
    tool: str
    created_at: datetime

    def __post_init__(self) -> None:
        if self.reason not in UNFIT[self.task]:
            raise InvalidInput(f"reason: expected one of {', '.join(UNFIT[self.task])}, got {self.reason!r}")
        if not 0 <= self.seconds <= LARGEST:
            raise InvalidInput(f"seconds: expected a number from 0 to {LARGEST:g}, got {self.seconds}")
        if self.created_at.tzinfo is None:
            raise InvalidInput(f"created_at: expected a time with its zone, got {self.created_at}")


@dataclass(frozen=True)
class StoredVersion:
    """A version as the store knows it; ``models.versions.read_version(folder)`` knows the rest."""

    name: str
    task: Task
    folder: Path
    parent: str | None
    onnx_sha256: str
    metrics: Mapping[str, Any]
    created_at: datetime
    state: VersionState
    failure: str | None


@dataclass(frozen=True)
class Comparison:
    """A candidate and the version it would replace, on the same gold items; qualities in [0, 1] or unknown."""

    quality: float | None = None
    previous_quality: float | None = None
    gold_items: int = 0
    note: str = ""


@dataclass(frozen=True)
class Promotion:
    """One line of the log of switches; ``previous`` served before."""

    id: int
    task: Task
    version: str
    previous: str | None
    kind: Literal["promote", "rollback"]
    forced: bool
    comparison: Comparison
    at: datetime
    actor: Actor


@dataclass(frozen=True)
class Calibration:
    """What was learnt for one version: a calibrator and a promise for ``alpha`` and ``delta``, both as JSON.

    ``audited`` counts the task's corrected audit items at that time, so that it can be told when to learn again. Only
    checks after ``checks_from`` count, if a promise was withdrawn then; ``outlived`` is what was learnt before one of
    the version, on whatever terms, was withdrawn. Stores of before kept no terms: there they are None.
    """

    id: int
    alpha: float | None
    delta: float | None
    calibrator: Mapping[str, Any]
    promise: Mapping[str, Any]
    audited: int
    checks_from: datetime | None
    at: datetime
    outlived: bool = False


@dataclass(frozen=True)
class Pending:
    """An open item's pre-annotation, to be routed anew."""

    preannotation_id: int
    preannotation: PreAnnotation
    about: About


Anew: TypeAlias = tuple[int, Answer, float]  # of a pre-annotation by its id: its answer of today, its item's draw


@dataclass(frozen=True)
class Withdrawal:
    """A promise that is withdrawn, and why: of all that a version says or of one ``kind``. What was accepted ``since``
    then is queued again, of a kind those answers that it ``covers``."""

    since: datetime
    why: str
    kind: str | None = None
    covers: Callable[[Pending], bool] | None = None


@dataclass(frozen=True)
class Adoption:
    """One line of the log of policies: terms, as JSON, that somebody put in force for a task or (None) for all."""

    id: int
    task: Task | None
    version: str
    terms: Mapping[str, Any]
    at: datetime
    actor: Actor


@dataclass(frozen=True)
class Audited:
    """A corrected audit item: the version's answer, and the label that a person gave, by which correction and when.

    ``handed_at`` is when its first person was handed it: in that order, which knows nothing of what people find, checks
    are weighed. ``registered_at`` is when the item came, for whichever task; ``leased`` says whether the queue handed
    it out.
    """

    item_id: str
    about: About
    draw: float
    answer: PreAnnotation
    truth: Any
    correction_id: int
    answered_at: datetime
    checked_at: datetime
    handed_at: datetime
    registered_at: datetime
    leased: bool = False

    @property
    def place(self) -> "Place":
        """Where it stands among all checks."""
        return self.handed_at, self.draw, self.item_id


@dataclass(frozen=True)
class OpenCheck:
    """An audit item that nobody has checked yet, its draw, and since when it has an answer; ``kinds`` are those that it
    is a check of, None for all."""

    item_id: str
    draw: float
    since: datetime
    kinds: frozenset[str] | None = None


@dataclass(frozen=True)
class Spent:
    """Human seconds on what a version said (None: on labels from nothing): on so many corrections, of so many ``items``
    that are corrected today; of ``untold`` corrections no tool told seconds."""

    version: str | None
    corrections: int
    items: int
    seconds: Seconds
    untold: int = 0


@dataclass(frozen=True)
class Worked:
    """What a person was shown of an item (None: nothing), what they gave, and the seconds that they took."""

    shown: Label | None
    given: Label
    seconds: Seconds
    duration_s: Seconds | None


@dataclass(frozen=True)
class Opinion:
    """What one person said about an item, in how many seconds, and whether it is what counts; ``planted`` where the
    answer was known and they were measured by it, ``known`` where it is such an answer, and nobody's work."""

    annotator: str
    label: Label
    seconds: Seconds
    counts: bool
    planted: bool = False
    known: bool = False


class SaidState(NamedTuple):
    """In which state is what people said of an item: the correction that counts, how many there are, and how many of
    them were taken back. Both only ever become more, so what has the same state is the same."""

    counts: int
    corrections: int
    withdrawn: int


class SaidChanges(NamedTuple):
    """What tells whether people said more of a task: the newest correction and how many there are; and how often
    something else was done by which other labels count, or others are gold."""

    newest: int
    corrections: int
    done: int


@dataclass(frozen=True)
class Opinions:
    """A corrected item, and the newest label of each person who gave one."""

    item: Item
    given: tuple[Opinion, ...]
    state: SaidState

    @property
    def counting(self) -> Opinion:
        """The newest of all."""
        return next(one for one in self.given if one.counts)


@dataclass(frozen=True)
class Token:
    """Who may do what; the secret itself is nowhere."""

    name: str
    scopes: tuple[str, ...]
    created_at: datetime
    revoked_at: datetime | None


def is_storable(text: str) -> bool:
    """Whether every database can keep the text: it holds no NUL and no half of a surrogate pair."""
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def storable(text: str, where: str) -> str:
    """The text, if every database can keep it.

    Raises:
        InvalidInput: it holds a NUL or half a surrogate pair.
    """
    if not is_storable(text):
        raise InvalidInput(f"{where}: expected text without NUL and lone surrogates, got {text!r}")
    return text


def storable_name(text: str, where: str) -> str:
    """The name of a group, a person, a version or a token, if every database can keep and find it.

    Raises:
        InvalidInput: as ``storable``, or it is longer than what an index of PostgreSQL holds.
    """
    size = len(storable(text, where).encode())
    if size > LARGEST_NAME:
        raise InvalidInput(f"{where}: expected at most {LARGEST_NAME} bytes, got {size}")
    return text


def storable_time(moment: datetime, where: str) -> datetime:
    """The moment, which has its zone, if UTC has it too.

    Raises:
        InvalidInput: it lies beyond the years that UTC has here.
    """
    try:
        moment.astimezone(UTC)
    except OverflowError as error:
        raise InvalidInput(f"{where}: expected a time from year 1 to 9999 of UTC, got {moment.isoformat()}") from error
    return moment
