"""Confidences of words and boxes become probabilities."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit

from models.certainty import Certainty, learn
from models.errors import InvalidInput


def test_a_line_in_log_odds_is_found_again() -> None:
    rng = np.random.default_rng(0)
    confidences = rng.random(50_000)
    right = rng.random(50_000) < expit(0.5 * logit(confidences) + 1)
    found = learn(confidences.tolist(), right)
    assert found.slope == pytest.approx(0.5, abs=0.03)
    assert found.offset == pytest.approx(1, abs=0.05)
    assert found.of(0.5) == pytest.approx(expit(1), abs=0.01)


def test_a_line_through_two_confidences_by_hand() -> None:
    """Six of ten are right and count as 7/8, four are wrong and count as 1/6; so the mean at each confidence is met."""
    found = learn([0.5] * 4 + [0.8] * 6, [True, *[False] * 3, *[True] * 5, False])
    assert found.offset == pytest.approx(logit((7 / 8 + 3 / 6) / 4), abs=1e-4)
    assert found.of([0.8]) == pytest.approx((5 * 7 / 8 + 1 / 6) / 6, abs=1e-4)


def test_as_it_stands_it_changes_nothing() -> None:
    assert Certainty().of([0.0, 0.3, 1.0]).tolist() == [0.0, 0.3, 1.0]
    assert Certainty(slope=2.0).of([0.5]).tolist() == [0.5]
    certain = Certainty(offset=1.0).of([0.0, 1.0]).tolist()  # as 0.0001 and 0.9999 are moved
    assert certain == pytest.approx([expit(logit(1e-4) + 1), expit(logit(1 - 1e-4) + 1)], rel=1e-9)


def test_parts_that_are_the_surer_the_more_they_are_wrong_are_all_alike() -> None:
    found = learn([0.9, 0.8, 0.2, 0.1], [False, False, True, True])
    assert found.slope == 0
    assert found.of(0.9) == found.of(0.1) == pytest.approx(0.5)


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=2, max_size=40))
def test_a_surer_part_is_never_the_less_certain_one(parts: list[tuple[float, bool]]) -> None:
    confidences, right = zip(*parts, strict=True)
    if all(right) or not any(right):
        with pytest.raises(InvalidInput, match="expected right and wrong parts"):
            learn(confidences, right)
        return
    told = learn(confidences, right).of([0.0, 0.01, 0.5, 0.99, 1.0]).tolist()
    assert told == sorted(told)
    assert all(0 <= each <= 1 for each in told)
