"""The promise: its arithmetic by hand, a slow reference, its truth by simulation, then properties."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import binom, binomtest

from models.errors import InvalidInput
from selection.risk import NoPromise, Threshold, accept_threshold, checks_needed

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Rule = Callable[[Floats, Bools, Floats], float | None]


@pytest.mark.parametrize(
    ("alpha", "needed"), [(0.01, [299, 473, 1049]), (0.02, [149, 236, 523]), (0.05, [59, 93, 208])]
)
def test_accepted_checks_needed_with_0_1_and_5_errors(alpha: float, needed: list[int]) -> None:
    assert [checks_needed(alpha, 0.05, errors) for errors in (0, 1, 5)] == needed


def _all_alike(n: int, errors: int, alpha: float) -> Threshold | NoPromise:
    """The promise on ``n`` checks that no score tells apart."""
    return accept_threshold([0.3] * n, np.arange(n) < errors, alpha=alpha, delta=0.05, pool_scores=[0.3] * 40)


@pytest.mark.parametrize(
    ("alpha", "errors", "needed"),
    [(0.01, 0, 299), (0.01, 1, 473), (0.01, 5, 1049), (0.02, 0, 149), (0.02, 1, 236), (0.05, 5, 208)],
)
def test_one_check_decides(alpha: float, errors: int, needed: int) -> None:
    assert _all_alike(needed, errors, alpha) == Threshold(0.3, alpha, 0.05, needed, needed, errors)
    refused = _all_alike(needed - 1, errors, alpha)
    assert isinstance(refused, NoPromise)
    assert refused.missing == 1


def test_no_promise_says_what_is_missing() -> None:
    assert _all_alike(120, 0, 0.02) == NoPromise("120 random checks are known, at least 149 are needed", 29)
    # with 1 error 236 are needed
    assert _all_alike(160, 1, 0.02) == NoPromise(
        "1 of the 160 most certain checked labels were wrong; at least 76 more random checks are needed", 76
    )
    nothing = accept_threshold([], [], alpha=0.02, delta=0.05, pool_scores=[0.5])
    assert nothing == NoPromise("0 random checks are known, at least 149 are needed", 149)


def test_many_errors_are_counted_as_well() -> None:
    refused = _all_alike(5000, 2000, 0.02)
    assert isinstance(refused, NoPromise)
    needed = 5000 + refused.missing
    assert binom.cdf(2000, needed, 0.02) <= 0.05 < binom.cdf(2000, needed - 1, 0.02)


def test_the_surest_half_is_accepted_where_errors_begin_there() -> None:
    # Quantiles lie 5 items apart: the next threshold would accept 505 with 5 errors, which need 523.
    scores = np.arange(1000) / 1000
    rates: dict[str, Any] = {"alpha": 0.02, "delta": 0.05}
    promise = accept_threshold(scores, scores >= 0.5, pool_scores=scores, **rates)
    assert promise == Threshold(0.499, 0.02, 0.05, 1000, 500, 0)
    assert accept_threshold(scores, scores >= 0.5, pool_scores=[], **rates) == promise  # the checks stand for the pool


def test_equal_scores_stand_and_fall_together() -> None:
    # All 400 at score 0.2 cannot pass, and no threshold may split them to hold right ones alone.
    scores = np.repeat([0.2, 0.6], [400, 600])
    wrong = np.arange(1000) % 10 == 0
    assert isinstance(accept_threshold(scores, wrong, alpha=0.02, delta=0.05, pool_scores=scores), NoPromise)
    right = accept_threshold(scores, wrong & (scores > 0.5), alpha=0.02, delta=0.05, pool_scores=scores)
    assert right == Threshold(0.2, 0.02, 0.05, 1000, 400, 0)


def reference(scores: Floats, wrong: Bools, pool: Floats, alpha: float, delta: float) -> float | None:
    """The threshold, word for word: every quantile, every test, in plain loops."""
    n, ordered = len(scores), sorted(pool)
    grid = sorted({ordered[math.ceil(step * len(pool) / 200) - 1] for step in range(1, 201)})
    needed = next(m for m in range(1, 10**6) if (1 - alpha) ** m <= delta)
    if n < needed:
        return None
    begun, held = False, None
    for limit in grid:
        share = sum(score <= limit for score in pool) / len(pool)
        begun = begun or binom.sf(needed - 1, n, share) >= 0.95 or limit == grid[-1]
        if not begun:
            continue
        accepted = [index for index in range(n) if scores[index] <= limit]
        errors = sum(bool(wrong[index]) for index in accepted)
        if binom.cdf(errors, len(accepted), alpha) > delta:
            return held
        held = float(limit)
    return held


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(0, 250), st.sampled_from([3, 40, 10**6]), st.integers(1, 300))
def test_it_equals_the_slow_reference(seed: int, n: int, levels: int, m: int) -> None:
    rng = np.random.default_rng(seed)
    scores, pool = rng.integers(0, levels + 1, n) / levels, rng.integers(0, levels + 1, m) / levels
    wrong = rng.random(n) < rng.choice([0.0, 0.3]) * scores
    promise = accept_threshold(scores, wrong, alpha=0.1, delta=0.1, pool_scores=pool)
    held = promise.threshold if isinstance(promise, Threshold) else None
    assert held == reference(scores, wrong, pool, 0.1, 0.1)
    if isinstance(promise, Threshold):
        within = scores <= promise.threshold
        assert (promise.accepted, promise.errors) == (within.sum(), wrong[within].sum())


# -- the truth of it. Scores are uniform; each function gives the probability of an error at a score.

TRIALS, CHECKS, ALPHA, DELTA = 400, 600, 0.05, 0.1
FINE = np.linspace(0, 1, 20001)
SETTINGS: dict[str, Callable[[Floats], Floats]] = {
    "well calibrated": lambda s: np.asarray(s**2),
    "barely too many errors, scores say nothing": lambda s: np.full(len(s), 0.0501),
    "the surest are the worst": lambda s: np.where(s < 0.3, 0.08, 0.01),
    "five levels of ties": lambda s: np.asarray((np.floor(s * 5) / 5) ** 2 + 0.01),
}


def _trials(name: str, rule: Rule) -> tuple[int, int]:
    """Trials with a threshold, and trials whose threshold accepts more errors than allowed in truth."""
    rng = np.random.default_rng(7)
    rate, tied = SETTINGS[name], "ties" in name
    among_accepted = np.cumsum(rate(FINE)) / np.arange(1, len(FINE) + 1)
    promised = broken = 0
    for _ in range(TRIALS):
        scores, pool = rng.random(CHECKS), rng.random(2000)
        wrong = rng.random(CHECKS) < rate(scores)
        if tied:
            scores, pool = np.floor(scores * 5) / 5, np.floor(pool * 5) / 5
        threshold = rule(scores, wrong, pool)
        if threshold is not None:
            promised += 1
            reach = threshold + 0.2 if tied else threshold  # a level stands for all that lies in it
            broken += bool(np.interp(min(1.0, reach), FINE, among_accepted) > ALPHA)
    return promised, broken


def _ours(scores: Floats, wrong: Bools, pool: Floats) -> float | None:
    promise = accept_threshold(scores, wrong, alpha=ALPHA, delta=DELTA, pool_scores=pool)
    return promise.threshold if isinstance(promise, Threshold) else None


def _naive(scores: Floats, wrong: Bools, pool: Floats) -> float | None:
    """The loosest threshold whose error rate on the checks is no more than alpha."""
    order = np.argsort(scores, kind="stable")
    rates = np.cumsum(wrong[order]) / np.arange(1, len(order) + 1)
    allowed = np.flatnonzero(rates <= ALPHA)
    return float(scores[order][allowed[-1]]) if len(allowed) else None


@pytest.mark.parametrize("name", SETTINGS)
def test_the_promise_is_broken_in_at_most_delta_of_all_calibrations(name: str) -> None:
    _, broken = _trials(name, _ours)
    interval = binomtest(broken, TRIALS).proportion_ci(0.998, method="exact")
    assert interval.low <= DELTA, f"broken in {broken} of {TRIALS} trials, 99.8 % interval {interval}"


@pytest.mark.parametrize("name", ["well calibrated", "five levels of ties"])
def test_the_promise_is_given_where_it_can_be(name: str) -> None:
    promised, _ = _trials(name, _ours)
    assert promised >= 0.75 * TRIALS  # about half, were the first test where its checks are merely expected


def test_the_naive_threshold_breaks_it() -> None:
    _, broken = _trials("well calibrated", _naive)
    assert binomtest(broken, TRIALS).proportion_ci(0.998, method="exact").low > DELTA


# -- properties

checks = st.lists(st.tuples(st.sampled_from([0.0, 0.1, 0.2, 0.5, 0.9, 1.0]), st.booleans()), max_size=120)


@settings(deadline=None)
@given(checks, st.lists(st.floats(0, 1), min_size=1, max_size=20), st.data())
def test_more_errors_never_loosen_it(known: list[tuple[float, bool]], pool: list[float], data: st.DataObject) -> None:
    scores = [score for score, _ in known]
    wrong = np.array([is_wrong and score > 0.3 for score, is_wrong in known], bool)
    more = wrong | np.array(data.draw(st.lists(st.booleans(), min_size=len(known), max_size=len(known))), bool)
    rates: dict[str, Any] = {"alpha": 0.1, "delta": 0.1, "pool_scores": pool}
    few, many = accept_threshold(scores, wrong, **rates), accept_threshold(scores, more, **rates)
    assert few == accept_threshold(scores, wrong, **rates)
    if isinstance(many, Threshold):
        assert isinstance(few, Threshold)
        assert many.threshold <= few.threshold


@given(st.floats(0.001, 0.5), st.floats(0.001, 0.5), st.integers(0, 50))
def test_checks_needed_are_the_fewest(alpha: float, delta: float, errors: int) -> None:
    needed = checks_needed(alpha, delta, errors)
    below, here = (
        sum(math.comb(n, k) * alpha**k * (1 - alpha) ** (n - k) for k in range(errors + 1))
        for n in (needed - 1, needed)
    )
    assert here <= delta * (1 + 1e-9)
    assert below > delta * (1 - 1e-9)


@pytest.mark.parametrize(
    ("scores", "errors", "pool", "said"),
    [
        ([0.1, math.nan], [True, False], [0.1], r"scores\[1\]: expected a number in \[0, 1\], got nan"),
        ([0.1, 1.5], [True, False], [0.1], r"scores\[1\]: .* got 1.5"),
        ([0.1], [False], [0.1, 0.2, -0.1], r"pool_scores\[2\]: .* got -0.1"),
        ([0.1], [True, False], [0.1], r"errors: expected shape \(1,\) as scores, got \(2,\)"),
        ([0.1], [math.nan], [0.1], "errors: expected bool, got float64"),
    ],
)
def test_bad_input_is_named(scores: list[float], errors: list[Any], pool: list[float], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        accept_threshold(scores, errors, alpha=0.02, delta=0.05, pool_scores=pool)


@pytest.mark.parametrize("bad", [0.0, 1.0, -1.0, math.nan])
@pytest.mark.parametrize("name", ["alpha", "delta"])
def test_rates_are_between_0_and_1(name: str, bad: float) -> None:
    with pytest.raises(InvalidInput, match=r"expected alpha and delta in \(0, 1\)"):
        accept_threshold([0.1], [False], **{"alpha": 0.02, "delta": 0.05, name: bad}, pool_scores=[0.1])
