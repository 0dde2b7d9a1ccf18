"""How places are shared, what people can do, and what is due: by hand, then properties."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import InvalidInput
from selection.queueing import Deadline, Share, Skills, done_by, due_by, tomorrow, turns

NOON = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
MIX = (Share("uncertainty", 0.7), Share("k-center", 0.3))


def test_whose_turn_it_is_by_hand() -> None:
    """Half a turn, and 0.618 more at each place: .5, .118, .736, .354, .972, .590, .208, .826, .444, .062."""
    a, u, k = None, "uncertainty", "k-center"  # until .2, until .76 and until 1
    assert turns(MIX, 0.2, 0, 10) == [u, a, u, u, k, u, u, k, u, a]
    assert turns(MIX, 0.2, 4, 3) == [k, u, u]
    assert turns(MIX, 0, 1, 2) == [u, k]
    assert turns(MIX, 1, 0, 4) == [a] * 4
    assert turns(MIX, 0.5, 7, 0) == []
    assert [one.words for one in (*MIX, Share("badge"))] == ["uncertainty 70 %", "k-center 30 %", "badge"]


@given(
    st.lists(st.floats(0.05, 1), min_size=1, max_size=4), st.floats(0, 1), st.integers(0, 10**6), st.integers(0, 500)
)
def test_each_gets_its_share_of_any_places_in_a_row(shares: list[float], audits: float, first: int, n: int) -> None:
    names = ["random", "uncertainty", "k-center", "badge"]
    mix = [Share(name, share) for name, share in zip(names, shares, strict=False)]  # type: ignore[arg-type]
    counts = Counter(turns(mix, audits, first, n))
    assert counts.total() == n
    assert abs(counts[None] - audits * n) < 3
    for one in mix:
        assert abs(counts[one.name] - (1 - audits) * one.share / sum(shares) * n) < 3


def test_what_people_can_do() -> None:
    assert Skills().does("asr")
    assert Skills(tasks=("asr",)).does("asr")
    assert not Skills(tasks=("asr",)).does("lane")
    assert Skills(tasks=("asr",), languages=("hsb", "de")).words == "tasks asr; languages hsb, de"
    assert Skills().words == "everything"


def test_a_day_ends_at_midnight_of_utc() -> None:
    assert tomorrow(datetime(2026, 2, 28, 23, 59, 59, 999_999, UTC)) == datetime(2026, 3, 1, tzinfo=UTC)
    assert tomorrow(datetime(2026, 3, 1, tzinfo=UTC)) == datetime(2026, 3, 2, tzinfo=UTC)


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


def test_an_item_is_due_at_its_own_time_or_at_that_of_its_group() -> None:
    deadlines = [Deadline("a", NOON + timedelta(days=1)), Deadline("b", NOON + timedelta(days=3))]
    own = NOON + timedelta(days=2)
    assert due_by(own, "a", deadlines) == deadlines[0].by
    assert due_by(own, "b", deadlines) == own
    assert due_by(None, "b", deadlines) == deadlines[1].by
    assert due_by(own, None, []) == own
    assert due_by(None, "c", deadlines) is None


def test_a_share_and_a_deadline_are_checked() -> None:
    with pytest.raises(InvalidInput, match=r"share: expected a share in \(0, 1\], got 0.0 of badge"):
        Share("badge", 0.0)
    with pytest.raises(InvalidInput, match=r"share: expected a share in \(0, 1\], got 1.01 of badge"):
        Share("badge", 1.01)
    with pytest.raises(InvalidInput, match=r"by: expected a time with its zone, got .* of group 'g'"):
        Deadline("g", NOON.replace(tzinfo=None))
