"""What goes round the loop: items, labels, predictions, corrections.

Records are frozen and checked when they are made; after that the types are trusted. Boxes are ``xyxy`` in pixels,
times are seconds, every doubt lies in [0, 1] and higher means less sure. ``to_json`` and ``from_json`` lose nothing.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, Literal, TypeAlias, TypeVar, get_args

from pydantic import BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError

from models.errors import InvalidInput, InvalidRecord
from models.keys import known_keys

Seconds: TypeAlias = float
Pixels: TypeAlias = float
Task: TypeAlias = Literal["asr", "detection", "lane"]

TASKS: tuple[Task, ...] = get_args(Task)
RECORDS_VERSION = 1
LARGEST = 1e9  # of times in seconds, sizes and places in pixels: nobody means more, and sums and squares stay finite

_UNKNOWN = ("unexpected_keyword_argument", "extra_forbidden")  # what pydantic calls a key too many
STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)  # no unknown keys, no number that is none


def _no_digits_alone(value: Any) -> Any:
    """The value, unless it is a text such as "20261201", which pydantic would take for seconds since 1970."""
    if isinstance(value, str) and value.strip().replace(".", "", 1).isdecimal():
        raise PydanticCustomError("time", "expected a time such as 2026-12-01T12:00:00Z")
    return value


def bounded(**keywords: float) -> Any:
    """What a published schema says of a field, in its own keywords; ``__post_init__`` is what refuses, in our words."""
    return Field(json_schema_extra=dict(keywords))


Unit: TypeAlias = Annotated[float, bounded(minimum=0, maximum=1)]
Above0: TypeAlias = Annotated[float, bounded(exclusiveMinimum=0, maximum=1)]
Named: TypeAlias = Annotated[str, bounded(minLength=1)]
_Duration: TypeAlias = Annotated[Seconds, bounded(minimum=0, maximum=LARGEST)]
_NotNegative: TypeAlias = Annotated[float, bounded(minimum=0)]
_Anywhere: TypeAlias = Annotated[Pixels, bounded(minimum=-LARGEST, maximum=LARGEST)]
_Side: TypeAlias = Annotated[int, bounded(minimum=1, maximum=LARGEST)]

WRITTEN_OUT = BeforeValidator(_no_digits_alone)
Time: TypeAlias = Annotated[datetime, WRITTEN_OUT]


@dataclass(frozen=True)
class Item:
    """One medium to be labelled.

    ``id`` is the SHA-256 of its bytes in the store, and the path below the root in a data set. ``group`` names what
    it shares with its neighbours (speaker, clip, sequence): items of one group are never independent evidence.
    ``language`` is the one spoken in it, as its owner calls it (``hsb``, ``de``), where that is known.
    """

    id: Named
    uri: Named
    group: str | None = None
    language: str | None = None

    __pydantic_config__ = STRICT

    def __post_init__(self) -> None:
        _require(bool(self.id), "Item.id", "a non-empty string", self.id)
        _require(bool(self.uri), "Item.uri", "a non-empty string", self.uri)


@dataclass(frozen=True)
class Word:
    """One word with its span in seconds from the start of the medium and its confidence in [0, 1]."""

    text: Named
    start_s: _Duration
    end_s: _Duration
    confidence: Unit = 1.0

    __pydantic_config__ = STRICT

    def __post_init__(self) -> None:
        _require(bool(self.text.strip()), "Word.text", "a non-blank string", self.text)
        ordered = 0 <= self.start_s <= self.end_s <= LARGEST
        _require(ordered, "Word", f"0 <= start_s <= end_s, at most {LARGEST:g}", (self.start_s, self.end_s))
        _require_unit("Word.confidence", self.confidence)


@dataclass(frozen=True)
class Transcript:
    """What was said. ``words`` is empty where nobody aligned the text, as in most human transcripts."""

    text: str
    words: tuple[Word, ...] = ()

    __pydantic_config__ = STRICT

    def __post_init__(self) -> None:
        if self.words:
            spoken = [word.text for word in self.words]
            _require(spoken == self.text.split(), "Transcript.words", f"the words of {self.text!r}", spoken)


@dataclass(frozen=True)
class Box:
    """One object: corners (x1, y1, x2, y2) in pixels, its category and its confidence in [0, 1]."""

    xyxy: tuple[_NotNegative, _NotNegative, _NotNegative, _NotNegative]
    category: Named
    confidence: Unit = 1.0

    __pydantic_config__ = STRICT

    def __post_init__(self) -> None:
        x1, y1, x2, y2 = self.xyxy
        ordered = 0 <= x1 < x2 < math.inf and 0 <= y1 < y2 < math.inf
        if ordered and self.category and 0 <= self.confidence <= 1:
            return  # a store has hundreds of thousands of boxes
        _require(ordered, "Box.xyxy", "0 <= x1 < x2 and 0 <= y1 < y2", self.xyxy)
        _require(bool(self.category), "Box.category", "a non-empty string", self.category)
        _require_unit("Box.confidence", self.confidence)


@dataclass(frozen=True)
class Boxes:
    """The objects of one image of ``width`` x ``height`` pixels; every box lies inside it."""

    width: _Side
    height: _Side
    boxes: tuple[Box, ...] = ()

    __pydantic_config__ = STRICT

    def __post_init__(self) -> None:
        _require_size("Boxes", self.width, self.height)
        for box in self.boxes:
            if not (box.xyxy[2] <= self.width and box.xyxy[3] <= self.height):
                _require(False, "Boxes.boxes", f"a box inside {self.width}x{self.height}", box.xyxy)


@dataclass(frozen=True)
class Lane:
    """One line as a polyline of (x, y) pixels; points may lie outside the image, as in CULane.

    ``std_px`` is the standard deviation of each point's x; it is empty where a person drew the line.
    """

    points: Annotated[tuple[tuple[_Anywhere, _Anywhere], ...], bounded(minItems=2)]
    std_px: tuple[_NotNegative, ...] = ()
    confidence: Unit = 1.0

    __pydantic_config__ = STRICT

    def __post_init__(self) -> None:
        _require(len(self.points) >= 2, "Lane.points", "at least 2 points", len(self.points))
        near = all(abs(x) <= LARGEST and abs(y) <= LARGEST for x, y in self.points)
        _require(near, "Lane.points", f"coordinates from {-LARGEST:g} to {LARGEST:g}", self.points)
        known = len(self.std_px) in (0, len(self.points)) and all(0 <= s < math.inf for s in self.std_px)
        _require(known, "Lane.std_px", f"none or {len(self.points)} values >= 0", self.std_px)
        _require_unit("Lane.confidence", self.confidence)


@dataclass(frozen=True)
class Lanes:
    """The lines of one road image of ``width`` x ``height`` pixels."""

    width: _Side
    height: _Side
    lanes: tuple[Lane, ...] = ()

    __pydantic_config__ = STRICT

    def __post_init__(self) -> None:
        _require_size("Lanes", self.width, self.height)


Label: TypeAlias = Transcript | Boxes | Lanes

LABEL_TYPES: dict[Task, type[Label]] = {"asr": Transcript, "detection": Boxes, "lane": Lanes}


@dataclass(frozen=True)
class Prediction:
    """What a model says about one medium.

    ``score`` is the model's own doubt in [0, 1], 1.0 where it predicts nothing at all; ``features`` are finite numbers
    from which calibration learns; ``embedding`` is the medium as the model sees it, for diversity selection.
    ``faint`` are boxes that are too uncertain to be handed out; average precision looks at them too.
    """

    label: Label
    score: float
    features: Mapping[str, float]
    embedding: tuple[float, ...]
    faint: tuple[Box, ...] = ()

    def __post_init__(self) -> None:
        _require_unit("Prediction.score", self.score)
        _require_finite("Prediction", self.features, self.embedding)


@dataclass(frozen=True)
class Uncertainty:
    """How unsure a pre-annotation is.

    ``p_error`` is the probability that a person would change something, ``seconds`` the human time that checking
    it is expected to take, ``score`` the model's raw doubt from which both come.
    """

    p_error: Unit
    seconds: _NotNegative
    score: Unit

    __pydantic_config__ = STRICT

    def __post_init__(self) -> None:
        _require_unit("Uncertainty.p_error", self.p_error)
        _require(0 <= self.seconds < math.inf, "Uncertainty.seconds", "a finite number >= 0", self.seconds)
        _require_unit("Uncertainty.score", self.score)


@dataclass(frozen=True)
class PreAnnotation:
    """A model version's label of one item, and how far it is to be trusted."""

    item_id: str
    task: Task
    model_version: str
    label: Label
    uncertainty: Uncertainty
    features: Mapping[str, float] = field(default_factory=dict)
    embedding: tuple[float, ...] = ()

    __pydantic_config__ = STRICT

    def __post_init__(self) -> None:
        _require_label("PreAnnotation", self.task, self.label)
        _require_finite("PreAnnotation", self.features, self.embedding)


@dataclass(frozen=True)
class Correction:
    """A person's answer for one item: who gave it, when, with which tool, in how many seconds, correcting what.

    ``created_at`` carries its time zone. ``model_version`` names the pre-annotation the person started from, and is
    None where the label was made from scratch.
    """

    item_id: str
    task: Task
    label: Label
    annotator: Named
    seconds: _Duration
    tool: str
    created_at: Time
    model_version: str | None = None

    __pydantic_config__ = STRICT

    def __post_init__(self) -> None:
        _require_label("Correction", self.task, self.label)
        _require(bool(self.annotator), "Correction.annotator", "a non-empty string", self.annotator)
        _require(0 <= self.seconds <= LARGEST, "Correction.seconds", f"a number from 0 to {LARGEST:g}", self.seconds)
        _require(self.created_at.tzinfo is not None, "Correction.created_at", "a time with its zone", self.created_at)


Record: TypeAlias = Item | Transcript | Boxes | Lanes | Uncertainty | PreAnnotation | Correction
R = TypeVar("R", bound=Record)
L = TypeVar("L", Transcript, Boxes, Lanes)

_ADAPTERS: dict[Any, TypeAdapter[Any]] = {
    record_type: TypeAdapter(record_type)
    for record_type in (Item, Transcript, Boxes, Lanes, Uncertainty, PreAnnotation, Correction)
}


def to_json(record: Record) -> dict[str, Any]:
    """The record as plain JSON values, with the version of this format under ``"version"``."""
    return {"version": RECORDS_VERSION, **_ADAPTERS[type(record)].dump_python(record, mode="json")}


def from_json(record_type: type[R], values: Mapping[str, Any]) -> R:
    """The record that ``to_json`` wrote.

    Raises:
        InvalidRecord: naming the field, what was expected and what came.
    """
    fields = dict(values)
    version = fields.pop("version", RECORDS_VERSION)
    _require(version == RECORDS_VERSION, f"{record_type.__name__}.version", str(RECORDS_VERSION), version)
    try:
        record: R = _ADAPTERS[record_type].validate_python(fields)
    except ValidationError as error:
        raise InvalidRecord(f"{record_type.__name__}: {explain(error, record_type)}") from error
    return record


def json_schema() -> dict[str, Any]:
    """The published JSON schema of a record, one definition each; ``version`` may be left out, as in labels."""
    _, schema = TypeAdapter.json_schemas(
        [(record_type, "validation", adapter) for record_type, adapter in _ADAPTERS.items()],
        title=f"prelabel records, version {RECORDS_VERSION}",
    )
    for record_type in _ADAPTERS:
        schema["$defs"][record_type.__name__]["properties"]["version"] = {"const": RECORDS_VERSION}
    schema["anyOf"] = [{"$ref": f"#/$defs/{record_type.__name__}"} for record_type in _ADAPTERS]
    return schema


def require_kind(label: Label, kind: type[L]) -> L:
    """The label, which is to be of that kind.

    Raises:
        InvalidRecord: it is of another.
    """
    if not isinstance(label, kind):
        raise InvalidRecord(f"label: expected {kind.__name__}, got {type(label).__name__}")
    return label


def require_size(where: str, label: Label, width: int, height: int) -> None:
    """Refuses a label of a picture of another size: its pixels are others. A transcript has none.

    Raises:
        InvalidInput: with both sizes.
    """
    if not isinstance(label, Transcript) and (label.width, label.height) != (width, height):
        got = f"{label.width}x{label.height}"
        raise InvalidInput(f"{where}: expected a label of {width}x{height} pixels, as its picture has, got {got}")


def explain(error: ValidationError, kind: Any = None) -> str:
    """One line a failure: where, what was expected, what came; of a key that a record of that kind does not know, those
    that it does."""
    lines = []
    for failure in error.errors(include_url=False, include_context=False):
        where = ".".join(str(part) for part in failure["loc"]) or "record"
        ours = failure["type"] == "value_error"  # a check of ours already says what came
        message = failure["msg"].removeprefix("Value error, ")
        if failure["type"] in _UNKNOWN and (known := known_keys(kind, failure["loc"][:-1])):
            message = f"expected no key beside {', '.join(known)}"
        lines.append(message if ours else f"{where}: {message}, got {short(failure['input'])}")
    return "; ".join(lines)


def _require(holds: bool, where: str, expected: str, got: object) -> None:
    if not holds:
        raise InvalidRecord(f"{where}: expected {expected}, got {short(got)}")


def _require_unit(where: str, value: float) -> None:
    _require(0 <= value <= 1, where, "a number in [0, 1]", value)


def _require_size(where: str, width: int, height: int) -> None:
    fits = 1 <= width <= LARGEST and 1 <= height <= LARGEST
    _require(fits, where, f"width and height from 1 to {LARGEST:g}", (width, height))


def _require_finite(where: str, features: Mapping[str, float], embedding: tuple[float, ...]) -> None:
    for name, value in features.items():
        _require(math.isfinite(value), f"{where}.features[{name!r}]", "a finite number", value)
    _require(all(map(math.isfinite, embedding)), f"{where}.embedding", "finite numbers", embedding)


def _require_label(where: str, task: Task, label: Label) -> None:
    expected = LABEL_TYPES[task]
    _require(isinstance(label, expected), f"{where}.label", f"{expected.__name__} for task {task!r}", label)


def short(value: object) -> str:
    """A value as a sentence of refusal shows it, cut off where it is long."""
    text = value.isoformat() if isinstance(value, datetime) else repr(value)
    return text if len(text) <= 200 else f"{text[:200]}…"
