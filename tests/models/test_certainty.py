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


def test_as_it_stands_it_changes_nothing() -> None:
    assert Certainty().of([0.0, 0.3, 1.0]).tolist() == [0.0, 0.3, 1.0]


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
