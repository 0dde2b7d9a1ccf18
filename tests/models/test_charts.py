"""Charts are data: shares with their intervals, bins, scales."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.report.charts import binned, rounded_up, share_interval, thinned


@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    [
        (0, 10, 0.0, 0.2775),
        (5, 10, 0.2366, 0.7634),
        (10, 10, 0.7225, 1.0),
        (1, 1, 0.2065, 1.0),
        (20, 100, 0.1334, 0.2888),
    ],
)
def test_intervals_of_shares_by_hand(k: int, n: int, low: float, high: float) -> None:
    """Worked from the formula of Wilson 1927 with z = 1.96; of 0 in n it is z² / (n + z²)."""
    assert share_interval(k, n) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_a_share_lies_in_its_interval(counts: tuple[int, int]) -> None:
    low, high = share_interval(*counts)
    assert 0 <= low <= counts[0] / counts[1] <= high <= 1


def test_bins_hold_their_lower_edge_and_empty_ones_are_left_out() -> None:
    columns = binned([0, 7.9, 8, 64, 1000], [True, False, True, False, True], [0, 8, 16, 32, 64])
    assert [(c.name, c.share, c.n) for c in columns] == [("0–8", 0.5, 2), ("8–16", 1.0, 1), ("≥ 64", 0.5, 2)]


def test_a_scale_ends_at_a_round_number_no_smaller_than_any_value() -> None:
    assert [rounded_up(value) for value in (0, 0.013, 0.2, 3, 1000.0)] == [1, 0.02, 0.2, 5, 1000]
    shares = (0, 0.05, 0.051, 0.24, 0.3, 0.51, 1)
    assert [rounded_up(share, least=0.05) for share in shares] == [0.05, 0.05, 0.1, 0.25, 0.5, 1, 1]


@given(st.integers(1, 1000))
def test_thinning_keeps_both_ends_and_the_order(count: int) -> None:
    points = [(float(i), 0.0) for i in range(count)]
    kept = thinned(points)
    assert len(kept) <= 200
    assert (kept[0], kept[-1]) == (points[0], points[-1])
    assert list(kept) == sorted(set(kept))
