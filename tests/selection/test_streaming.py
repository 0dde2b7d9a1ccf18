"""Endless input: what one pass keeps, against the same choice with everything at hand."""

from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.arrays import Floats
from models.errors import InvalidInput
from selection.strategies import Covering, MostDoubtful, uncertainty
from tests.selection.pools import Pool, pools, rng


def pieces(n: int, cuts: list[int]) -> list[slice]:
    """The slices of n items between cuts."""
    edges = [0, *sorted(cut % (n + 1) for cut in cuts), n]
    return [slice(low, high) for low, high in pairwise(edges)]


@given(pools(), st.integers(1, 9), st.lists(st.integers(0, 99), max_size=5))
def test_the_most_doubtful_are_those_of_the_whole_stream(pool: Pool, budget: int, cuts: list[int]) -> None:
    scores, points = pool
    stream = MostDoubtful(budget)
    for piece in pieces(len(scores), cuts):
        stream.offer(scores[piece])
        assert stream.picks.tolist() == uncertainty(scores[: piece.stop], points[: piece.stop], budget, rng()).tolist()


def test_random_scores_make_a_uniform_sample() -> None:
    counts, draws = np.zeros(20), rng()
    for _ in range(1000):
        stream = MostDoubtful(4)
        for size in (1, 7, 12):
            stream.offer(draws.random(size))
        counts[stream.picks] += 1
    assert np.abs(counts - 200).max() < 5 * np.sqrt(1000 * 0.2 * 0.8)


def test_a_hand_worked_cover() -> None:
    stream = Covering(2)
    stream.offer(np.array([[0.0], [1.0]]))
    assert (stream.picks.tolist(), stream.reach) == ([0, 1], 0)
    stream.offer(np.array([[10.0]]))  # three are too many: 1 lies 1 from 0, which goes on for both
    assert (stream.picks.tolist(), stream.reach) == ([0, 2], 2)
    stream.offer(np.array([[10.5], [4.0]]))  # 4 is new, 10.5 is not; three again: 4 lies 4 from 0
    assert (stream.picks.tolist(), stream.reach) == ([0, 2], 8)


def test_centres_that_gave_way_fill_the_budget() -> None:
    stream = Covering(3)
    stream.offer(np.array([[0.0], [3.0], [6.0], [9.0]]))  # only 0 and 6 are more than 3 apart: 3 and 9 give way
    assert (stream.picks.tolist(), stream.reach) == ([0, 2, 1], 6)
    stream.offer(np.array([[20.0]]))  # a centre; 3 has to go
    assert (stream.picks.tolist(), stream.reach) == ([0, 2, 4], 6)


@given(pools(), st.integers(1, 4), st.lists(st.integers(0, 99), max_size=5))
@settings(deadline=None, max_examples=200)
def test_a_cover_is_within_eight_times_the_best(pool: Pool, budget: int, cuts: list[int]) -> None:
    points = pool[1][:12].astype(np.float64)
    stream = Covering(budget)
    for piece in pieces(len(points), cuts):
        stream.offer(points[piece])
    if not len(points):
        assert stream.picks.tolist() == []
        return
    away = np.linalg.norm(points[:, None] - points[None], axis=2)
    assert 1 <= len(stream.picks) <= budget
    assert len(set(stream.picks.tolist())) == len(stream.picks)
    assert away[stream.picks].min(axis=0).max() <= stream.reach * (1 + 1e-9)
    best = min(
        away[list(some)].min(axis=0).max() for some in combinations(range(len(points)), min(budget, len(points)))
    )
    assert stream.reach <= 8 * best * (1 + 1e-9)


def test_memory_does_not_grow_with_the_stream() -> None:
    draws, doubtful, cover = rng(), MostDoubtful(10), Covering(10)
    for _ in range(50):
        doubtful.offer(draws.random(300))
        cover.offer(draws.normal(size=(300, 4)).astype(np.float32))
    kept = [*vars(doubtful).values(), *vars(cover).values()]
    assert max(np.size(value) for value in kept) <= 10 * 4


def test_pieces_do_not_matter_to_a_cover() -> None:
    points = rng().normal(size=(3000, 3))
    whole, single = Covering(7), Covering(7)
    whole.offer(points)
    for point in points:
        single.offer(point[None])
    assert whole.picks.tolist() == single.picks.tolist()


@pytest.mark.parametrize(
    ("points", "said"),
    [
        (np.array([[0.0, 0.0], [0.0, np.nan]]), r"embeddings\[1\]: expected finite numbers"),
        (np.zeros((1, 3)), r"embeddings: expected shape \(n, 2\), got \(1, 3\)"),
        (np.zeros(2), r"embeddings: expected shape \(n, d\), got \(2,\)"),
    ],
)
def test_bad_points_are_named(points: Floats, said: str) -> None:
    stream = Covering(2)
    stream.offer(np.zeros((1, 2)))
    with pytest.raises(InvalidInput, match=said):
        stream.offer(points)
    assert stream.picks.tolist() == [0]


def test_bad_scores_and_budgets_are_named() -> None:
    with pytest.raises(InvalidInput, match=r"scores\[1\]: .* got nan"):
        MostDoubtful(1).offer([0.5, float("nan")])
    for stream in (MostDoubtful, Covering):
        with pytest.raises(InvalidInput, match="budget: expected at least 1 item, got 0"):
            stream(0)
