"""k-center: small tables, then a plain greedy reference that must be met pick for pick."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.arrays import AnyFloats, Floats
from models.errors import InvalidInput
from selection.strategies import covering, k_center
from tests.selection.pools import Pool, pools, rng


def plain_k_center(scores: Floats, points: AnyFloats, budget: int, known: AnyFloats | None = None) -> list[int]:
    """Word for word: the highest score, then always the item farthest from its nearest centre; ties go to the first."""
    picks: list[int] = []
    centres = [] if known is None else list(known)
    while len(picks) < min(budget, len(points)):
        left = [i for i in range(len(points)) if i not in picks]
        if centres:
            best = max(left, key=lambda i: (min(_square(points[i], centre) for centre in centres), -i))
        else:
            best = max(left, key=lambda i: (scores[i], -i))
        picks.append(best)
        centres.append(points[best])
    return picks


def _square(first: AnyFloats, second: AnyFloats) -> float:
    # The squares are summed by numpy, so that both round alike and exact ties stay ties.
    away = np.array([first.astype(np.float64) - second.astype(np.float64)])
    return float(np.einsum("nd,nd->n", away, away)[0])


@pytest.fixture(params=[(1, 1), (3, 2), (2048, 1024)], ids=lambda sizes: f"front {sizes[0]}")
def sizes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fronts and blocks so small that new ones have to form all the time, and those of every day."""
    monkeypatch.setattr(covering, "FRONT", request.param[0])
    monkeypatch.setattr(covering, "BLOCK", request.param[1])


@pytest.mark.usefixtures("sizes")
@given(pools(), st.integers(0, 30))
@settings(deadline=None)
def test_it_is_the_plain_greedy_one(pool: Pool, budget: int) -> None:
    assert k_center(*pool, budget, rng()).tolist() == plain_k_center(*pool, budget)


@pytest.mark.usefixtures("sizes")
@given(pools(least=2), st.integers(0, 30), st.data())
@settings(deadline=None)
def test_what_people_have_counts_as_chosen(pool: Pool, budget: int, data: st.DataObject) -> None:
    scores, points = pool
    had = data.draw(st.integers(0, len(points) - 1))
    picks = k_center(scores[had:], points[had:], budget, rng(), known=points[:had])
    assert picks.tolist() == plain_k_center(scores[had:], points[had:], budget, points[:had])


@pytest.mark.parametrize("kind", ["normal", "clusters", "sphere", "far", "grid", "one outlier", "copies"])
@pytest.mark.parametrize("front", [8, 100, 2048])
def test_it_is_the_plain_greedy_one_on_a_larger_pool(kind: str, front: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(covering, "FRONT", front)
    points = _points(kind)
    scores = rng(1).random(len(points))
    distances = np.full(len(points), np.inf)
    picks = [int(np.argmax(scores))]
    while len(picks) < 120:
        away = points.astype(np.float64) - points[picks[-1]].astype(np.float64)
        distances = np.minimum(distances, np.einsum("nd,nd->n", away, away))
        distances[picks] = -1
        picks.append(int(np.argmax(distances)))
    assert k_center(scores, points, 120, rng()).tolist() == picks


def _points(kind: str) -> AnyFloats:
    normal = rng(2).normal(size=(600, 20)).astype(np.float32)
    centres = rng(3).normal(size=(12, 20)).astype(np.float32)
    kinds: dict[str, AnyFloats] = {
        "normal": normal,
        "clusters": normal / 5 + centres[rng(4).integers(12, size=600)] * 3,
        "sphere": normal / np.linalg.norm(normal, axis=1, keepdims=True),
        "far": normal + np.float32(3000),
        "grid": rng(5).integers(0, 2, (600, 6)).astype(np.float64),
        "one outlier": np.concatenate([normal, np.full((1, 20), 1e6, np.float32)]),
        "copies": centres[rng(4).integers(12, size=600)],
    }
    return kinds[kind]


@pytest.mark.parametrize("size", [1e-200, 1e-30, 1e-12, 1e12, 1e30, 1e150])
def test_the_unit_does_not_matter(size: float) -> None:
    points, scores = _points("normal")[:80].astype(np.float64), rng(1).random(80)
    assert k_center(scores, points * size, 40, rng()).tolist() == k_center(scores, points, 40, rng()).tolist()


def test_it_spreads_over_a_line() -> None:
    places = np.array([[0.0], [1.0], [2.0], [9.0], [10.0]])
    scores = np.array([0.9, 0.1, 0.1, 0.1, 0.1])
    assert k_center(scores, places, 5, rng()).tolist() == [0, 4, 2, 1, 3]
    assert k_center(scores, places, 3, rng(), known=np.array([[10.0], [5.0]])).tolist() == [0, 2, 1]


def test_it_sees_differences_that_single_precision_loses() -> None:
    # Items 1 and 2 are 1 + 2e-8 and 1 + 1e-8 from item 0, squared: in single precision both are 1, and 1 would win.
    embeddings = np.array([[0, 0], [1, 1e-4], [1, 1.4e-4]], np.float32)
    assert k_center(np.array([1.0, 0, 0]), embeddings, 2, rng()).tolist() == [0, 2]


def test_most_distances_are_never_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    computed = 0
    catch_up = covering._Cover._catch_up

    def counted(cover: Any, items: NDArray[np.intp]) -> None:
        nonlocal computed
        computed += int((cover._count - cover._seen[items]).sum())
        catch_up(cover, items)

    monkeypatch.setattr(covering._Cover, "_catch_up", counted)
    points = rng().normal(size=(20_000, 16)).astype(np.float32)
    k_center(rng(1).random(20_000), points, 200, rng())
    assert 0 < computed < 20_000 * 200 / 3


@pytest.mark.parametrize(
    ("known", "said"),
    [
        (np.zeros((1, 3)), r"known: expected shape \(m, 2\) as embeddings, got \(1, 3\)"),
        (np.array([[0.0, 0.0], [0.0, np.nan]]), r"known\[1\]: expected finite numbers"),
    ],
)
def test_bad_known_items_are_named(known: AnyFloats, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        k_center(np.zeros(2), np.zeros((2, 2)), 1, rng(), known=known)
