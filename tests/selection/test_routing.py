"""Routing: chance first, then the promise, then the cost; every answer says why."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from models.records import Uncertainty
from selection.risk import NoPromise, Threshold
from selection.routing import Decision, Policy, draw, route

POLICY = Policy(calibration_share=0.2, audit_share=0.02)
PROMISE = Threshold(threshold=0.04, alpha=0.02, delta=0.05, n=512, accepted=300, errors=1)
NONE = NoPromise("12 random checks are known, at least 149 are needed", 137)
UNIT = st.floats(0, 1)


def unsure(score: float, seconds: float = 8.2) -> Uncertainty:
    return Uncertainty(p_error=0.31, seconds=seconds, score=score)


def test_a_doubtful_label_is_reviewed_and_says_why() -> None:
    assert route(unsure(0.44), 20.0, PROMISE, POLICY, 0.5) == Decision(
        "review",
        "p_error 0.31 (score 0.44) is above the accepted score 0.04 (alpha 2 %, delta 5 %, n = 512)",
    )


def test_a_certain_label_is_accepted_under_a_promise() -> None:
    decision = route(unsure(0.04), 20.0, PROMISE, POLICY, 0.5)
    assert decision.decision == "accept"
    assert decision.reason.endswith("is within the accepted score 0.04 (alpha 2 %, delta 5 %, n = 512)")


def test_without_a_promise_nothing_is_accepted() -> None:
    decision = route(unsure(0.0), 20.0, NONE, POLICY, 0.5)
    assert decision.decision == "review"
    assert "nothing is accepted unseen yet: 12 random checks are known, at least 149 are needed" in decision.reason


def test_where_correcting_costs_more_a_person_starts_afresh() -> None:
    decision = route(unsure(0.9, seconds=30.0), 20.0, PROMISE, POLICY, 0.5)
    assert decision.decision == "annotate"
    assert decision.reason.endswith("correcting would take 30.0 s, labelling afresh 20.0 s")


def test_chance_comes_first_with_a_larger_share_until_there_is_a_promise() -> None:
    assert route(unsure(0.0), 20.0, PROMISE, POLICY, 0.019).decision == "audit"
    assert route(unsure(0.0), 20.0, PROMISE, POLICY, 0.021).decision == "accept"
    assert route(unsure(0.0), 20.0, NONE, POLICY, 0.199).decision == "audit"
    assert route(unsure(0.0), 20.0, NONE, POLICY, 0.201).decision == "review"


@given(UNIT, st.floats(0, 1e6), st.floats(0, 1e6), UNIT)
def test_nothing_is_ever_accepted_without_a_promise(score: float, seconds: float, scratch: float, drawn: float) -> None:
    assert route(unsure(score, seconds), scratch, NONE, POLICY, drawn).decision != "accept"


@given(UNIT, UNIT, UNIT)
def test_a_smaller_doubt_is_never_treated_with_more_suspicion(one: float, other: float, drawn: float) -> None:
    low, high = sorted((one, other))
    if route(unsure(high), 1e9, PROMISE, POLICY, drawn).decision == "accept":
        assert route(unsure(low), 1e9, PROMISE, POLICY, drawn).decision == "accept"


def test_draws_are_stable_uniform_and_independent() -> None:
    audit = np.array([draw(f"item {i}", 0) for i in range(4000)])
    gold = np.array([draw(f"item {i}", 0, "gold") for i in range(4000)])
    assert draw("item 1", 0) == audit[1] != draw("item 1", 1)
    assert abs((audit < 0.2).mean() - 0.2) < 0.02
    assert audit.min() >= 0
    assert audit.max() < 1
    assert abs(np.corrcoef(audit, gold)[0, 1]) < 0.05
