"""Calibration, ranking and intervals: hand-worked tables, slow references, and what bootstraps promise."""

from collections.abc import Callable
from dataclasses import astuple
from itertools import pairwise, permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import binom
from sklearn.metrics import roc_auc_score

from models.arrays import Floats
from models.errors import InvalidInput
from models.reliability import (
    aurc,
    auroc,
    ece,
    interval,
    most_errors,
    nce,
    reliability_bins,
    risk_coverage,
)

TENTHS = st.integers(0, 10).map(lambda tenth: tenth / 10)  # few values: many ties, and places on the edges of bins
ITEMS = st.lists(st.tuples(TENTHS, st.booleans()), min_size=1, max_size=30)


def split(items: list[tuple[float, bool]]) -> tuple[list[float], list[bool]]:
    return [score for score, _ in items], [error for _, error in items]


@pytest.mark.parametrize(
    ("scores", "errors", "expected"),
    [
        ([0.1, 0.2, 0.8, 0.9], [False, False, True, True], 1.0),
        ([0.1, 0.2, 0.8, 0.9], [True, True, False, False], 0.0),
        ([0.5, 0.5, 0.5], [True, False, False], 0.5),
        ([0.1, 0.4, 0.4, 0.8], [False, True, False, True], 3.5 / 4),  # 4 pairs, one of them a tie
        ([0.5, 0.2], [True, True], None),
        ([0.5, 0.2], [False, False], None),
        ([], [], None),
    ],
)
def test_auroc_by_hand(scores: list[float], errors: list[bool], expected: float | None) -> None:
    assert auroc(scores, errors) == (None if expected is None else pytest.approx(expected))


@given(ITEMS)
def test_auroc_is_the_share_of_pairs_in_order(items: list[tuple[float, bool]]) -> None:
    scores, errors = split(items)
    pairs = [(a, b) for a, wrong in items for b, other in items if wrong and not other]
    slow = sum((a > b) + (a == b) / 2 for a, b in pairs) / len(pairs) if pairs else None
    assert auroc(scores, errors) == (None if slow is None else pytest.approx(slow))
    if pairs:
        assert auroc(scores, errors) == pytest.approx(roc_auc_score(errors, scores))


def test_calibration_by_hand() -> None:
    # three bins: [0, 1/3], (1/3, 2/3], (2/3, 1]; the middle one stays empty
    p_error, errors = [0.0, 0.1, 0.2, 0.8, 1.0], [False, False, True, True, True]
    low, high = reliability_bins(p_error, errors, bins=3)
    assert astuple(low) == pytest.approx((0, 1 / 3, 3, 0.1, 1 / 3))
    assert astuple(high) == pytest.approx((2 / 3, 1, 2, 0.9, 1))
    assert ece(p_error, errors, bins=3) == pytest.approx((3 * (1 / 3 - 0.1) + 2 * 0.1) / 5)


def test_an_item_on_an_edge_falls_in_the_lower_bin() -> None:
    assert [(b.low, b.high) for b in reliability_bins([0.5], [True], bins=2)] == [(0.0, 0.5)]
    assert [(b.low, b.high) for b in reliability_bins([0.0, 1.0], [True, True], bins=2)] == [(0.0, 0.5), (0.5, 1.0)]
    assert [(b.low, b.high) for b in reliability_bins([0.5], [True])] == [pytest.approx((7 / 15, 8 / 15))]


@given(ITEMS, st.integers(1, 20))
def test_ece_is_what_a_slow_loop_over_bins_finds(items: list[tuple[float, bool]], bins: int) -> None:
    gap = 0.0
    edges = [float(edge) for edge in np.linspace(0, 1, bins + 1)]
    for low, high in pairwise(edges):
        inside = [(p, wrong) for p, wrong in items if low < p <= high or (low == 0 and p == 0)]
        gap += abs(sum(p for p, _ in inside) - sum(wrong for _, wrong in inside)) / len(items)
    scores, errors = split(items)
    assert ece(scores, errors, bins) == pytest.approx(gap)
    assert sum(each.n for each in reliability_bins(scores, errors, bins)) == len(items)


def test_saying_the_truth_is_calibrated() -> None:
    assert ece([0.25] * 4, [True, False, False, False]) == 0
    assert ece([1.0, 0.0], [True, False]) == 0
    assert ece([0.0, 1.0], [True, False]) == 1
    assert ece([], []) is None
    assert reliability_bins([], []) == ()


def test_normalised_cross_entropy_by_hand() -> None:
    # the error rate is 1/2: one bit an item; 1/4 for what is right and 3/4 for what is wrong leave -log2(3/4) of it
    assert nce([0.25, 0.75], [False, True]) == pytest.approx(1 + np.log2(0.75))
    assert nce([0.5, 0.5], [False, True]) == pytest.approx(0)
    assert nce([0.25] * 4, [True, False, False, False]) == pytest.approx(0)
    assert nce([0.0, 1.0], [False, True]) == pytest.approx(1, abs=1e-6)
    assert nce([0.75, 0.25], [False, True]) == pytest.approx(-1)
    assert nce([1.0, 0.0], [False, True]) == pytest.approx(1 + np.log2(1e-7))  # certain and wrong: finite all the same
    assert nce([0.5], [True]) is None
    assert nce([0.5], [False]) is None
    assert nce([], []) is None


@given(ITEMS)
def test_confidences_of_what_is_right_have_the_same_cross_entropy(items: list[tuple[float, bool]]) -> None:
    scores, errors = split(items)
    first, second = nce(scores, errors), nce([1 - s for s in scores], [not e for e in errors])
    assert first == (None if second is None else pytest.approx(second))


def test_risk_and_coverage_by_hand() -> None:
    curve = risk_coverage([0.9, 0.1, 0.5, 0.3], [True, False, False, True])  # surest first: right wrong right wrong
    assert curve.coverage.tolist() == [0.25, 0.5, 0.75, 1]
    assert curve.risk.tolist() == pytest.approx([0, 1 / 2, 1 / 3, 2 / 4])
    assert curve.threshold.tolist() == [0.1, 0.3, 0.5, 0.9]
    assert curve.area == pytest.approx((0 + 1 / 2 + 1 / 3 + 1 / 2) / 4)


def test_equal_scores_have_the_mean_risk_of_their_orders() -> None:
    curve = risk_coverage([0.2, 0.2, 0.1], [True, False, False])
    assert curve.risk.tolist() == pytest.approx([0, 0.5 / 2, 1 / 3])


def test_nothing_to_accept() -> None:
    curve = risk_coverage([], [])
    assert len(curve.coverage) == len(curve.risk) == len(curve.threshold) == 0
    assert curve.area is None
    assert aurc([], []) is None


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([0.1, 0.2, 0.3]), st.booleans()), min_size=1, max_size=6))
def test_the_area_is_the_mean_over_all_orders_of_equal_scores(items: list[tuple[float, bool]]) -> None:
    areas = []
    for order in permutations(items):
        if [s for s, _ in order] == sorted(s for s, _ in items):
            wrong = np.cumsum([error for _, error in order])
            areas.append(float((wrong / np.arange(1, len(items) + 1)).mean()))
    assert aurc(*split(items)) == pytest.approx(np.mean(areas))


@pytest.mark.parametrize("measure", [auroc, ece, nce, aurc, risk_coverage, reliability_bins])
def test_bad_input_is_named(measure: Callable[..., Any]) -> None:
    with pytest.raises(InvalidInput, match=r"(scores|p_error)\[1\]: expected a number in \[0, 1\], got nan"):
        measure([0.5, float("nan"), 2.0], [True, False, False])
    with pytest.raises(InvalidInput, match=r"\[0\]: expected a number in \[0, 1\], got 1.5"):
        measure([1.5], [True])
    with pytest.raises(InvalidInput, match=r"errors: expected shape \(2,\) as scores, got \(1,\)"):
        measure([0.5, 0.5], [True])
    with pytest.raises(InvalidInput, match="errors: expected bool, got float64"):
        measure([0.5], [0.3])


def test_bins_are_at_least_one() -> None:
    with pytest.raises(InvalidInput, match="bins: expected at least 1, got 0"):
        ece([0.5], [True], bins=0)


def mean(values: NDArray[Any]) -> float | None:
    return float(values.mean()) if len(values) else None


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def known(found: tuple[float, float] | None) -> tuple[float, float]:
    assert found is not None
    return found


def test_the_interval_leaves_out_a_fortieth_on_either_side() -> None:
    told = iter(range(-1, 1001))  # of the data themselves -1, and of the samples 0 to 1000
    assert interval(lambda _: next(told), [0.5], rng=rng(), rounds=1001) == pytest.approx((25, 975))


def test_the_interval_of_a_mean_is_near_the_normal_one() -> None:
    values = rng().normal(size=400)
    half = 1.96 * values.std() / 20
    found = known(interval(mean, values, rng=rng(1), rounds=2000))
    assert found == pytest.approx((values.mean() - half, values.mean() + half), abs=0.012)


def test_most_intervals_hold_the_truth() -> None:
    found = [known(interval(mean, rng(seed).normal(size=60), rng=rng(seed), rounds=200)) for seed in range(200)]
    assert 0.89 <= np.mean([low <= 0 <= high for low, high in found]) <= 0.98


def test_groups_are_drawn_whole() -> None:
    # ten groups of twenty equal items: as uncertain as ten items, not as two hundred
    values, groups = np.repeat(rng().normal(size=10), 20), [f"clip {i // 20}" for i in range(200)]
    sizes = set()

    def watched(sample: Floats) -> float | None:
        sizes.add(tuple(sorted(set(np.unique(sample, return_counts=True)[1] % 20))))
        return mean(sample)

    low, high = known(interval(watched, values, rng=rng(), groups=groups, rounds=400))
    alone = known(interval(mean, values, rng=rng(), rounds=400))
    assert sizes == {(0,)}
    assert high - low > 3 * (alone[1] - alone[0])


def test_an_item_of_no_group_stands_alone() -> None:
    values = rng().normal(size=300)
    low, high = known(interval(mean, values, rng=rng(), groups=[None] * 300, rounds=400))
    assert (low, high) == pytest.approx(interval(mean, values, rng=rng(), rounds=400), abs=0.03)


def test_the_same_seed_gives_the_same_interval() -> None:
    values = rng().normal(size=30)
    assert interval(mean, values, rng=rng(5)) == interval(mean, values, rng=rng(5))
    assert interval(mean, values, rng=rng(5)) != interval(mean, values, rng=rng(6))


def test_arrays_are_drawn_alike() -> None:
    values = rng().normal(size=50)
    assert interval(lambda a, b: float(np.abs(a - b).max()), values, values, rng=rng()) == (0, 0)


def test_where_a_figure_means_nothing_there_is_no_interval() -> None:
    assert interval(auroc, [0.1, 0.2], [True, True], rng=rng()) is None
    assert interval(lambda values: 0.0, [], rng=rng()) is None
    low, high = known(interval(auroc, [0.1, 0.2], [False, True], rng=rng()))  # half of the samples are of one class
    assert low == high == 1
    assert None in {interval(auroc, [0.1, 0.2], [False, True], rng=rng(seed), rounds=1) for seed in range(9)}


def test_bad_samples_are_refused() -> None:
    with pytest.raises(InvalidInput, match=r"of one length, got \[1, 2\]"):
        interval(mean, [1.0, 2.0], [1.0], rng=rng())
    with pytest.raises(InvalidInput, match=r"of one length, got \[1, 2\]"):
        interval(mean, [1.0, 2.0], rng=rng(), groups=["a"])
    with pytest.raises(InvalidInput, match="a number or None, got nan"):
        interval(mean, [1.0, float("nan")], rng=rng())


@pytest.mark.parametrize(
    ("errors", "n", "most"),
    [(0, 149, 1 - 0.05 ** (1 / 149)), (0, 59, 1 - 0.05 ** (1 / 59)), (1, 473, 0.00999), (10, 10, 1.0), (0, 0, 1.0)],
)
def test_the_exact_bound_by_hand(errors: int, n: int, most: float) -> None:
    """Of none in n it is where (1 - p)^n = 5 %; one in 473 is what a promise of 1 % needs."""
    assert most_errors(errors, n) == pytest.approx(most, abs=1e-5)


@given(st.integers(1, 200).flatmap(lambda n: st.tuples(st.integers(0, n - 1), st.just(n))))
def test_at_the_exact_bound_so_few_errors_are_as_rare_as_said(counts: tuple[int, int]) -> None:
    errors, n = counts
    assert binom.cdf(errors, n, most_errors(errors, n, 0.1)) == pytest.approx(0.1)


def test_more_errors_than_looks_are_refused() -> None:
    with pytest.raises(InvalidInput, match="expected a number from 0 to n = 3, got 4"):
        most_errors(4, 3)
    with pytest.raises(InvalidInput, match="expected a number from 0 to n = 3, got -1"):
        most_errors(-1, 3)
