"""A policy checks its terms, and is named by them."""

import hashlib
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import pytest

from models.errors import InvalidInput
from selection.policy import Policy
from selection.queueing import Share
from selection.rules import Rule


@pytest.mark.parametrize(
    ("terms", "said"),
    [
        ({"alpha": 0.0}, r"alpha: expected a number in \[1e-06, 1\), got 0.0"),
        ({"alpha": 1e-9}, r"alpha: expected a number in \[1e-06, 1\), got 1e-09"),
        ({"alpha": 1.0}, r"alpha: expected a number in \[1e-06, 1\), got 1.0"),
        ({"delta": float("nan")}, r"delta: expected a number in \[1e-06, 1\), got nan"),
        ({"audit_share": 0.0}, r"audit_share: expected a share in \(0, 1\], got 0.0"),
        ({"calibration_share": 1.1}, r"calibration_share: expected a share in \(0, 1\], got 1.1"),
        ({"planted_share": -0.1}, r"planted_share: expected a share in \[0, 1\), got -0.1"),
        ({"planted_share": 1.0}, r"planted_share: expected a share in \[0, 1\), got 1.0"),
        ({"budget_s_per_day": 0.0}, "budget_s_per_day: expected seconds above 0, at most 1e\\+09, got 0.0"),
        ({"budget_s_per_day": 1e10}, "budget_s_per_day: expected seconds above 0, at most 1e\\+09, got 10000000000.0"),
        (
            {"checks_from": datetime.fromisoformat("2026-05-01")},
            "checks_from: expected a time with its zone, got '2026-05-01 00:00:00'",
        ),
        ({"strategies": ()}, r"strategies: expected at least one, got \(\)"),
        ({"matters_wer": 1.0}, "matters: expected 0 <= wer < 1"),
    ],
)
def test_terms_are_checked(terms: dict[str, Any], said: str) -> None:
    since = datetime(2026, 5, 1, tzinfo=UTC)
    Policy(audit_share=1.0, calibration_share=1.0, budget_s_per_day=1e9, checks_from=since)  # at the edge of each
    with pytest.raises(InvalidInput, match=said):
        Policy(**terms)


def test_the_same_terms_have_the_same_name_and_no_others_do() -> None:
    named = [Policy(), Policy(alpha=0.03), Policy(budget_s_per_day=0.5), Policy(matters_category=False)]
    assert len({one.version for one in named}) == len(named)
    assert Policy(alpha=0.03).version == named[1].version


def test_its_name_leaves_out_what_stands_by_default_so_the_defaults_stay() -> None:
    assert asdict(Policy()) == {
        "alpha": 0.02, "delta": 0.05, "promise_of": "items", "audit_share": 0.02, "calibration_share": 0.2,
        "groups": True, "planted_share": 0.0, "matters_wer": 0.0, "matters_iou": 0.5, "matters_category": True,
        "matters_lane_px": 8.0, "budget_s_per_day": None, "rules": (), "kinds": (), "checks_from": None,
        "strategies": ({"name": "uncertainty", "share": 1.0},), "annotators": {}, "deadlines": (),
    }  # fmt: skip


def test_a_name_outlives_terms_that_are_added_later() -> None:
    """By content, and written down here once: it must not change unless the terms do."""
    since = datetime(2026, 5, 1, tzinfo=UTC)
    policy = Policy(0.03, rules=(Rule("asr", text="yes"),), checks_from=since, strategies=(Share("random"),))
    told = '{"alpha": 0.03, "checks_from": "2026-05-01 00:00:00+00:00", '
    told += '"rules": [{"decision": "review", "task": "asr", "text": "yes"}], '
    told += '"strategies": [{"name": "random", "share": 1.0}]}'
    assert policy.version == f"policy-{hashlib.sha256(told.encode()).hexdigest()[:12]}"


def test_who_can_have_one_strategy_only_has_the_one_that_picks_most() -> None:
    assert (
        Policy(strategies=(Share("random", 0.2), Share("k-center", 0.5), Share("uncertainty", 0.3))).leading
        == "k-center"
    )
