"""Doubt from probabilities, and what a second is worth: hand-worked tables, then ranges and errors."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import InvalidInput
from selection.strategies import entropy, least_confidence, margin, per_second
from tests.selection.pools import rng

MEASURES = [least_confidence, margin, entropy]
SURE, EVEN, TWO, MOST = [1.0, 0, 0], [1 / 3, 1 / 3, 1 / 3], [0.5, 0.5, 0], [0.7, 0.2, 0.1]


@pytest.mark.parametrize(
    ("measure", "expected"),
    [
        (least_confidence, [0, 1, 0.75, 0.45]),
        (margin, [0, 1, 1, 0.5]),
        (entropy, [0, 1, math.log(2) / math.log(3), 0.7298466991620975]),
    ],
)
def test_hand_worked_doubts(measure: Callable[..., Any], expected: list[float]) -> None:
    assert measure(np.array([SURE, EVEN, TWO, MOST])) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("measure", MEASURES)
@given(classes=st.integers(2, 6), seed=st.integers(0, 99))
def test_doubt_is_in_range_and_knows_no_order_of_classes(measure: Callable[..., Any], classes: int, seed: int) -> None:
    probabilities = rng(seed).dirichlet(np.full(classes, 0.3), 20).astype(np.float32)
    doubt = measure(probabilities)
    assert ((doubt >= 0) & (doubt <= 1)).all()
    assert measure(probabilities[:, ::-1]) == pytest.approx(doubt, abs=1e-12)


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize(
    ("probabilities", "said"),
    [
        ([EVEN, [0.5, math.nan, 0.5]], r"scores\[1\]: expected probabilities with the sum 1, got \[0.5 nan 0.5\]"),
        ([EVEN, EVEN, [0.7, 0.2, 0.0]], r"scores\[2\]: expected probabilities"),
        ([[1.5, -0.5, 0.0]], r"scores\[0\]: expected probabilities"),
        ([[1.0], [1.0]], r"scores: expected probabilities of shape \(n, K\) with K >= 2, got \(2, 1\)"),
        ([0.5, 0.5], r"scores: expected probabilities of shape \(n, K\)"),
    ],
)
def test_what_is_no_distribution_is_named(measure: Callable[..., Any], probabilities: Any, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        measure(np.array(probabilities))


def test_a_second_is_worth_its_share_of_the_change() -> None:
    # 0.9 / 30 = 0.03, 0.5 / 10 = 0.05, 0.2 / 2 = 0.1, 0 / 5 = 0; times 2 s, what the cheapest item takes
    worth = per_second(np.array([0.9, 0.5, 0.2, 0.0]), np.array([30.0, 10.0, 2.0, 5.0]))
    assert worth == pytest.approx([0.06, 0.1, 0.2, 0.0])
    assert per_second(np.empty(0), np.empty(0)).tolist() == []


@pytest.mark.parametrize(
    ("scores", "seconds", "said"),
    [
        ([0.5, 0.5], [1.0, 0.0], r"seconds\[1\]: expected a finite number > 0, got 0.0"),
        ([0.5, 0.5], [math.nan, 1.0], r"seconds\[0\]: expected a finite number > 0, got nan"),
        ([0.5, 0.5], [math.inf, 1.0], r"seconds\[0\]: expected a finite number > 0, got inf"),
        ([0.5, 0.5], [1.0], r"seconds: expected shape \(2,\), got \(1,\)"),
        ([0.5, math.nan], [1.0, 1.0], r"scores\[1\]: .* got nan"),
    ],
)
def test_bad_seconds_are_named(scores: list[float], seconds: list[float], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        per_second(np.array(scores), np.array(seconds))
