"""Looks at growing checks: few, and together no more than delta."""

import numpy as np
import pytest

from models.arrays import Bools, Floats
from selection.evidence import checks_needed
from selection.looks import begins, first, level, look
from selection.risk import Threshold, accept_threshold

ALPHA, DELTA = 0.05, 0.2


def test_by_hand() -> None:
    assert first(0.02, 0.05) == checks_needed(0.02, 0.025) == 183
    assert [look(n, 0.02, 0.05) for n in (0, 182, 183, 365, 366, 731, 732, 10_000)] == [0, 0, 1, 1, 2, 2, 3, 6]
    assert [begins(number, 0.02, 0.05) for number in (1, 2, 3)] == [183, 366, 732]
    assert [level(number, 0.05) for number in (1, 2, 3)] == [0.025, 0.0125, 0.00625]


@pytest.mark.parametrize("number", range(1, 12))
def test_a_look_begins_where_it_is_that_look(number: int) -> None:
    n = begins(number, ALPHA, DELTA)
    assert (look(n - 1, ALPHA, DELTA), look(n, ALPHA, DELTA)) == (number - 1, number)
    assert sum(level(each, DELTA) for each in range(1, number + 1)) < DELTA


def test_looks_keep_the_promise_where_looking_all_the_time_does_not() -> None:
    """Checks whose rate is just above alpha, weighed whenever a fifth more are known, or only at looks: how often some
    weighing ends in a promise, which is then broken."""
    rng, broken = np.random.default_rng(0), {"always": 0, "looks": 0}
    trials, most = 150, 1200
    moments = [30]
    while moments[-1] < most:
        moments.append(moments[-1] + max(30, moments[-1] // 5))
    for _ in range(trials):
        checks = rng.random(most), rng.random(most) < 1.02 * ALPHA, rng.random(1000)
        known = [n for n in moments if n <= most]
        taken = {number: n for n in reversed(known) if (number := look(n, ALPHA, DELTA))}
        broken["always"] += any(passes(*checks, n, DELTA) for n in known)
        broken["looks"] += any(passes(*checks, n, level(number, DELTA)) for number, n in taken.items())
    assert broken["looks"] / trials <= DELTA
    assert broken["always"] / trials > 1.5 * DELTA


def passes(scores: Floats, wrong: Bools, pool: Floats, n: int, delta: float) -> bool:
    """Whether the first n checks end in a promise."""
    found = accept_threshold(scores[:n], wrong[:n], alpha=ALPHA, delta=delta, pool_scores=pool)
    return isinstance(found, Threshold)
