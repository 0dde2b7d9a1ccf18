"""The promise: its arithmetic by hand, its truth by simulation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from models.errors import InvalidInput
from selection.risk import NoPromise, Threshold, accept_threshold, checks_needed


@pytest.mark.parametrize(
    ("alpha", "expected"),
    [(0.01, [299, 473, 1049]), (0.02, [149, 236, 523]), (0.05, [59, 93, 208])],
)
def test_checks_needed_with_none_one_and_five_errors(alpha: float, expected: list[int]) -> None:
    assert [checks_needed(alpha, 0.05, errors) for errors in (0, 1, 5)] == expected


def test_too_few_checks_say_how_many_are_missing() -> None:
    answer = accept_threshold(np.zeros(100), np.zeros(100, bool), alpha=0.02, delta=0.05, pool_scores=np.zeros(9))
    assert answer == NoPromise("100 random checks are known, at least 149 are needed", 49)


def test_faultless_labels_are_all_accepted() -> None:
    scores = np.linspace(0, 0.5, 149)
    answer = accept_threshold(scores, np.zeros(149, bool), alpha=0.02, delta=0.05, pool_scores=scores)
    assert answer == Threshold(0.5, alpha=0.02, delta=0.05, n=149, accepted=149, errors=0)


def test_the_sequence_stops_where_errors_begin() -> None:
    scores = np.arange(1000) / 1000
    errors = scores >= 0.5
    answer = accept_threshold(scores, errors, alpha=0.02, delta=0.05, pool_scores=scores)
    assert isinstance(answer, Threshold)
    assert 0.47 < answer.threshold < 0.51
    assert answer.accepted == int((scores <= answer.threshold).sum())


def test_errors_among_the_most_certain_allow_no_promise() -> None:
    scores = np.arange(400) / 400
    errors = np.zeros(400, bool)
    errors[:10] = True
    answer = accept_threshold(scores, errors, alpha=0.02, delta=0.05, pool_scores=scores)
    assert isinstance(answer, NoPromise)
    assert answer.reason.startswith("10 of the 150 most certain checked labels were wrong")


def test_tied_scores_are_accepted_or_refused_together() -> None:
    scores, errors = np.zeros(500), np.zeros(500, bool)
    errors[:50] = True
    assert isinstance(accept_threshold(scores, errors, alpha=0.02, delta=0.05, pool_scores=scores), NoPromise)


@pytest.mark.parametrize(
    ("scores", "errors", "message"),
    [
        ([0.1, float("nan")], [True, False], r"scores\[1\]: expected a number in \[0, 1\], got nan"),
        ([0.1, 1.5], [True, False], r"scores\[1\]: .* got 1.5"),
        ([0.1], [True, False], r"errors: expected shape \(1,\) as scores, got \(2,\)"),
    ],
)
def test_bad_input_is_named(scores: list[float], errors: list[bool], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        accept_threshold(scores, errors, alpha=0.02, delta=0.05, pool_scores=[0.1])


@pytest.mark.parametrize("calibrated", [True, False])
def test_the_promise_is_broken_in_at_most_delta_of_all_draws(calibrated: bool) -> None:
    """Errors with probability score^2, or (badly calibrated) unrelated to it in the upper half; 600 draws."""
    rng = np.random.default_rng(5)
    alpha, delta, trials = 0.05, 0.1, 600
    grid = np.linspace(0, 1, 20001)
    risk = grid**2 if calibrated else np.where(grid < 0.2, 0.03, 0.2)
    cumulative = np.cumsum(risk) / np.arange(1, len(grid) + 1)
    broken = promised = 0
    for _ in range(trials):
        scores = rng.random(400)
        errors = rng.random(400) < np.interp(scores, grid, risk)
        answer = accept_threshold(scores, errors, alpha=alpha, delta=delta, pool_scores=rng.random(1000))
        if isinstance(answer, Threshold):
            promised += 1
            broken += int(np.interp(answer.threshold, grid, cumulative) > alpha)
    assert promised > trials / 20
    assert binomtest(broken, trials, delta, alternative="greater").pvalue > 1e-3, f"{broken} of {trials} broken"


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.floats(0.01, 0.2))
def test_what_is_promised_passes_its_own_test(seed: int, alpha: float) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 20, 300) / 20
    errors = rng.random(300) < scores / 4
    answer = accept_threshold(scores, errors, alpha=alpha, delta=0.1, pool_scores=scores)
    if isinstance(answer, Threshold):
        within = scores <= answer.threshold
        assert (answer.accepted, answer.errors) == (within.sum(), errors[within].sum())
        assert checks_needed(alpha, 0.1, answer.errors) <= answer.accepted
