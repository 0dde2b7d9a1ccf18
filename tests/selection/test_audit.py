"""The audit of accepted labels: its figures by hand, its truth by simulation, then properties."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable
from functools import reduce

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import beta, binomtest

from models.errors import InvalidInput
from selection.audit import ODDS, Audit, AuditBound

ALPHA, DELTA = 0.05, 0.1
FRESH = AuditBound(ALPHA, DELTA)
TRIALS, AUDITS = 150, 300
audits = st.lists(st.booleans(), max_size=60)


def after(wrong: Iterable[bool]) -> AuditBound:
    """The bound after these audits, in their order."""
    return reduce(AuditBound.after, wrong, FRESH)


def test_before_the_first_audit_nothing_is_known() -> None:
    assert FRESH.upper == 1.0
    assert not FRESH.crosses


@pytest.mark.parametrize(("errors", "n"), [(0, 40), (3, 100), (30, 1000)])
def test_the_bound_is_where_the_mixture_has_grown_enough(errors: int, n: int) -> None:
    """At the bound the mean likelihood of all rates, weighted by Beta(1/2, 1/(2 alpha)), is 1 / delta times its own."""
    bound = after([True] * errors + [False] * (n - errors))
    upper = bound.upper

    def ratio(rate: float) -> float:
        return math.exp(errors * math.log(rate / upper) + (n - errors) * math.log((1 - rate) / (1 - upper)))

    mean, _ = quad(lambda u: ratio(beta.ppf(u, 0.5, 0.5 / ALPHA)), 1e-9, 1 - 1e-9, limit=400)
    assert mean == pytest.approx(1 / DELTA, rel=1e-3)
    assert upper > beta.ppf(1 - DELTA, errors + 1, n - errors)  # wider than the one look of Clopper and Pearson


def test_two_errors_at_once_break_a_promise_by_hand() -> None:
    """Each bet multiplies by the ratio of error rates; half of the stake is on the first audit, a sixth on the next."""
    rates = [odds * ALPHA / (1 - ALPHA + odds * ALPHA) / ALPHA for odds in ODDS]
    after = [(rate / 2 + 1 / 6) * rate for rate in rates]
    stake = sum(after) / 3 + 1 / 3
    assert stake > 1 / DELTA
    bound = FRESH.after(True).after(True)
    assert bound.evidence == pytest.approx([(rate * 0.5 + 1 / 6) * rate for rate in rates])
    assert bound.crossed == 2


def test_the_stake_that_is_not_yet_begun_counts_by_hand() -> None:
    """One error: half of the stake times the mean ratio of error rates, 3.377, and the other half."""
    rates = [odds / (1 - ALPHA + odds * ALPHA) for odds in ODDS]
    stake = sum(rates) / 3 / 2 + 1 / 2
    assert AuditBound(ALPHA, 1 / (stake - 0.01)).after(True).crosses
    assert not AuditBound(ALPHA, 1 / (stake + 0.01)).after(True).crosses


def test_all_was_in_order_up_to_the_error_until_right_ones_outweigh_it() -> None:
    """At odds of 2 an error counts 1.905, a right one 1 / 1.05: fourteen of these make up for it, thirteen do not."""
    assert 1.05**13 < 2 / 1.05 < 1.05**14
    good, broken = [False] * 10, [True]
    assert [after(good + broken + [False] * n).good for n in (0, 13, 14, 15)] == [10, 10, 25, 26]


def test_a_broken_promise_stays_broken_and_says_since_when() -> None:
    bound = after([False] * 50 + [True] * 5 + [False] * 500)
    assert bound.crossed is not None
    assert 50 < bound.crossed <= 55
    assert after([False] * 50 + [True] * 5).good == 50  # until then all was well


def test_one_error_now_and_then_is_no_alarm() -> None:
    bound = after([i % 40 == 39 for i in range(2000)])  # 2.5 % where 5 % are allowed
    assert not bound.crosses
    assert 0.025 < bound.upper < 0.05


def _rates(name: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    at = np.arange(AUDITS)
    return {
        "as allowed": np.full(AUDITS, ALPHA),
        "well below": np.full(AUDITS, 0.02),
        "up and down, never above": np.where(at % 100 < 50, 0.0, ALPHA),
        "risen to 20 % after 150": np.where(at < 150, 0.02, 0.2),
    }[name]


@pytest.mark.parametrize("name", ["as allowed", "well below", "up and down, never above"])
def test_false_alarms_are_rare_at_any_time(name: str) -> None:
    rng = np.random.default_rng(3)
    alarms = sum(after(rng.random(AUDITS) < _rates(name)).crosses for _ in range(TRIALS))
    assert binomtest(alarms, TRIALS).proportion_ci(0.998, method="exact").low <= DELTA


def test_a_rise_is_found_soon_and_not_before() -> None:
    rng = np.random.default_rng(4)
    bounds = [after(rng.random(AUDITS) < _rates("risen to 20 % after 150")) for _ in range(TRIALS)]
    found = np.array([bound.crossed or AUDITS + 1 for bound in bounds])
    assert (found <= AUDITS).mean() > 0.95
    assert (found < 150).mean() <= DELTA
    assert np.median(found) < 250
    assert np.mean([bound.good >= 100 for bound in bounds]) > 0.8


@pytest.mark.parametrize("rate", [0.02, ALPHA, 0.3])
def test_the_bound_is_above_the_truth_at_all_times_at_once(rate: float) -> None:
    rng = np.random.default_rng(5)
    missed = 0
    for _ in range(60):
        bound, below = FRESH, False
        for wrong in rng.random(80) < rate:
            bound = bound.after(bool(wrong))
            below = below or bound.upper < rate
        missed += below
    assert binomtest(missed, 60).proportion_ci(0.998, method="exact").low <= DELTA


@pytest.mark.parametrize("together", [True, False])
def test_groups_raise_no_false_alarm_and_stay_below_the_bound(together: bool) -> None:
    """Images of 0 to 5 accepted boxes, 5 % of them wrong: all boxes of an image alike, or each for itself."""
    rng = np.random.default_rng(6)
    alarms = missed = 0
    for _ in range(TRIALS):
        bound = FRESH
        for size in rng.integers(0, 6, AUDITS):
            wrong = size * (rng.random() < ALPHA) if together else (rng.random(size) < ALPHA).sum()
            bound = bound.after(wrong / 5, size / 5)
        alarms, missed = alarms + bound.crosses, missed + (bound.upper < ALPHA)
    for count in (alarms, missed):
        assert binomtest(count, TRIALS).proportion_ci(0.998, method="exact").low <= DELTA


def test_a_group_bets_by_its_shares() -> None:
    """Two wrong of three accepted of at most five: the bet is on 2/5 against alpha of 3/5; half of it is at stake."""
    rates = [odds * ALPHA / (1 - ALPHA + odds * ALPHA) for odds in ODDS]
    factors = [1 + (rate - ALPHA) / (ALPHA * (1 - ALPHA)) * (0.4 - ALPHA * 0.6) for rate in rates]
    assert FRESH.after(0.4, 0.6).evidence == pytest.approx([factor / 2 for factor in factors])


def test_groups_wrong_as_a_whole_are_found() -> None:
    assert after([False] * 30).after(0.8, 0.8).after(0.6, 0.6).after(1.0).after(1.0).crosses
    assert not after([False] * 30).after(0.2, 1.0).after(0.0, 0.6).crosses


@given(audits, st.booleans())
def test_a_right_label_narrows_and_a_wrong_one_widens(known: list[bool], wrong: bool) -> None:
    bound = after(known)
    more = bound.after(wrong)
    assert (more.n, more.judged, more.errors) == (bound.n + 1, bound.n + 1, bound.errors + wrong)
    assert more.upper >= bound.upper - 1e-9 if wrong else more.upper <= bound.upper + 1e-9
    assert not bound.crosses or more.crosses
    assert bound.good <= more.good <= more.n


@given(st.lists(st.booleans(), min_size=1, max_size=40))
def test_the_stakes_equal_a_slow_sum_over_beginnings(known: list[bool]) -> None:
    n, total = len(known), 0.0
    for odds in ODDS:
        rate = odds * ALPHA / (1 - ALPHA + odds * ALPHA)
        for j in range(1, n + 1):
            stake = 1 / (j * (j + 1))
            for wrong in known[j - 1 :]:
                stake *= rate / ALPHA if wrong else (1 - rate) / (1 - ALPHA)
            total += stake
    assert sum(after(known).evidence) == pytest.approx(total)


def grouped(found: Iterable[tuple[bool, int | None]]) -> AuditBound:
    """The bound after audits that are each of a numbered group or (None) alone."""
    known, groups = list(found), defaultdict[int, list[Audit]](list)
    bound = AuditBound(ALPHA, DELTA, most=max(Counter(group for _, group in known if group is not None).values()))
    for wrong, group in known:
        bound = bound.after(wrong, same=None if group is None else groups[group])
        if group is not None:
            groups[group].append(Audit(bound.n, wrong))
    return bound


@given(st.lists(st.tuples(st.booleans(), st.none() | st.integers(0, 4)), min_size=1, max_size=30))
def test_of_groups_each_beginning_has_the_product_of_their_sums(found: list[tuple[bool, int | None]]) -> None:
    found = [(False, 0), *found]
    known = [(wrong, -1 - i if group is None else group) for i, (wrong, group) in enumerate(found)]
    n, total, bound = len(known), 0.0, grouped(found)
    for odds in ODDS:
        rate = odds * ALPHA / (1 - ALPHA + odds * ALPHA)
        for j in range(1, n + 1):
            stake = 1 / (j * (j + 1))
            for group in {group for _, group in known[j - 1 :]}:
                against = sum(wrong - ALPHA for wrong, of in known[j - 1 :] if of == group)
                stake *= 1 + (rate - ALPHA) / (ALPHA * (1 - ALPHA)) * against / bound.most
            total += stake
    assert sum(bound.evidence) == pytest.approx(total)
    assert (bound.n, bound.judged, bound.errors) == (n, n, sum(wrong for wrong, _ in known))


def test_stakes_whose_future_is_the_same_are_kept_as_one() -> None:
    """So that a new audit of an item on its own costs the same after ten and after ten thousand."""
    assert after([False] * 200).begun.shape == (1 + len(ODDS), 1)
    clip: list[tuple[bool, int | None]] = [(False, 1)]
    assert grouped([(False, None)] * 50 + clip * 3 + [(False, None)] * 50).begun[0].tolist() == [1, 52, 53, 54]


def test_clips_wrong_as_a_whole_raise_no_false_alarm_and_stay_below_the_bound() -> None:
    """As many clips are wrong as alpha allows, all audits of such a one: five in a row are one error, not five."""
    rng, alarms, missed, in_a_row = np.random.default_rng(7), 0, 0, 0
    for _ in range(TRIALS):
        wrong = np.repeat(rng.random(AUDITS // 5) < ALPHA, 5)
        bound = grouped(zip(wrong.tolist(), (np.arange(AUDITS) // 5).tolist(), strict=True))
        alarms, missed = alarms + bound.crosses, missed + (bound.upper < ALPHA)
        in_a_row += after(wrong.tolist()).crosses
    for count in (alarms, missed):
        assert binomtest(count, TRIALS).proportion_ci(0.998, method="exact").low <= DELTA
    assert in_a_row > TRIALS / 2


def test_a_rise_among_speakers_who_were_known_before_is_found() -> None:
    """Each of twenty has been audited ten times, without an error; then half of what they say is wrong."""
    rng = np.random.default_rng(8)
    found = [(bool(n >= 200 and rng.random() < 0.5), n % 20) for n in range(260)]
    crossed = grouped(found).crossed
    assert crossed is not None
    assert 200 < crossed < 240


def speakers(rng: np.random.Generator, rate: float, of_others: float) -> list[tuple[bool, int | None]]:
    """85 % of the audits are of ten speakers, wrong at the ``rate``; the other items stand alone."""
    found: list[tuple[bool, int | None]] = []
    for of_speaker in rng.random(AUDITS) < 0.85:
        group = int(rng.integers(10)) if of_speaker else None
        found.append((bool(rng.random() < (rate if of_speaker else of_others)), group))
    return found


def test_what_is_wrong_in_large_groups_weighs_as_much_as_there_is_of_it() -> None:
    """10 % of all are wrong, where 5 % are allowed, all of them of ten speakers: nothing may say that it is less."""
    rng = np.random.default_rng(9)
    assert sum(grouped(speakers(rng, 0.12, 0.0)).upper < 0.1 for _ in range(20)) <= 2


def test_what_is_wrong_alone_is_no_more_than_there_is_of_it() -> None:
    """3.8 % of all are wrong, where 5 % are allowed, all of them alone: that breaks no promise."""
    rng = np.random.default_rng(10)
    assert sum(grouped(speakers(rng, 0.0, 0.25)).crosses for _ in range(20)) <= 2


def test_no_group_has_more_audits_than_it_may() -> None:
    one = FRESH.after(False, same=[])
    with pytest.raises(InvalidInput, match="expected at most 1 of a group, got 2"):
        one.after(False, same=[Audit(1, 0.0)])


@pytest.mark.parametrize("bad", [0.0, 1.0, math.nan])
def test_rates_are_between_0_and_1(bad: float) -> None:
    with pytest.raises(InvalidInput, match=r"expected alpha and delta in \(0, 1\)"):
        AuditBound(bad, 0.05)
    with pytest.raises(InvalidInput, match=r"expected alpha and delta in \(0, 1\)"):
        AuditBound(0.02, bad)
    with pytest.raises(InvalidInput, match="expected 0 <= errors <= judged <= n, got 2, 1 and 1"):
        AuditBound(0.02, 0.05, n=1, judged=1, errors=2)


@pytest.mark.parametrize(("wrong", "judged"), [(0.5, 0.4), (-0.1, 1.0), (1.0, 1.5), (math.nan, 1.0)])
def test_shares_of_a_group_are_in_order(wrong: float, judged: float) -> None:
    with pytest.raises(InvalidInput, match="expected 0 <= wrong <= judged <= 1"):
        FRESH.after(wrong, judged)
