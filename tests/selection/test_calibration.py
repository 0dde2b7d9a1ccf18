"""Calibration: rising, in [0, 1], true on data it has not seen, honest about how little it knows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import InvalidInput
from selection.calibration import IDENTITY, Calibrator, fit


def test_before_any_correction_the_score_stands_for_itself() -> None:
    assert IDENTITY.n == 0
    assert IDENTITY.p_error([0.0, 0.25, 1.0]).tolist() == [0.0, 0.25, 1.0]


@pytest.mark.parametrize(
    ("risk", "method"),
    [
        (lambda s: 1 / (1 + np.exp(-(2 * np.log(s / (1 - s)) - 1))), "logistic"),
        (lambda s: np.where(s < 0.6, 0.05, 0.9), "isotonic"),
    ],
)
def test_it_finds_the_true_curve(risk: object, method: str) -> None:
    rng = np.random.default_rng(0)
    scores = rng.uniform(0.01, 0.99, 4000)
    errors = rng.random(4000) < risk(scores)  # type: ignore[operator]
    calibrator = fit(scores, errors)
    assert (calibrator.method, calibrator.n) == (method, 4000)
    at = np.array([0.2, 0.4, 0.8])
    assert np.abs(calibrator.p_error(at) - risk(at)).max() < 0.06  # type: ignore[operator]


def test_without_an_error_it_does_not_claim_certainty() -> None:
    calibrator = fit(np.linspace(0, 1, 50), np.zeros(50, bool))
    assert calibrator.method == "constant"
    assert calibrator.p_error([0.0, 1.0]).tolist() == pytest.approx([1 / 52, 1 / 52])
    assert fit(np.linspace(0, 1, 50), np.ones(50, bool)).p_error([0.5])[0] == pytest.approx(51 / 52)


def test_scores_that_point_the_wrong_way_teach_no_falling_curve() -> None:
    rng = np.random.default_rng(1)
    scores = rng.random(500)
    p = fit(scores, rng.random(500) < 1 - scores).p_error(np.linspace(0, 1, 9))
    assert p.max() - p.min() < 0.2


def test_too_few_corrections_are_refused() -> None:
    with pytest.raises(InvalidInput, match="expected at least 30 corrections, got 29"):
        fit(np.zeros(29), np.zeros(29, bool))


def test_a_nan_is_named() -> None:
    scores = np.zeros(40)
    scores[7] = np.nan
    with pytest.raises(InvalidInput, match=r"scores\[7\]"):
        fit(scores, np.zeros(40, bool))


def test_a_falling_curve_is_refused() -> None:
    with pytest.raises(InvalidInput, match="never fall"):
        Calibrator("isotonic", (0.0, 1.0), (0.5, 0.4), 30)


@settings(max_examples=12)
@given(st.integers(0, 2**32 - 1), st.integers(30, 200), st.floats(0, 1))
def test_every_fit_rises_within_bounds_and_survives_json(seed: int, n: int, rate: float) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 12, n) / 11
    calibrator = fit(scores, rng.random(n) < rate)
    p = calibrator.p_error(np.linspace(0, 1, 101))
    assert (np.diff(p) >= 0).all()
    assert p.min() >= 0
    assert p.max() <= 1
    assert Calibrator.from_json(calibrator.to_json()) == calibrator
    assert fit(scores, rng.random(n) < rate).n == n
