"""The promise: its arithmetic by hand, a slow reference, its truth by simulation, then properties."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, binomtest

from models.arrays import Bools, Floats
from models.errors import InvalidInput
from selection.checks import RandomChecks
from selection.evidence import BETS, Grouped, checks_needed
from selection.risk import NoPromise, Threshold, accept_threshold, loosest, promise

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
    assert _all_alike(120, 0, 0.02) == NoPromise("120 random checks are weighed, at least 149 are needed", 29)
    # with 1 error 236 are needed
    assert _all_alike(160, 1, 0.02) == NoPromise(
        "1 of the 160 most certain checked labels were wrong; 160 random checks are weighed, at least 236 are needed",
        76,
    )
    above_all = accept_threshold([0.5] * 160, [False] * 160, alpha=0.02, delta=0.05, pool_scores=[0.3] * 40)
    none_of_0_was_wrong = "160 random checks are weighed, at least 309 are needed"
    assert above_all == NoPromise(none_of_0_was_wrong, 149)
    nothing = accept_threshold([], [], alpha=0.02, delta=0.05, pool_scores=[0.5])
    assert nothing == NoPromise("0 random checks are weighed, at least 149 are needed", 149)


def test_what_is_missing_is_told_of_the_threshold_that_lacks_least() -> None:
    """At the first beginning 1 of 64 is wrong, which 77 could prove; beyond 70 all are wrong, and more is missing."""
    scores, rows = np.arange(200) / 200, np.arange(200)
    refused = accept_threshold(scores, (rows == 1) | (rows >= 70), alpha=0.05, delta=0.1, pool_scores=scores)
    needed = checks_needed(0.05, 0.1, errors=1)
    assert refused == NoPromise(
        "1 of the 64 most certain checked labels were wrong; 200 random checks are weighed, at least 207 are needed",
        needed - 70,
    )


def test_few_checks_have_all_of_delta_at_the_loosest_threshold() -> None:
    """150 right ones prove 2 % at 5 %, but not at two thirds of that: no other threshold can hold."""
    scores = np.arange(150) / 150
    held = accept_threshold(scores, [False] * 150, alpha=0.02, delta=0.05, pool_scores=scores)
    assert held == Threshold(149 / 150, 0.02, 0.05, 150, 150, 0)


@pytest.mark.parametrize(
    ("p_values", "levels", "row"),
    [
        ([0.1], [0.1], 0),  # at most the level, not below it
        ([0.11], [0.1], None),
        ([0.05, 0.12], [0.1, 0.05], 1),  # one that passes hands its part on
        ([0.2, 0.05, 0.12], [0.1, 0.05, 0.1], 2),  # one that fails does not, and the next beginning has its own alone
        ([0.2, 0.0], [0.1, 0.0], None),  # after the failure nothing is left, however small p
        ([0.05, 0.05, 0.2, 0.05], [0.1, 0.0, 0.0, 0.0], 1),
    ],
)
def test_each_threshold_has_its_part_of_delta_and_what_the_one_before_hands_on(
    p_values: list[float], levels: list[float], row: int | None
) -> None:
    assert loosest(np.array(p_values), np.array(levels)) == row


def test_many_errors_are_counted_as_well() -> None:
    refused = _all_alike(5000, 2000, 0.02)
    assert isinstance(refused, NoPromise)
    needed = 5000 + refused.missing
    assert binom.cdf(2000, needed, 0.02) <= 0.05 < binom.cdf(2000, needed - 1, 0.02)


def test_the_surest_half_is_accepted_where_errors_begin_there() -> None:
    # Quantiles lie 5 items apart: the next threshold would accept 505 with 5 errors, which need 523.
    scores = np.arange(1000) / 1000
    rates: dict[str, Any] = {"alpha": 0.02, "delta": 0.05}
    held = accept_threshold(scores, scores >= 0.5, pool_scores=scores, **rates)
    assert held == Threshold(0.499, 0.02, 0.05, 1000, 500, 0)
    assert accept_threshold(scores, scores >= 0.5, pool_scores=[], **rates) == held  # the checks stand for the pool


def test_equal_scores_stand_and_fall_together() -> None:
    # All 400 at score 0.2 cannot pass, and no threshold may split them to hold right ones alone.
    scores = np.repeat([0.2, 0.6], [400, 600])
    wrong = np.arange(1000) % 10 == 0
    assert isinstance(accept_threshold(scores, wrong, alpha=0.02, delta=0.05, pool_scores=scores), NoPromise)
    right = accept_threshold(scores, wrong & (scores > 0.5), alpha=0.02, delta=0.05, pool_scores=scores)
    assert right == Threshold(0.2, 0.02, 0.05, 1000, 400, 0)


def test_one_error_among_the_surest_does_not_end_it_all() -> None:
    """At the first beginning 1 of 70 is wrong: P(Bin(70, 0.05) <= 1) = 0.13. The next begins three times as loose."""
    scores = np.arange(1000) / 1000
    wrong = (np.arange(1000) == 1) | (scores >= 0.5)
    rates: dict[str, Any] = {"alpha": 0.05, "delta": 0.1, "pool_scores": scores}
    held = accept_threshold(scores, wrong, **rates)
    assert isinstance(held, Threshold)
    # Two further beginnings share a third of delta: 0.0167 each. P(Bin(510, 0.05) <= 11) = 0.001, of 16 in 515 0.025.
    assert (held.threshold, held.accepted, held.errors) == (0.509, 510, 11)


def test_the_first_beginning_has_two_thirds_of_delta() -> None:
    """1 of 38 is wrong within the first threshold: P(Bin(38, 0.1) <= 1) = 0.095, and nothing else is right."""
    scores = np.repeat([0.01, 0.9], [38, 962]) + np.concatenate([np.zeros(38), np.arange(962) / 10_000])
    wrong = np.arange(1000) >= 37
    rates: dict[str, Any] = {"alpha": 0.1, "pool_scores": scores}
    assert isinstance(accept_threshold(scores, wrong, delta=0.1, **rates), NoPromise)
    held = accept_threshold(scores, wrong, delta=0.15, **rates)
    assert isinstance(held, Threshold)
    assert (held.threshold, held.accepted, held.errors) == (0.01, 38, 1)


def reference(scores: Floats, wrong: Bools, pool: Floats, alpha: float, delta: float) -> float | None:
    """The threshold, word for word: every quantile, every beginning, every test, in plain loops."""
    n, ordered = len(scores), sorted(pool)
    grid = sorted({ordered[math.ceil(step * len(pool) / 200) - 1] for step in range(1, 201)})
    shares = [sum(score <= limit for score in pool) / len(pool) for limit in grid]

    def beginning(level: float) -> int:
        needed = next(m for m in range(1, 10**6) if (1 - alpha) ** m <= level)
        likely = [row for row, share in enumerate(shares) if binom.sf(needed - 1, n, share) >= 0.95]
        return likely[0] if likely else len(grid) - 1

    if (1 - alpha) ** n > delta:
        return None
    first, own = beginning(delta * 2 / 3), [0.0] * len(grid)
    further = [shares[first] * 3**power for power in range(1, 9) if shares[first] * 3**power <= 1]
    for share in further:
        own[next(row for row, reached in enumerate(shares) if reached >= share)] += delta / 3 / len(further)
    own[first if further else beginning(delta)] += delta * 2 / 3 if further else delta
    held, level = None, 0.0
    for row, limit in enumerate(grid):
        level += own[row]
        accepted = [index for index in range(n) if scores[index] <= limit]
        errors = sum(bool(wrong[index]) for index in accepted)
        if level > 0 and binom.cdf(errors, len(accepted), alpha) <= level:
            held = float(limit)
        else:
            level = 0.0
    return held


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(0, 400), st.sampled_from([3, 40, 10**6]), st.integers(1, 300))
def test_it_equals_the_slow_reference(seed: int, n: int, levels: int, m: int) -> None:
    rng = np.random.default_rng(seed)
    scores, pool = rng.integers(0, levels + 1, n) / levels, rng.integers(0, levels + 1, m) / levels
    wrong = rng.random(n) < rng.choice([0.0, 0.3]) * scores + rng.choice([0.0, 0.03])
    given_ = accept_threshold(scores, wrong, alpha=0.1, delta=0.1, pool_scores=pool)
    held = given_.threshold if isinstance(given_, Threshold) else None
    assert held == reference(scores, wrong, pool, 0.1, 0.1)
    if isinstance(given_, Threshold):
        within = scores <= given_.threshold
        assert (given_.accepted, given_.errors) == (within.sum(), wrong[within].sum())


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
    held = accept_threshold(scores, wrong, alpha=ALPHA, delta=DELTA, pool_scores=pool)
    return held.threshold if isinstance(held, Threshold) else None


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
    rates: dict[str, Any] = {"alpha": 0.02, "delta": 0.05, name: bad}
    with pytest.raises(InvalidInput, match=r"expected alpha and delta in \(0, 1\)"):
        accept_threshold([0.1], [False], pool_scores=[0.1], **rates)


# -- groups: whole clips right or wrong together, and large clips worse than small ones


def _clips(rng: np.random.Generator, n: int, name: str) -> tuple[Floats, Bools, list[int]]:
    """Scores, errors and clips of the items of ``n`` clips, half of two items and half of ten."""
    sizes = rng.choice([2, 10], n)
    clip_scores = rng.random(n)
    if name == "large clips are the worst":  # 10.7 % of all items, though only 8 % of the clips
        bad = rng.random(n) < np.where(sizes == 10, 0.12, 0.04)
    else:
        bad = rng.random(n) < 0.4 * clip_scores**2
    clip = np.repeat(np.arange(n), sizes)
    own = rng.random(len(clip)) < 0.3 if name == "errors of their own" else np.ones(len(clip), bool)
    scores = np.clip(clip_scores[clip] + rng.normal(0, 0.02, len(clip)), 0, 1)
    return scores, bad[clip] & own, clip.tolist()


GROUPED = ["clips fail as a whole", "large clips are the worst", "errors of their own"]
GROUPED_TRIALS = 300


def _grouped_trials(name: str, one_group_each: bool = True) -> tuple[int, int]:
    """Trials with a threshold, and trials whose threshold is too loose for the items of further clips."""
    rng = np.random.default_rng(11)
    scores, wrong, _ = _clips(rng, 60_000, name)
    order = np.argsort(scores)
    among_accepted = np.cumsum(wrong[order]) / np.arange(1, len(order) + 1)
    promised = broken = 0
    for _ in range(GROUPED_TRIALS):
        checked, errors, clip = _clips(rng, 300, name)
        groups = clip if one_group_each else None
        rates: dict[str, Any] = {"alpha": 0.1, "delta": 0.1, "pool_scores": scores[:1000]}
        held = accept_threshold(checked, errors, groups=groups, **rates)
        if isinstance(held, Threshold):
            promised += 1
            within = np.searchsorted(scores[order], held.threshold, side="right")
            broken += bool(within and among_accepted[within - 1] > 0.1)
    return promised, broken


@pytest.mark.parametrize("name", GROUPED)
def test_whole_groups_may_be_wrong_together(name: str) -> None:
    promised, broken = _grouped_trials(name)
    interval = binomtest(broken, GROUPED_TRIALS).proportion_ci(0.998, method="exact")
    assert interval.low <= 0.1, f"broken in {broken} of {promised} promises, 99.8 % interval {interval}"
    if name != "large clips are the worst":
        assert promised >= 0.75 * GROUPED_TRIALS


def test_items_of_groups_counted_one_by_one_break_it() -> None:
    _, broken = _grouped_trials("large clips are the worst", one_group_each=False)
    assert binomtest(broken, GROUPED_TRIALS).proportion_ci(0.998, method="exact").low > 0.1


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(2, 60), st.integers(1, 12))
def test_the_bets_on_groups_equal_a_slow_sum(seed: int, n: int, groups: int) -> None:
    rng = np.random.default_rng(seed)
    scores, wrong, group = rng.integers(0, 9, n) / 8, rng.random(n) < 0.3, rng.integers(0, groups, n)
    most, alpha = int(np.bincount(group).max()), 0.1
    thresholds = np.unique(rng.integers(0, 9, 4) / 8)
    tested = Grouped(scores, wrong, group, most, alpha).test(thresholds)
    for row, limit in enumerate(thresholds):
        total = 0.0
        for share, stake in BETS:
            for one in set(group.tolist()):
                rows = (group == one) & (scores <= limit)
                against = (wrong[rows].sum() - alpha * rows.sum()) / most
                stake *= 1 - (1 - share) / (1 - alpha) * against
            total += stake
        assert tested.p_values[row] == pytest.approx(min(1.0, 1 / total))
        within = scores <= limit
        assert (tested.accepted[row], tested.wrong[row]) == (within.sum(), wrong[within].sum())


def test_groups_of_one_are_no_groups() -> None:
    rng = np.random.default_rng(5)
    scores = rng.random(500)
    wrong = rng.random(500) < scores**3
    rates: dict[str, Any] = {"alpha": 0.05, "delta": 0.1, "pool_scores": rng.random(900)}
    alone = accept_threshold(scores, wrong, **rates)
    assert isinstance(alone, Threshold)
    assert alone == accept_threshold(scores, wrong, groups=np.arange(500).tolist(), **rates)
    assert alone == accept_threshold(scores, wrong, groups=[None] * 500, **rates)
    together = accept_threshold(scores, wrong, groups=[*range(499), 498], **rates)
    assert isinstance(together, NoPromise) or (together.groups == 499 and together.threshold <= alone.threshold)


def test_twenty_alike_in_a_group_are_one_observation() -> None:
    """168 groups are needed where 149 single items would be."""
    grown = [sum(stake * (1 + (1 - share) / 0.98 * 0.02) ** n for share, stake in BETS) for n in (167, 168)]
    assert grown[0] < 20 < grown[1]
    groups = np.repeat(np.arange(168), 20).tolist()
    rates: dict[str, Any] = {"alpha": 0.02, "delta": 0.05, "pool_scores": [0.3]}
    enough = accept_threshold([0.3] * 3360, [False] * 3360, groups=groups, **rates)
    short = accept_threshold([0.3] * 3340, [False] * 3340, groups=groups[:3340], **rates)
    assert enough == Threshold(0.3, 0.02, 0.05, 3360, 3360, 0, groups=168)
    assert short == NoPromise(
        "3340 random checks in 167 groups are weighed, at least 5 more in other groups are needed", 5
    )


def test_a_threshold_is_likely_where_it_holds_enough_groups_in_95_of_100_cases() -> None:
    """Groups of 2 and of 10 right items are within or not, each as a whole, so often as the threshold accepts."""
    sizes = np.repeat([2, 10], 300)
    group = np.repeat(np.arange(600), sizes)
    evidence = Grouped(np.zeros(len(group)), np.zeros(len(group), bool), group, most=10, alpha=0.1)
    shares = np.arange(1, 1001) / 1000
    likely = evidence.likely(shares, 0.1)
    least = shares[likely.argmax()]
    assert likely.tolist() == (shares >= least).tolist()
    (rate, stake), *_ = BETS
    growth = np.log(1 + (1 - rate) / 0.9 * 0.1 * sizes / 10)
    within = np.random.default_rng(0).random((10_000, 600)) < least
    assert (within @ growth >= -math.log(0.1 * stake)).mean() == pytest.approx(0.95, abs=0.01)


def test_groups_have_the_length_of_the_scores() -> None:
    with pytest.raises(InvalidInput, match="groups: expected 2, one for each score, got 1"):
        accept_threshold([0.1, 0.2], [True, False], groups=["a"], alpha=0.05, delta=0.1, pool_scores=[0.5])


# -- random checks


def test_a_promise_rests_on_random_checks() -> None:
    ids, draws = [f"item {i}" for i in range(200)], np.linspace(0, 0.19, 200)
    checks = RandomChecks.of(ids, [0.5] * 200, [False] * 200, draws, 0.2, [i // 2 for i in range(200)])
    rates: dict[str, Any] = {"alpha": 0.05, "delta": 0.1, "pool_scores": [0.5]}
    assert promise(checks, **rates) == Threshold(0.5, 0.05, 0.1, 200, 200, 0, groups=100)
