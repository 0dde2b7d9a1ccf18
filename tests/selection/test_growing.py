"""Checks that become more: one delta for all moments at which they are weighed, and nothing is given away for it."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.arrays import Bools, Floats
from models.errors import InvalidInput
from selection.checks import RandomChecks
from selection.evidence import BETS
from selection.growing import Ladder, ladder, part_ladders, weigh, weigh_parts
from selection.parts import PartChecks
from selection.risk import NoPromise, Threshold, accept_threshold

ALPHA, DELTA = 0.05, 0.2
EVEN = ladder(np.arange(1, 201) / 200)


def test_a_ladder_begins_at_four_shares_of_the_pool() -> None:
    assert (EVEN.thresholds[0], EVEN.shares[-1], EVEN.most) == (0.005, 1.0, 1)
    begun = {EVEN.shares[row]: float(EVEN.levels[row]) for row in np.flatnonzero(EVEN.levels)}
    assert begun == {0.125: 0.125, 0.25: 0.25, 0.5: 0.5, 1.0: 0.125}
    alike = ladder([0.3] * 9)
    assert (alike.thresholds, alike.shares, alike.levels.tolist()) == ((0.3,), (1.0,), [1.0])
    with pytest.raises(InvalidInput):
        ladder([0.1, float("nan")])


@pytest.mark.parametrize(("n", "holds"), [(167, False), (168, True)])
def test_by_hand(n: int, holds: bool) -> None:
    """All of one score and right: 0.6 (1 + 0.97 * 0.02 / 0.98) ^ n + .. is 1 / 0.05 from 168 checks on."""
    alike = ladder([0.3] * 9)
    stake = sum(share * (1 + (1 - rate) / 0.98 * 0.02) ** n for rate, share in BETS)
    assert (stake >= 20) == holds
    found = weigh([0.3] * n, [False] * n, alike, alpha=0.02, delta=0.05)
    if holds:
        assert found == Threshold(0.3, 0.02, 0.05, n, n, 0)
    else:
        assert found == NoPromise("167 random checks are weighed, at least 168 are needed", 1)


def test_what_is_missing_is_enough_for_a_sequence_to_begin() -> None:
    """170 right checks would do, all within one threshold; by its highest bet alone the loosest begins at 179."""
    spread = np.arange(1, 171) / 170
    found = weigh(spread, [False] * 170, EVEN, alpha=0.02, delta=0.05)
    rate, stake = BETS[0]
    begins = next(n for n in range(170, 400) if stake * (1 + (1 - rate) / 0.98 * 0.02) ** n >= 20)
    assert isinstance(found, NoPromise)
    assert found.missing == begins - 170
    assert found.reason.startswith("0 of the 21 most certain checked labels were wrong")  # of the strictest eighth


def test_a_check_of_parts_is_its_whole_item() -> None:
    """Ten pictures of three right boxes each are ten checks; 158 more such pictures are needed, as many as items."""
    alike = ladder([0.3] * 9, most=3)
    groups = [row // 3 for row in range(30)]
    found = weigh([0.3] * 30, [False] * 30, alike, alpha=0.02, delta=0.05, groups=groups)
    assert found == NoPromise("10 random checks are weighed, at least 168 are needed", 158)
    groups = [row // 3 for row in range(600)]
    found = weigh([0.3] * 600, [True] * 3 + [False] * 597, alike, alpha=0.02, delta=0.05, groups=groups)
    stakes = np.array([share * (1 - (1 - rate) / 0.98 * 0.98) for rate, share in BETS])
    growth = np.array([1 + (1 - rate) / 0.98 * 0.02 for rate, _ in BETS])
    needed = next(n for n in range(200, 400) if (stakes * growth ** (n - 1)).sum() >= 20) - 200
    assert isinstance(found, NoPromise)
    assert found.missing == needed


def reference(scores: Floats, wrong: Bools, by: Ladder, alpha: float, delta: float) -> float | None:
    """The threshold, word for word, in plain loops."""
    held, level = None, 0.0
    for limit, own in zip(by.thresholds, by.levels.tolist(), strict=True):
        level += delta * own
        stakes = [share for _, share in BETS]
        for score, error in zip(scores.tolist(), wrong.tolist(), strict=True):
            if score <= limit:
                stakes = [one * (1 - (1 - rate) / (1 - alpha) * (error - alpha))
                          for one, (rate, _) in zip(stakes, BETS, strict=True)]  # fmt: skip
        if level > 0 and sum(stakes) >= 1 / level:
            held = limit
        else:
            level = 0.0
    return held


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 300), st.sampled_from([0.0, 0.02, 0.2]))
def test_it_is_what_plain_loops_find(seed: int, n: int, worst: float) -> None:
    rng = np.random.default_rng(seed)
    scores, pool = rng.random(n).round(2), rng.random(40).round(2)
    wrong = rng.random(n) < worst * scores
    found = weigh(scores, wrong, ladder(pool), alpha=ALPHA, delta=DELTA)
    expected = reference(scores, wrong, ladder(pool), ALPHA, DELTA)
    assert (found.threshold if isinstance(found, Threshold) else None) == expected


def test_delta_is_kept_at_all_moments_together_where_weighing_anew_breaks_it() -> None:
    """Checks whose rate is just above alpha, weighed whenever a fifth more are known: any promise is a broken one."""
    rng, broken, trials = np.random.default_rng(0), {"at delta each time": 0, "by bets": 0}, 100
    moments = [round(30 * 1.2**step) for step in range(18)]
    for _ in range(trials):
        scores, wrong, pool = rng.random(800), rng.random(800) < 1.02 * ALPHA, rng.random(100)
        by, terms = ladder(pool), dict[str, Any](alpha=ALPHA, delta=DELTA)
        known = [(scores[:n], wrong[:n]) for n in moments]
        broken["by bets"] += any(_held(weigh(*checks, by, **terms)) for checks in known)
        broken["at delta each time"] += any(_held(accept_threshold(*checks, pool_scores=pool, **terms))
                                            for checks in known)  # fmt: skip
    assert broken["by bets"] / trials <= DELTA
    assert broken["at delta each time"] / trials > 1.5 * DELTA


def _held(found: Threshold | NoPromise) -> bool:
    return isinstance(found, Threshold)


def test_parts_of_one_item_are_one_bet_of_no_more_parts_than_at_first() -> None:
    def checks(n: int, of_each: int) -> PartChecks:
        items = RandomChecks.of([str(i) for i in range(n)], [0.1] * n, [False] * n, [0.0] * n, 1.0)
        rows = np.repeat(np.arange(n), of_each)
        return PartChecks.of(items, np.full(len(rows), 0.2), np.zeros(len(rows), bool), rows)

    by = part_ladders(checks(40, 2), [0.2] * 9, [0.1] * 9)
    assert (by[0].most, by[1].most) == (2, 1)
    terms: dict[str, Any] = {"alpha": 0.1, "delta": 0.2}
    needed = next(n for n in range(1, 99) if _stake(n, 0.1) >= 10)  # half of delta each
    short, held = (weigh_parts(checks(n, 2), by, **terms) for n in (needed - 1, needed))
    assert not _held(short.parts)
    assert held.parts == Threshold(0.2, 0.1, 0.1, 2 * needed, 2 * needed, 0, needed)
    assert held.missing == Threshold(0.1, 0.1, 0.1, needed, needed, 0)
    crowded = weigh_parts(checks(needed, 5), by, **terms)  # two of five at most, for good
    assert crowded.parts == held.parts
    assert crowded.most == 2


def _stake(n: int, alpha: float) -> float:
    return math.fsum(share * (1 + (1 - rate) / (1 - alpha) * alpha) ** n for rate, share in BETS)
