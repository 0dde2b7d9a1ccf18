"""Kinds of items: which one an item is of, what a policy says of them, and the reasons that name them."""

from dataclasses import replace
from typing import Any

import pytest

from models.errors import InvalidInput
from models.records import Box, Boxes, Lane, Lanes, Transcript, Uncertainty, Word
from selection.kinds import MISSING, REST, Kind, kind_of, kinds_of_parts, names_of
from selection.policy import Policy
from selection.risk import NoPromise, Threshold
from selection.routing import route, standing_of
from selection.rules import About, Rule

KINDS = (
    Kind("asr", "digits", text=r"^(one|two)$"),
    Kind("detection", "cars", category="car"),
    Kind("asr", "sorbian", language="hsb"),
    Kind("asr", "short words", text=r"^\w{1,3}$"),
)
HELD = Threshold(0.125, 0.02, 0.025, 300, 200, 1)
NONE = NoPromise("12 random checks are weighed, at least 205 are needed", 193)


@pytest.mark.parametrize(
    ("said", "about", "kind"),
    [
        ("two", About(), "digits"),
        ("two", About(language="hsb"), "digits"),  # the first that fits
        ("dwa", About(language="hsb"), "sorbian"),
        ("yes", About(), "short words"),
        ("marvin", About(), REST),
    ],
)
def test_an_item_is_of_the_first_kind_that_it_fits_and_else_of_the_rest(said: str, about: About, kind: str) -> None:
    assert Policy(kinds=KINDS).kind_of("asr", Transcript(said, (Word(said, 0, 1, 0.9),)), about) == kind


def test_a_task_without_kinds_has_none_not_even_a_rest() -> None:
    street = Boxes(64, 48, (Box((0, 0, 9, 9), "car", 0.9),))
    assert kind_of(KINDS, "detection", street, About()) == "cars"
    assert kind_of(KINDS, "detection", Boxes(64, 48), About()) == REST
    assert kind_of(KINDS, "lane", street, About()) is None
    assert names_of(KINDS, "asr") == ("digits", "sorbian", "short words", REST)
    assert names_of(KINDS, "lane") == ()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"task": "asr", "name": "rest"}, "kinds: name: expected .* not 'rest', got 'rest'"),
        ({"task": "asr", "name": "a; b"}, "kinds: name: expected up to 40 letters, .*, got 'a; b'"),
        ({"task": "asr", "name": ""}, "kinds: name: expected"),
        ({"task": "asr", "name": "a", "category": "car"}, "kinds: expected category in kinds of detection alone"),
        ({"task": "asr", "name": "a", "text": "("}, r"kinds: text: expected a regular expression, got '\('"),
    ],
)
def test_a_kind_is_checked(values: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        Kind(**values)


def test_a_policy_names_each_kind_of_a_task_once() -> None:
    assert Policy(kinds=(Kind("asr", "a"), Kind("lane", "a"))).kinds_of("lane") == ("a", REST)
    with pytest.raises(InvalidInput, match="kinds: expected each name once"):
        Policy(kinds=(Kind("asr", "a"), Kind("asr", "a", language="hsb")))
    parts = Policy(kinds=(Kind("asr", "a"), Kind("lane", "b")), promise_of="parts")
    assert parts.kinds_of("asr") == ("a", REST, MISSING)
    assert parts.kinds_of("detection") == ()
    with pytest.raises(InvalidInput, match="kinds: expected another name than 'missing' where the promise is of parts"):
        Policy(kinds=(Kind("asr", MISSING),), promise_of="parts")
    with pytest.raises(InvalidInput, match="kinds: expected no more_than where the promise is of parts, got 'a'"):
        Policy(kinds=(Kind("asr", "a", more_than=2),), promise_of="parts")


def test_a_part_is_of_the_kind_that_its_item_would_be_of_without_the_others() -> None:
    cells = Boxes(64, 48, tuple(Box((i, 0, i + 5, 9), name, 0.9) for i, name in enumerate(("car", "bus", "car"))))
    parts = Policy(kinds=KINDS, promise_of="parts")
    assert parts.kinds_of_parts("detection", cells, About()) == ("cars", REST, "cars")
    words = Transcript("two marvin yes", tuple(Word(text, 0, 1, 0.9) for text in ("two", "marvin", "yes")))
    assert parts.kinds_of_parts("asr", words, About()) == ("digits", REST, "short words")
    assert parts.kinds_of_parts("asr", words, About(language="hsb")) == ("digits", "sorbian", "sorbian")
    assert parts.kinds_of_parts("detection", Boxes(64, 48), About()) == ()
    line = Lane(((1.0, 2.0), (3.0, 4.0)))
    curbs = (Kind("lane", "doubtful", confidence_below=0.5),)
    street = Lanes(64, 48, (line, replace(line, confidence=0.2)))
    assert kinds_of_parts(curbs, "lane", street, About()) == (REST, "doubtful")


def test_policies_without_kinds_are_called_as_they_were_before_there_were_any() -> None:
    rules = (Rule("asr", text="yes"), Rule("detection", "annotate", category="bus"))
    assert Policy(alpha=0.03, rules=rules).version == "policy-987cc2004f91"
    assert len({Policy(kinds=kinds).version for kinds in ((), (Kind("asr", "a"),), (Kind("asr", "b"),))}) == 3


@pytest.mark.parametrize(
    ("promise", "drawn", "kind", "decision", "reason"),
    [
        (HELD, 0.5, "digits", "accept", 'it is of the kind "digits"; p_error 0.1 (score 0.10) is within the accepted '
         "score 0.12 (alpha 2 %, delta 2.5 %, n = 300)"),
        (NONE, 0.5, REST, "review", "it is of the rest; p_error 0.1 (score 0.1), and nothing is accepted unseen yet: "
         "12 random checks are weighed, at least 205 are needed"),
        (HELD, 0.01, "digits", "audit", 'drawn at random: people check 2 % of all items of the kind "digits", whatever '
         'their score; it is of the kind "digits"; p_error 0.1 (score 0.10) is within the accepted score 0.12 '
         "(alpha 2 %, delta 2.5 %, n = 300)"),
        (NONE, 0.01, REST, "calibrate", "drawn at random: people check 20 % of all items of the rest, whatever their "
         "score; it is of the rest; p_error 0.1 (score 0.1), and nothing is accepted unseen yet: 12 random checks are "
         "weighed, at least 205 are needed"),
    ],
)  # fmt: skip
def test_a_reason_names_the_kind(
    promise: Threshold | NoPromise, drawn: float, kind: str, decision: str, reason: str
) -> None:
    found = route(Uncertainty(0.1, 5.0, 0.1), 20.0, promise, Policy(), drawn, kind=kind)
    assert (found.decision, found.reason) == (decision, reason)


def test_the_promise_of_a_kind_is_one_line() -> None:
    assert standing_of("digits", HELD) == (
        'of the kind "digits" scores up to 0.125 are accepted unseen: 1 of the 200 checked ones within were wrong '
        "(alpha 2 %, delta 2.5 %, n = 300)"
    )
    assert standing_of(REST, NONE) == f"of the rest nothing is accepted unseen yet: {NONE.reason}"
    assert standing_of(MISSING, NONE) == f"what is missing is always asked: {NONE.reason}"
    assert standing_of(MISSING, HELD) == (
        "what is missing is not asked up to the doubt 0.125: 1 of the 200 checked ones within lacked something "
        "(alpha 2 %, delta 2.5 %, n = 300)"
    )
