"""Random checks cannot be mixed with what was chosen."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import InvalidInput
from selection.checks import RandomChecks, group_rows, wants_second_look
from selection.routing import draw
from selection.strategies import uncertainty

SHARE = 0.2
IDS = [f"item {i}" for i in range(400)]
DRAWS = np.array([draw(item_id, 0) for item_id in IDS])
SCORES = np.random.default_rng(0).random(400)


def _checks(rows: Any) -> RandomChecks:
    return RandomChecks.of([IDS[row] for row in rows], SCORES[rows], SCORES[rows] > 0.5, DRAWS[rows], SHARE)


def test_the_router_s_own_sample_is_taken() -> None:
    drawn = np.flatnonzero(DRAWS < SHARE)
    assert len(_checks(drawn).scores) == len(drawn)


def test_what_active_learning_chose_is_refused() -> None:
    chosen = uncertainty(SCORES, np.zeros((400, 2)), 30, np.random.default_rng(0))
    outsider = next(IDS[row] for row in chosen if DRAWS[row] >= SHARE)
    with pytest.raises(InvalidInput, match=rf"expected draws below 0.2, got 0\.\d+ of item '{outsider}'"):
        _checks(chosen)


@given(st.lists(st.integers(0, 399), max_size=30, unique=True))
def test_one_chosen_item_among_drawn_ones_is_refused(rows: list[int]) -> None:
    if (DRAWS[rows] < SHARE).all():
        assert len(_checks(rows).item_ids) == len(rows)
    else:
        with pytest.raises(InvalidInput, match="expected draws below"):
            _checks(rows)


def test_nothing_can_be_changed_afterwards() -> None:
    checks = _checks(np.flatnonzero(DRAWS < SHARE))
    with pytest.raises(ValueError, match="read-only"):
        checks.scores[0] = 0.0
    with pytest.raises(AttributeError):
        checks.share = 1.0  # type: ignore[misc]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"item_ids": ["a", "a"]}, "expected each item once, got 'a' twice"),
        ({"draws": [0.1, np.nan]}, r"draws\[1\]: expected a number in \[0, 1\], got nan"),
        ({"draws": [0.1]}, r"of 2 items, got \[2, 2, 1, 2\]"),
        ({"draws": [0.1, 0.2]}, "expected draws below 0.2, got 0.2 of item 'b'"),
        ({"share": 0.0}, r"expected a share in \(0, 1\], got 0.0"),
        ({"share": 1.1}, r"expected a share in \(0, 1\], got 1.1"),
        ({"scores": [0.1, 2.0]}, r"scores\[1\]"),
        ({"errors": [0, 1]}, "errors: expected bool"),
    ],
)
def test_bad_input_is_named(change: dict[str, Any], said: str) -> None:
    good = {"item_ids": ["a", "b"], "scores": [0.1, 0.2], "errors": [True, False], "draws": [0.0, 0.1], "share": 0.2}
    assert len(RandomChecks.of(**good).scores) == 2  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match=said):
        RandomChecks.of(**{**good, **change})


def test_all_items_may_be_drawn() -> None:
    assert len(RandomChecks.of(["a"], [0.1], [True], [0.99], 1.0).scores) == 1


def test_who_shares_no_group_stands_alone() -> None:
    assert group_rows(["a", None, "b", "a", None], 5).tolist() == [0, 1, 2, 0, 3]
    assert group_rows(None, 3).tolist() == [0, 1, 2]
    with pytest.raises(InvalidInput, match="groups: expected 3, one for each score, got 1"):
        group_rows(["a"], 3)


def test_what_a_sure_version_got_wrong_is_looked_at_again() -> None:
    assert wants_second_look(0.099, wrong=True)
    assert not wants_second_look(0.1, wrong=True)
    assert not wants_second_look(0.0, wrong=False)
