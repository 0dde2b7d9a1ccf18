"""A policy checks its terms, and is named by them."""

import hashlib
from dataclasses import replace
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
        ({"delta": float("nan")}, r"delta: expected a number in \[1e-06, 1\), got nan"),
        ({"audit_share": 0.0}, r"audit_share: expected a share in \(0, 1\], got 0.0"),
        ({"calibration_share": 1.1}, r"calibration_share: expected a share in \(0, 1\], got 1.1"),
        ({"budget_s_per_day": -1.0}, "budget_s_per_day: expected seconds above 0, at most 1e\\+09, got -1.0"),
        ({"budget_s_per_day": 1e10}, "budget_s_per_day: expected seconds above 0, at most 1e\\+09, got 10000000000.0"),
        ({"matters_wer": 1.0}, "matters: expected 0 <= wer < 1"),
    ],
)
def test_terms_are_checked(terms: dict[str, Any], said: str) -> None:
    assert replace(Policy(), audit_share=1.0, calibration_share=1.0).audit_share == 1.0
    with pytest.raises(InvalidInput, match=said):
        Policy(**terms)


def test_the_same_terms_have_the_same_name_and_no_others_do() -> None:
    named = [Policy(), Policy(alpha=0.03), Policy(budget_s_per_day=5.0), Policy(matters_category=False)]
    assert len({one.version for one in named}) == len(named)
    assert Policy(alpha=0.03).version == named[1].version


def test_a_name_outlives_terms_that_are_added_later() -> None:
    """By content, and written down here once: it must not change unless the terms do."""
    policy = Policy(alpha=0.03, rules=(Rule("asr", text="yes"),), strategies=(Share("random"),))
    told = '{"alpha": 0.03, "rules": [{"decision": "review", "task": "asr", "text": "yes"}], '
    told += '"strategies": [{"name": "random", "share": 1.0}]}'
    assert policy.version == f"policy-{hashlib.sha256(told.encode()).hexdigest()[:12]}"
