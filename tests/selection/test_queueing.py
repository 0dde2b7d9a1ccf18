"""How places are shared, what people can do, and what is due: by hand, then properties."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import InvalidInput
from selection.queueing import Deadline, Share, Skills, done_by, split, tomorrow, urgent

NOON = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
MIX = (Share("uncertainty", 0.7), Share("k-center", 0.3))


@pytest.mark.parametrize(
    ("places", "chance", "counts"),
    [
        (10, 0.0, [("uncertainty", 7), ("k-center", 3)]),
        (10, 0.99, [("uncertainty", 7), ("k-center", 3)]),
        (1, 0.29, [("k-center", 1)]),
        (1, 0.31, [("uncertainty", 1)]),
        (3, 0.0, [("uncertainty", 2), ("k-center", 1)]),
        (0, 0.5, []),
    ],
)
def test_places_are_shared(places: int, chance: float, counts: list[tuple[str, int]]) -> None:
    assert split(MIX, places, chance) == counts
    assert [one.words for one in (*MIX, Share("badge"))] == ["uncertainty 70 %", "k-center 30 %", "badge"]


@given(st.lists(st.floats(0.05, 1), min_size=1, max_size=4), st.integers(0, 20))
def test_in_the_long_run_each_gets_its_share(shares: list[float], places: int) -> None:
    names = ["random", "uncertainty", "k-center", "badge"]
    mix = [Share(name, share) for name, share in zip(names, shares, strict=False)]  # type: ignore[arg-type]
    chances = (np.arange(1000) + 0.5) / 1000
    counts = [dict(split(mix, places, float(chance))) for chance in chances]
    assert {sum(one.values()) for one in counts} == {places}
    for one in mix:
        wanted = places * one.share / sum(shares)
        got = [count.get(one.name, 0) for count in counts]
        assert np.mean(got) == pytest.approx(wanted, abs=0.003)
        assert max(abs(count - wanted) for count in got) < 1 + 1e-9


def test_what_people_can_do() -> None:
    assert Skills().does("asr")
    assert Skills(tasks=("asr",)).does("asr")
    assert not Skills(tasks=("asr",)).does("lane")
    assert Skills(tasks=("asr",), languages=("hsb", "de")).words == "tasks asr; languages hsb, de"
    assert Skills().words == "everything"


@pytest.mark.parametrize(
    ("open_s", "used_s", "budget", "until"),
    [
        (100, 0, None, NOON + timedelta(days=1)),
        (100, 0, 100, tomorrow(NOON)),
        (101, 0, 100, tomorrow(NOON) + timedelta(days=1)),
        (100, 50, 100, tomorrow(NOON) + timedelta(days=1)),
        (300, 200, 100, tomorrow(NOON) + timedelta(days=3)),
        (0, 100, 100, tomorrow(NOON)),
    ],
)
def test_when_all_that_is_open_will_be_done(
    open_s: float, used_s: float, budget: float | None, until: datetime
) -> None:
    assert done_by(NOON, open_s, used_s, budget) == until


def test_the_earliest_deadline_at_risk_comes_first() -> None:
    deadlines = [Deadline(name, NOON + timedelta(days=days)) for name, days in (("b", 2), ("a", 1), ("late", 9))]
    assert urgent(deadlines, NOON + timedelta(days=3)) == ["a", "b"]
    assert urgent(deadlines, NOON) == []


def test_a_share_and_a_deadline_are_checked() -> None:
    with pytest.raises(InvalidInput, match=r"share: expected a share in \(0, 1\], got 0.0 of badge"):
        Share("badge", 0.0)
    with pytest.raises(InvalidInput, match=r"by: expected a time with its zone, got .* of group 'g'"):
        Deadline("g", NOON.replace(tzinfo=None))
