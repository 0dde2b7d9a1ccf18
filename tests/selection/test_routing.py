"""Routing: a table of decisions and their sentences, then properties."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import InvalidInput
from models.records import Uncertainty
from selection.kinds import REST
from selection.parts import OfKind, PartPromise, Plan
from selection.policy import Policy
from selection.risk import NoPromise, Threshold
from selection.routing import DRAWN, draw, route, route_parts
from selection.rules import Rule

Promise = Threshold | NoPromise

POLICY = Policy(calibration_share=0.2, audit_share=0.02)
PROMISE = Threshold(threshold=0.04, alpha=0.02, delta=0.05, n=512, accepted=300, errors=1)
WAITING = "12 random checks are weighed, at least 149 are needed"
NONE = NoPromise(WAITING, 137)
RULE = Rule("detection", category="pedestrian")
CROWDED = Rule("detection", category="car", more_than=5)
UNIT, DRAW, SECONDS = st.floats(0, 1), st.floats(0, 1, exclude_max=True), st.floats(0, 1e6)
thresholds = st.builds(Threshold, UNIT, st.just(0.02), st.just(0.05), st.just(512), st.just(300), st.just(1))
promises = st.one_of(st.just(NONE), thresholds)


def _doubt(score: float, seconds: float = 8.2) -> Uncertainty:
    return Uncertainty(p_error=0.31, seconds=seconds, score=score)


@pytest.mark.parametrize(
    ("uncertainty", "promise", "drawn", "decision", "reason"),
    [
        (_doubt(0.44), PROMISE, 0.5, "review",
         "p_error 0.31 (score 0.44) is above the accepted score 0.04 (alpha 2 %, delta 5 %, n = 512)"),
        (_doubt(0.01), PROMISE, 0.5, "accept",
         "p_error 0.31 (score 0.01) is within the accepted score 0.04 (alpha 2 %, delta 5 %, n = 512)"),
        (_doubt(0.04), PROMISE, 0.5, "accept",
         "p_error 0.31 (score 0.04) is within the accepted score 0.04 (alpha 2 %, delta 5 %, n = 512)"),
        (_doubt(0.0401), PROMISE, 0.5, "review",
         "p_error 0.31 (score 0.0401) is above the accepted score 0.0400 (alpha 2 %, delta 5 %, n = 512)"),
        (_doubt(0.44, 25.0), PROMISE, 0.5, "annotate",
         "p_error 0.31 (score 0.44) is above the accepted score 0.04 (alpha 2 %, delta 5 %, n = 512); "
         "correcting would take 25.0 s, labelling afresh 20.0 s"),
        (_doubt(0.01), PROMISE, 0.019, "audit",
         "drawn at random: people check 2 % of all items, whatever their score; "
         "p_error 0.31 (score 0.01) is within the accepted score 0.04 (alpha 2 %, delta 5 %, n = 512)"),
        (_doubt(0.01), PROMISE, 0.02, "accept",
         "p_error 0.31 (score 0.01) is within the accepted score 0.04 (alpha 2 %, delta 5 %, n = 512)"),
        (_doubt(0.0), NONE, 0.5, "review",
         f"p_error 0.31 (score 0), and nothing is accepted unseen yet: {WAITING}"),
        (_doubt(1.1e-7), NONE, 0.5, "review",
         f"p_error 0.31 (score 0.0000), and nothing is accepted unseen yet: {WAITING}"),
        (_doubt(0.5, 20.0), NONE, 0.2, "annotate",
         f"p_error 0.31 (score 0.5), and nothing is accepted unseen yet: {WAITING}; "
         "correcting would take as long as labelling afresh, 20.0 s"),
        (_doubt(0.0), NONE, 0.199, "calibrate",
         "drawn at random: people check 20 % of all items, whatever their score; "
         f"p_error 0.31 (score 0), and nothing is accepted unseen yet: {WAITING}"),
    ],
)  # fmt: skip
def test_decisions_and_their_sentences(
    uncertainty: Uncertainty, promise: Promise, drawn: float, decision: str, reason: str
) -> None:
    got = route(uncertainty, 20.0, promise, POLICY, drawn)
    assert (got.decision, got.reason) == (decision, reason)


@pytest.mark.parametrize(
    ("uncertainty", "promise", "drawn", "rule", "otherwise"),
    [
        (_doubt(0.44), PROMISE, 0.5, None, "up to the score 0.04 (it has 0.44) it would be accepted unseen"),
        (_doubt(0.01), PROMISE, 0.5, None, "above the score 0.04 (it has 0.01) it would be reviewed"),
        (_doubt(0.01, 25.0), PROMISE, 0.5, None, "above the score 0.04 (it has 0.01) it would be labelled afresh"),
        (_doubt(0.44, 25.0), PROMISE, 0.5, None,
         "if correcting took less than 20.0 s it would be reviewed; "
         "up to the score 0.04 (it has 0.44) it would be accepted unseen"),
        (_doubt(0.01), PROMISE, 0.019, None, "not drawn (its number is 0.019) it would be accepted unseen"),
        (_doubt(0.1), PROMISE, 0.019, None, "not drawn (its number is 0.019) it would be reviewed"),
        (_doubt(0.0), NONE, 0.5, None,
         "it can be accepted unseen once 137 more random checks are weighed, at the earliest"),
        (_doubt(0.0), NoPromise("withdrawn"), 0.5, None, "when it could be accepted unseen cannot be told: withdrawn"),
        (_doubt(0.01), PROMISE, 0.5, RULE, "without that rule it would be accepted unseen"),
        (_doubt(0.44, 25.0), PROMISE, 0.5, RULE, "without that rule it would be labelled afresh"),
        (_doubt(0.01), PROMISE, 0.5, CROWDED,
         'with no more than 5 boxes "car", or without that rule, it would be accepted unseen'),
        (_doubt(0.01), PROMISE, 0.019, RULE, "not drawn (its number is 0.019) it would be reviewed"),
    ],
)  # fmt: skip
def test_what_would_change_a_decision(
    uncertainty: Uncertainty, promise: Promise, drawn: float, rule: Rule | None, otherwise: str
) -> None:
    assert route(uncertainty, 20.0, promise, POLICY, drawn, rule).otherwise == otherwise


def test_a_rule_says_what_it_asks_for() -> None:
    decided = route(_doubt(0.01), 20.0, PROMISE, POLICY, 0.5, RULE)
    assert decided.reason.startswith('by a rule of the policy, what has boxes "pedestrian" is always reviewed; p_error')
    assert (decided.decision, decided.policy) == ("review", POLICY.version)


@given(UNIT, SECONDS, SECONDS, thresholds, st.floats(0.02, 1, exclude_max=True))
def test_what_is_said_to_change_a_decision_does(
    score: float, seconds: float, scratch: float, promise: Threshold, drawn: float
) -> None:
    decided = route(_doubt(score, seconds), scratch, promise, POLICY, drawn)
    assert decided.otherwise is not None
    if decided.decision == "accept" and promise.threshold < 1:
        changed = route(_doubt(1.0, seconds), scratch, promise, POLICY, drawn)
        assert decided.otherwise.endswith({"review": "reviewed", "annotate": "labelled afresh"}[changed.decision])
    if decided.decision in ("review", "annotate"):
        assert route(_doubt(promise.threshold, seconds), scratch, promise, POLICY, drawn).decision == "accept"


@given(UNIT, SECONDS, SECONDS, DRAW)
def test_nothing_is_ever_accepted_without_a_promise(score: float, seconds: float, scratch: float, drawn: float) -> None:
    decision = route(_doubt(score, seconds), scratch, NONE, POLICY, drawn)
    assert decision.decision != "accept"
    assert "nothing is accepted unseen yet" in decision.reason


@given(UNIT, SECONDS, SECONDS, promises, DRAW)
def test_what_is_accepted_lies_within_a_promise(
    score: float, seconds: float, scratch: float, promise: Promise, drawn: float
) -> None:
    decision = route(_doubt(score, seconds), scratch, promise, POLICY, drawn)
    assert decision == route(_doubt(score, seconds), scratch, promise, POLICY, drawn)
    if decision.decision == "accept":
        assert isinstance(promise, Threshold)
        assert score <= promise.threshold


@given(UNIT, UNIT, SECONDS, promises, DRAW)
def test_less_doubt_is_never_trusted_less(
    one: float, other: float, scratch: float, promise: Promise, drawn: float
) -> None:
    sure, unsure = sorted((one, other))
    if route(_doubt(unsure), scratch, promise, POLICY, drawn).decision == "accept":
        assert route(_doubt(sure), scratch, promise, POLICY, drawn).decision == "accept"


@given(UNIT, UNIT, SECONDS, SECONDS, promises, DRAW)
def test_random_checks_do_not_depend_on_doubt_or_cost(
    one: float, other: float, seconds: float, scratch: float, promise: Promise, drawn: float
) -> None:
    first = route(_doubt(one, seconds), scratch, promise, POLICY, drawn).decision in DRAWN
    assert first == (route(_doubt(other, scratch), seconds, promise, POLICY, drawn).decision in DRAWN)


@given(UNIT, UNIT)
def test_a_reason_never_shows_two_equal_figures_for_two_different_ones(score: float, threshold: float) -> None:
    promise = Threshold(threshold, 0.02, 0.05, 512, 300, 1)
    words = route(_doubt(score), 1e9, promise, POLICY, 0.5).reason.split()
    shown, limit = float(words[words.index("(score") + 1].rstrip(")")), float(words[words.index("accepted") + 2])
    assert (shown < limit, shown > limit) == (score < threshold, score > threshold)


def test_draws_are_stable_even_and_independent() -> None:
    assert draw("item", 0) == 0.1606582580439715  # for ever: the store keeps what was drawn
    draws = np.array([draw(f"item {i}", 0) for i in range(4000)])
    assert draws.min() >= 0
    assert draws.max() < 1
    counts = np.histogram(draws, 20, (0, 1))[0]
    assert np.abs(counts - 200).max() < 5 * np.sqrt(200)
    for others in ([draw(f"item {i}", 1) for i in range(4000)], [draw(f"item {i}", 0, "gold") for i in range(4000)]):
        assert abs(np.corrcoef(draws, others)[0, 1]) < 5 / np.sqrt(4000)


@pytest.mark.parametrize("bad", [-0.1, 1.0, float("nan")])
def test_a_draw_out_of_range_is_refused(bad: float) -> None:
    with pytest.raises(InvalidInput, match=r"expected a draw in \[0, 1\)"):
        route(_doubt(0.5), 1.0, NONE, POLICY, bad)


# -- parts

HELD = Threshold(threshold=0.1, alpha=0.02, delta=0.025, n=400, accepted=300, errors=1)
WITHIN = "3 of 4 parts are within the accepted score 0.1 (alpha 2 %, delta 2.5 %, n = 400)"
UP = "the accepted score 0.1 (alpha 2 %, delta 2.5 %, n = 400)"
UP_TO = "up to the score 0.1 {} would be accepted unseen"
FULL, SOME = Plan((), (0, 1, 2, 3), True), Plan((0, 1, 3), (2,), True)


@pytest.mark.parametrize(
    ("missing", "plan", "promise", "drawn", "decision", "reason", "otherwise"),
    [
        (0.3, SOME, PartPromise(HELD, HELD, 9), 0.5, "review",
         f"{WITHIN}; what is missing is asked: the doubt 0.30 is above 0.10 (alpha 2 %, delta 2.5 %, n = 400)",
         UP_TO.format("its one shown part")),
        (0.1, replace(SOME, asked=False), PartPromise(HELD, HELD, 9), 0.5, "review",
         f"{WITHIN}; what is missing is not asked: the doubt 0.10 is within 0.10 (alpha 2 %, delta 2.5 %, n = 400)",
         UP_TO.format("its one shown part")),
        (0.3, SOME, PartPromise(HELD, NONE, 9), 0.5, "review", f"{WITHIN}; what is missing is always asked: {WAITING}",
         UP_TO.format("its one shown part")),
        (0.3, SOME, PartPromise(HELD, NONE, 4), 0.5, "review", f"{WITHIN}; what is missing is always asked: {WAITING}",
         UP_TO.format("its one shown part")),  # as many as may be accepted of one item
        (0.3, replace(SOME, shown=()), PartPromise(HELD, HELD, 3), 0.5, "review",
         "3 of 3 parts are within the accepted score 0.1 (alpha 2 %, delta 2.5 %, n = 400); "
         "what is missing is asked: the doubt 0.30 is above 0.10 (alpha 2 %, delta 2.5 %, n = 400)",
         "within the doubt accepted of what is missing nobody would look at it"),
        (0.1, FULL, PartPromise(HELD, HELD, 9), 0.5, "review",
         "0 of 4 parts are within the accepted score 0.1 (alpha 2 %, delta 2.5 %, n = 400); "
         "what is missing is asked, for a person sees all of it", UP_TO.format("its 4 shown parts")),
        (0.3, SOME, PartPromise(HELD, NONE, 3), 0.5, "review",
         f"{WITHIN}, and no more than 3 of one item are accepted; what is missing is always asked: {WAITING}",
         UP_TO.format("its one shown part") + " if it had no more than 3 parts"),
        (0.3, FULL, PartPromise.none(WAITING), 0.5, "review",
         f"no part is accepted unseen yet: {WAITING}; what is missing is always asked: {WAITING}",
         "when it could be accepted unseen cannot be told: " + WAITING),
        (0.3, SOME, PartPromise(HELD, NONE, 9), 0.01, "audit",
         f"drawn at random: people check 2 % of all items, whatever their score; {WITHIN}; "
         f"what is missing is always asked: {WAITING}", "not drawn (its number is 0.01) it would be reviewed"),
    ],
)  # fmt: skip
def test_parts_by_hand(
    missing: float, plan: Plan, promise: PartPromise, drawn: float, decision: str, reason: str, otherwise: str
) -> None:
    decided = route_parts(missing, 5.0, 20.0, plan, promise, POLICY, drawn)
    assert (decided.decision, decided.reason) == (decision, reason)
    assert decided.parts == (plan if decision == "review" and plan.partial else None)
    assert decided.otherwise == otherwise


@pytest.mark.parametrize(
    ("plans", "whole", "reason", "otherwise"),
    [
        ({"cells": Plan((0, 1), (2,), True), REST: Plan((), (3,), True)}, Plan((0, 1), (2, 3), True),
         f'of the kind "cells" 2 of 3 parts are within {UP}; of the rest no part is accepted unseen yet: {WAITING}; ',
         'of the kind "cells" ' + UP_TO.format("its one shown part")),
        ({"cells": Plan((0,), (), True)}, Plan((0,), (), True), f'of the kind "cells" 1 of 1 parts are within {UP}; ',
         "within the doubt accepted of what is missing nobody would look at it"),
        ({}, Plan((), (), True), "", "within the doubt accepted of what is missing nobody would look at it"),
    ],
)  # fmt: skip
def test_kinds_of_parts_by_hand(plans: dict[str, Plan], whole: Plan, reason: str, otherwise: str) -> None:
    promises = {"cells": PartPromise(HELD, NONE, 9), REST: PartPromise(NONE, NONE, 1)}
    kinds = {kind: OfKind(of, promises[kind]) for kind, of in plans.items()}
    decided = route_parts(0.3, 5.0, 20.0, whole, promises[REST], POLICY, 0.5, kinds=kinds)
    assert decided.reason == f"{reason}what is missing is always asked: {WAITING}"
    assert (decided.decision, decided.otherwise) == ("review", otherwise)
    drawn = route_parts(0.3, 5.0, 20.0, whole, promises[REST], POLICY, 0.1, kinds=kinds)
    assert drawn.decision == "calibrate"  # while any kind has no promise


def test_an_item_of_which_a_person_sees_nothing_is_accepted_and_a_dear_one_done_afresh() -> None:
    unseen = Plan((0, 1, 2, 3), (), False)
    both = PartPromise(HELD, HELD, 9)
    assert route_parts(0.1, 0.0, 20.0, unseen, both, POLICY, 0.5).decision == "accept"
    assert route_parts(0.1, 0.0, 20.0, unseen, both, POLICY, 0.01).decision in DRAWN
    dear = route_parts(0.3, 20.0, 20.0, SOME, both, POLICY, 0.5)
    assert (dear.decision, dear.parts) == ("annotate", None)
    assert dear.reason.endswith("correcting would take as long as labelling afresh, 20.0 s")
    assert route_parts(0.3, 5.0, 20.0, FULL, PartPromise.none(WAITING), POLICY, 0.1).decision in DRAWN
