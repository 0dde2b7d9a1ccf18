"""Confidence and entropy against values worked by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from models.arrays import Floats
from models.asr.doubt import confidence, word_edits

ALMOST_NEVER = -1e9  # a log-probability of zero for every purpose


def test_one_possible_class_is_certain_and_all_alike_is_not() -> None:
    sure = np.array([[0.0, ALMOST_NEVER, ALMOST_NEVER, ALMOST_NEVER]])
    assert confidence(sure) == pytest.approx([1.0])
    assert confidence(np.log(np.full((1, 4), 0.25))) == pytest.approx([0.0])


def test_tsallis_confidence_by_hand() -> None:
    half = np.array([[np.log(0.5), np.log(0.5), ALMOST_NEVER, ALMOST_NEVER]])
    # p = (0.5, 0.5, 0, 0): H = (1 - 2 * 0.5^(1/3)) / (-2/3) = 0.881102; Hmax = (4^(2/3) - 1) / (2/3) = 2.279763
    # (0.414326 - 0.102308) / 0.897692 = 0.347578
    assert confidence(half) == pytest.approx([0.347578], abs=1e-5)


@given(arrays(np.float64, (3, 5), elements=st.floats(-8, 8)))
def test_confidence_is_a_share_that_order_does_not_change(logits: Floats) -> None:
    log_probs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    values = confidence(log_probs)
    assert ((values >= 0) & (values <= 1)).all()
    assert confidence(log_probs[:, ::-1]) == pytest.approx(values, abs=1e-12)


@pytest.mark.parametrize(
    ("guess", "truth", "edits"),
    [("a b", "a b", 0), ("a b c", "a c", 1), ("x", "", 1), ("", "x y", 2), ("a x", "a y", 1), ("", "", 0)],
)
def test_word_edits(guess: str, truth: str, edits: int) -> None:
    assert word_edits(guess, truth) == edits
