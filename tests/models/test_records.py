"""Records survive JSON unchanged, refuse what breaks their rules, and keep to their published schema."""

import json
import math
from datetime import UTC, datetime, timedelta, timezone
from functools import cache
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import InvalidRecord
from models.records import (
    LABEL_TYPES,
    LARGEST,
    Box,
    Boxes,
    Correction,
    Item,
    Label,
    Lane,
    Lanes,
    PreAnnotation,
    Prediction,
    Record,
    Task,
    Transcript,
    Uncertainty,
    Word,
    from_json,
    json_schema,
    to_json,
)

names = st.text(min_size=1)
unit = st.floats(0, 1)
seconds = st.floats(0, LARGEST)
coordinates = st.floats(-LARGEST, LARGEST)
finite = st.floats(allow_nan=False, allow_infinity=False)
spoken = st.text(min_size=1).map(lambda text: "".join(text.split())).filter(bool)
features = st.dictionaries(st.text(), finite, max_size=4)
embeddings = st.lists(finite, max_size=5).map(tuple)
zones = st.one_of(st.just(UTC), st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes))))
items = st.builds(Item, names, names, st.none() | st.text())


@st.composite
def words(draw: st.DrawFn) -> Word:
    start, end = sorted((draw(seconds), draw(seconds)))
    return Word(draw(spoken), start, end, draw(unit))


@st.composite
def transcripts(draw: st.DrawFn) -> Transcript:
    aligned = tuple(draw(st.lists(words(), max_size=4)))
    if not aligned:
        return Transcript(draw(st.text()))
    gaps = draw(st.lists(st.sampled_from([" ", "  ", "\n", "\u3000"]), min_size=len(aligned), max_size=len(aligned)))
    return Transcript("".join(gap + word.text for gap, word in zip(gaps, aligned, strict=True)), aligned)


@st.composite
def all_boxes(draw: st.DrawFn) -> Boxes:
    width, height = draw(st.integers(1, 10**6)), draw(st.integers(1, 10**6))

    def span(side: int) -> tuple[float, float]:
        pair = st.lists(st.floats(0, side), min_size=2, max_size=2, unique=True).map(sorted)
        low, high = draw(pair)
        return low, high

    corners = [(span(width), span(height)) for _ in range(draw(st.integers(0, 3)))]
    return Boxes(width, height, tuple(Box((x[0], y[0], x[1], y[1]), draw(names), draw(unit)) for x, y in corners))


@st.composite
def lane(draw: st.DrawFn) -> Lane:
    points = tuple(draw(st.lists(st.tuples(coordinates, coordinates), min_size=2, max_size=6)))
    deviations = st.lists(st.floats(0, 1e6), min_size=len(points), max_size=len(points)).map(tuple)
    return Lane(points, draw(st.just(()) | deviations), draw(unit))


sides = st.integers(1, 10**6)
all_lanes = st.builds(Lanes, sides, sides, st.lists(lane(), max_size=3).map(tuple))
uncertainties = st.builds(Uncertainty, unit, seconds, unit)
LABELS: dict[Task, st.SearchStrategy[Any]] = {"asr": transcripts(), "detection": all_boxes(), "lane": all_lanes}
labelled = st.sampled_from(sorted(LABELS)).flatmap(lambda task: st.tuples(st.just(task), LABELS[task]))


@st.composite
def pre_annotations(draw: st.DrawFn) -> PreAnnotation:
    task, label = draw(labelled)
    doubt = draw(uncertainties)
    return PreAnnotation(draw(names), task, draw(names), label, doubt, draw(features), draw(embeddings))


@st.composite
def corrections(draw: st.DrawFn) -> Correction:
    task, label = draw(labelled)
    moment = draw(st.datetimes(datetime(1970, 1, 2), datetime(9999, 12, 30), timezones=zones))  # noqa: DTZ001
    who, tool = draw(names), draw(st.text())
    return Correction(draw(names), task, label, who, draw(seconds), tool, moment, draw(st.none() | names))


records = st.one_of(items, transcripts(), all_boxes(), all_lanes, uncertainties, pre_annotations(), corrections())


@given(records)
def test_json_loses_nothing_and_keeps_to_the_schema(record: Any) -> None:
    text = json.dumps(to_json(record), allow_nan=False)
    assert from_json(type(record), json.loads(text)) == record
    _validator(type(record).__name__).validate(json.loads(text))


@cache
def _validator(name: str) -> Any:
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator({**schema, "$ref": f"#/$defs/{name}"})


ONE_OF_EACH: list[Record] = [
    Item("a", "a.jpg", "clip 7"),
    Transcript("dobry dźeń", (Word("dobry", 0.1, 0.5, 0.9), Word("dźeń", 0.5, 0.8, 0.4))),
    Boxes(480, 360, (Box((184.0, 120.5, 479.0, 330.1), "car", 0.93),)),
    Lanes(512, 256, (Lane(((-3.5, 255.0), (100.0, 40.0)), (0.5, 2.5), 0.8),)),
    Uncertainty(0.31, 8.2, 0.44),
    PreAnnotation("a", "asr", "v1", Transcript("ja"), Uncertainty(1, 2, 1), {"entropy": 0.5}, (0.25, -1.0)),
    Correction("a", "lane", Lanes(2, 2), "ann", 3.5, "cvat", datetime(2024, 5, 1, 12, tzinfo=UTC), "v1"),
]


@pytest.mark.parametrize("record", ONE_OF_EACH, ids=lambda record: type(record).__name__)
def test_every_record_carries_the_version_and_refuses_another(record: Record) -> None:
    written = to_json(record)
    assert written["version"] == 1
    name = type(record).__name__
    with pytest.raises(InvalidRecord, match=rf"^{name}\.version: expected 1, got 2"):
        from_json(type(record), {**written, "version": 2})


@pytest.mark.parametrize("record", ONE_OF_EACH, ids=lambda record: type(record).__name__)
def test_an_unknown_a_missing_and_a_wrong_field_are_named(record: Record) -> None:
    written = to_json(record)
    name = type(record).__name__
    with pytest.raises(InvalidRecord, match=rf"^{name}: colour: .*got 'red'"):
        from_json(type(record), {**written, "colour": "red"})
    field = next(key for key in written if key != "version")
    with pytest.raises(InvalidRecord, match=rf"^{name}: {field}: "):
        from_json(type(record), {key: value for key, value in written.items() if key != field})
    with pytest.raises(InvalidRecord, match=rf"^{name}: {field}: .*got \[\]"):
        from_json(type(record), {**written, field: []})
    validator = _validator(type(record).__name__)
    assert validator.is_valid(written)
    assert not validator.is_valid({**written, field: []})
    assert not validator.is_valid({**written, "colour": "red"})
    assert not validator.is_valid({**written, "version": 2})


def test_the_published_schema_is_of_a_record_of_any_kind() -> None:
    schema = jsonschema.Draft202012Validator(json_schema())
    assert all(schema.is_valid(to_json(record)) for record in ONE_OF_EACH)
    assert not schema.is_valid({"colour": "red"})


def with_value(values: Any, path: tuple[str | int, ...], value: object) -> Any:
    """The same JSON with another value at one place."""
    if not path:
        return value
    if isinstance(values, list):
        return [with_value(one, path[1:], value) if at == path[0] else one for at, one in enumerate(values)]
    return {**values, path[0]: with_value(values[path[0]], path[1:], value)}


@pytest.mark.parametrize(
    ("kind", "path", "value"),
    [
        (0, ("id",), ""),
        (0, ("uri",), ""),
        (1, ("words", 0, "text"), ""),
        (1, ("words", 0, "start_s"), -0.1),
        (1, ("words", 0, "end_s"), 2e9),
        (1, ("words", 0, "confidence"), 1.1),
        (2, ("width",), 0),
        (2, ("height",), 2_000_000_000),
        (2, ("boxes", 0, "xyxy", 1), -0.5),
        (2, ("boxes", 0, "category"), ""),
        (2, ("boxes", 0, "confidence"), -0.1),
        (3, ("lanes", 0, "points"), [[1, 2]]),
        (3, ("lanes", 0, "points", 0, 1), -2e9),
        (3, ("lanes", 0, "std_px", 0), -1.0),
        (3, ("lanes", 0, "confidence"), 2),
        (4, ("p_error",), 1.5),
        (4, ("seconds",), -1),
        (4, ("score",), -0.5),
        (6, ("annotator",), ""),
        (6, ("seconds",), 2e9),
    ],
)
def test_the_schema_refuses_what_a_record_refuses(kind: int, path: tuple[str | int, ...], value: object) -> None:
    record = ONE_OF_EACH[kind]
    written = json.loads(json.dumps(to_json(record)))
    broken = with_value(written, path, value)
    with pytest.raises(InvalidRecord):
        from_json(type(record), broken)
    assert _validator(type(record).__name__).is_valid(written)
    assert not _validator(type(record).__name__).is_valid(broken)


def refused(make: Any, message: str) -> None:
    with pytest.raises(InvalidRecord) as error:
        make()
    assert str(error.value).startswith(message)


NAN, INF = math.nan, math.inf


@pytest.mark.parametrize("value", [-0.01, 1.01, NAN, INF])
def test_doubt_and_confidence_lie_between_0_and_1(value: float) -> None:
    refused(lambda: Word("a", 0, 1, value), "Word.confidence: expected a number in [0, 1], got ")
    refused(lambda: Box((0, 0, 1, 1), "a", value), "Box.confidence: expected a number in [0, 1], got ")
    refused(lambda: Lane(((0, 0), (1, 1)), (), value), "Lane.confidence: expected a number in [0, 1], got ")
    refused(lambda: Uncertainty(value, 0, 0), "Uncertainty.p_error: expected a number in [0, 1], got ")
    refused(lambda: Uncertainty(0, 0, value), "Uncertainty.score: expected a number in [0, 1], got ")
    refused(lambda: Prediction(Transcript(""), value, {}, ()), "Prediction.score: expected a number in [0, 1], got ")


@pytest.mark.parametrize("value", [-1, NAN, INF])
def test_seconds_are_finite_and_not_negative(value: float) -> None:
    refused(lambda: Uncertainty(0, value, 0), "Uncertainty.seconds: expected a finite number >= 0, got ")
    refused(lambda: Word("a", value, 5), "Word: expected 0 <= start_s <= end_s, at most 1e+09, got ")
    refused(lambda: Word("a", 0, value), "Word: expected 0 <= start_s <= end_s, at most 1e+09, got ")


@pytest.mark.parametrize("xyxy", [(0, 0, 0, 5), (5, 0, 4, 5), (-1, 0, 4, 5), (0, 0, 4, INF), (0, NAN, 4, 5)])
def test_boxes_have_an_inside(xyxy: tuple[float, float, float, float]) -> None:
    refused(lambda: Box(xyxy, "car"), "Box.xyxy: expected 0 <= x1 < x2 and 0 <= y1 < y2, got ")


def test_other_rules_of_labels() -> None:
    refused(lambda: Box((0, 0, 1, 1), ""), "Box.category: expected a non-empty string, got ''")
    refused(lambda: Boxes(4, 4, (Box((0, 0, 5, 4), "a"),)), "Boxes.boxes: expected a box inside 4x4, got (0, 0, 5, 4)")
    refused(lambda: Boxes(0, 4), "Boxes: expected width and height from 1 to 1e+09, got (0, 4)")
    refused(lambda: Lanes(4, -1), "Lanes: expected width and height from 1 to 1e+09, got (4, -1)")
    refused(lambda: Lane(((0, 0),)), "Lane.points: expected at least 2 points, got 1")
    refused(lambda: Lane(((0, 0), (NAN, 1))), "Lane.points: expected coordinates from -1e+09 to 1e+09, got ")
    refused(lambda: Lane(((0, 0), (1, 1)), (1.0,)), "Lane.std_px: expected none or 2 values >= 0, got (1.0,)")
    refused(lambda: Lane(((0, 0), (1, 1)), (1.0, -1.0)), "Lane.std_px: expected none or 2 values >= 0, got ")
    refused(lambda: Word(" ", 0, 1), "Word.text: expected a non-blank string, got ' '")
    refused(lambda: Transcript("a b", (Word("a", 0, 1),)), "Transcript.words: expected the words of 'a b', got ['a']")
    refused(lambda: Item("", "x"), "Item.id: expected a non-empty string, got ''")
    refused(lambda: Item("x", ""), "Item.uri: expected a non-empty string, got ''")


def test_numbers_too_large_to_be_summed_and_squared_are_refused() -> None:
    beyond = 2 * LARGEST
    now = datetime(2024, 5, 1, tzinfo=UTC)
    refused(lambda: Word("a", 0, beyond), "Word: expected 0 <= start_s <= end_s, at most 1e+09, got (0, 2000000000.0)")
    refused(lambda: Lane(((0, 0), (1, -beyond))), "Lane.points: expected coordinates from -1e+09 to 1e+09, got ")
    refused(lambda: Boxes(10**400, 1), "Boxes: expected width and height from 1 to 1e+09, got (1000")
    refused(lambda: Lanes(1, 10**400), "Lanes: expected width and height from 1 to 1e+09, got (1, 1000")
    refused(
        lambda: Correction("a", "asr", Transcript("x"), "ann", beyond, "x", now),
        "Correction.seconds: expected a number from 0 to 1e+09, got 2000000000.0",
    )


def test_a_label_must_fit_its_task() -> None:
    doubt = Uncertainty(0, 0, 0)
    other: Label = Transcript("x")
    for task in ("detection", "lane"):
        message = f"label: expected {LABEL_TYPES[task].__name__} for task '{task}', got Transcript("
        refused(lambda task=task: PreAnnotation("a", task, "v", other, doubt), f"PreAnnotation.{message}")
    now = datetime(2024, 5, 1, tzinfo=UTC)
    refused(
        lambda: Correction("a", "asr", Lanes(1, 1), "ann", 1, "x", now), "Correction.label: expected Transcript for"
    )


def test_a_correction_says_who_and_when() -> None:
    naive = datetime(2024, 5, 1)  # noqa: DTZ001
    now = naive.replace(tzinfo=UTC)
    label = Transcript("x")
    refused(lambda: Correction("a", "asr", label, "", 1, "x", now), "Correction.annotator: expected a non-empty string")
    refused(lambda: Correction("a", "asr", label, "ann", NAN, "x", now), "Correction.seconds: expected a number from 0")
    refused(lambda: Correction("a", "asr", label, "ann", 1, "x", naive), "Correction.created_at: expected a time with")


def test_features_and_embeddings_are_finite() -> None:
    refused(lambda: Prediction(Transcript(""), 1, {"a": NAN}, ()), "Prediction.features['a']: expected a finite number")
    refused(lambda: Prediction(Transcript(""), 1, {}, (INF,)), "Prediction.embedding: expected finite numbers, got ")


@pytest.mark.parametrize(("written", "came"), [("NaN", "nan"), ("Infinity", "inf")])
def test_what_json_writes_for_no_number_is_refused(written: str, came: str) -> None:
    values = json.loads(f'{{"p_error": 0.5, "seconds": {written}, "score": 0.5}}')
    message = f"Uncertainty: seconds: Input should be a finite number, got {came}"
    refused(lambda: from_json(Uncertainty, values), message)


def test_a_message_says_what_came_but_not_at_any_length() -> None:
    refused(lambda: Item("", "x"), "Item.id: expected a non-empty string, got ''")
    with pytest.raises(InvalidRecord) as error:
        Lane(tuple((float(x), NAN) for x in range(1000)))
    assert len(str(error.value)) < 300
