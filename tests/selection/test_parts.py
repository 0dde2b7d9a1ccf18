"""Parts accepted one by one: plans by hand, the truth of the promise by simulation, then properties."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from models.arrays import Floats
from models.errors import InvalidInput
from models.records import Boxes, Transcript
from selection.checks import RandomChecks
from selection.parts import (
    OfKind,
    PartChecks,
    PartPromise,
    Plan,
    missing_doubt,
    most_parts,
    plan,
    plan_kinds,
    plan_together,
    promise_part,
    promise_parts,
    surest,
)
from selection.risk import NoPromise, Threshold

WITHIN = Threshold(0.3, 0.02, 0.025, 500, 400, 1)
NONE = NoPromise("12 random checks are weighed", 100)
unit = st.floats(0, 1)


def test_plans_by_hand() -> None:
    scores = [0.1, 0.9, 0.3, 0.2]
    assert plan(scores, 0.3, PartPromise(WITHIN, WITHIN, most=9)) == Plan((0, 2, 3), (1,), asked=False)
    assert plan(scores, 0.31, PartPromise(WITHIN, WITHIN, most=2)) == Plan((0, 3), (1, 2), asked=True)
    assert plan(scores, 0.1, PartPromise(WITHIN, NONE, most=9)) == Plan((0, 2, 3), (1,), asked=True)
    assert plan(scores, 0.1, PartPromise(NONE, WITHIN, most=9)) == Plan((), (0, 1, 2, 3), asked=False)
    assert plan([], 0.1, PartPromise(WITHIN, WITHIN, most=9)).unseen
    assert plan([0.1], 0.1, PartPromise(WITHIN, WITHIN, most=9)).unseen
    assert not plan([], 0.9, PartPromise(WITHIN, WITHIN, most=9)).unseen


def test_what_a_person_is_spared() -> None:
    plans = [Plan((), (0,), True), Plan((), (0,), False), Plan((1,), (0,), True), Plan((0,), (), False)]
    assert [one.partial for one in plans] == [False, True, True, True]
    assert [one.unseen for one in plans] == [False, False, False, True]
    assert PartPromise.none("why") == PartPromise(NoPromise("why", 0), NoPromise("why", 0), 1)


def test_too_few_images_are_counted_as_images() -> None:
    """However many boxes they have, and whatever groups they came in."""
    items = RandomChecks.of(["a", "b", "c"], [0.1] * 3, [False] * 3, [0.0] * 3, 1.0, ["clip", "clip", None])
    checks = PartChecks.of(items, [0.2] * 6, [False] * 6, [0, 0, 1, 1, 2, 2])
    told = promise_part(checks, alpha=0.1, delta=0.1, pool_scores=[0.2])
    assert isinstance(told, NoPromise)
    assert told.reason == f"2 random checks are weighed, at least {2 + told.missing} are needed"


def test_the_doubt_whether_something_is_missing() -> None:
    """Of an image the chance of any missed object where 0.5 are expected; of a text what is known of it as a whole."""
    image = Boxes(100, 20)
    assert missing_doubt(image, {"expected_missed": 0.5}, 0.3) == pytest.approx(1 - math.exp(-0.5))
    assert missing_doubt(Transcript("yes"), {}, 0.3) == 0.3
    with pytest.raises(InvalidInput, match=r"expected the feature 'expected_missed', got \['boxes'\]"):
        missing_doubt(image, {"boxes": 1.0}, 0.3)


@pytest.mark.parametrize(
    ("counts", "most"),
    [([2] * 9 + [7], 2), ([2] * 8 + [7] * 2, 7), ([0] * 3, 1), ([], 1)],  # nine of ten items have no more
)
def test_of_one_item_no_more_is_accepted_than_most_have(counts: list[int], most: int) -> None:
    n = len(counts)
    items = RandomChecks.of([str(i) for i in range(n)], [0.1] * n, [False] * n, [0.0] * n, 1.0)
    rows = np.repeat(np.arange(n), counts)
    assert most_parts(PartChecks.of(items, np.full(len(rows), 0.2), np.zeros(len(rows), bool), rows)) == most


def test_the_surest_of_each_item() -> None:
    scores, item = np.array([0.5, 0.1, 0.1, 0.1, 0.9]), np.array([0, 0, 1, 0, 1])
    assert surest(scores, item, 2).tolist() == [False, True, True, True, True]
    assert surest(scores, item, 1).tolist() == [False, True, True, False, False]


@given(st.lists(st.tuples(st.integers(0, 4), unit), max_size=40), st.integers(1, 5))
def test_the_surest_equal_a_slow_choice(parts: list[tuple[int, float]], most: int) -> None:
    item, scores = np.array([i for i, _ in parts], np.int64), np.array([score for _, score in parts])
    kept = surest(scores, item, most)
    for one in range(5):
        rows = sorted(np.flatnonzero(item == one), key=lambda row: (scores[row], row))
        assert [bool(kept[row]) for row in rows] == [place < most for place in range(len(rows))]


@given(st.lists(unit, max_size=20), unit, st.integers(1, 8), st.booleans())
def test_every_part_is_accepted_or_shown(scores: list[float], missing: float, most: int, held: bool) -> None:
    done = plan(scores, missing, PartPromise(WITHIN if held else NONE, WITHIN, most))
    assert sorted(done.accepted + done.shown) == list(range(len(scores)))
    assert len(done.accepted) <= (most if held else 0)
    assert all(scores[row] <= 0.3 for row in done.accepted)


def test_each_kind_of_parts_is_planned_on_its_own_by_hand() -> None:
    """Of cells two at most up to 0.3; of platelets none, which have no promise; nobody is asked up to the doubt 0.3."""
    promises = {"cells": PartPromise(WITHIN, WITHIN, most=2), "platelets": PartPromise(NONE, WITHIN, most=1)}
    kinds = ["cells", "platelets", "cells", "cells"]
    found = plan_kinds([0.1, 0.1, 0.3, 0.2], kinds, 0.3, promises.__getitem__)
    assert found == {
        "cells": OfKind(Plan((0, 3), (2,), asked=False), promises["cells"]),
        "platelets": OfKind(Plan((), (1,), asked=False), promises["platelets"]),
    }
    assert plan_together(found, 0.3, promises["cells"]) == Plan((0, 3), (1, 2), asked=False)
    assert plan_together({}, 0.31, promises["cells"]) == Plan((), (), asked=True)


@given(st.lists(st.tuples(unit, st.sampled_from("abc")), max_size=20), unit, st.integers(1, 4), st.integers(1, 4))
def test_parts_of_one_kind_never_change_what_becomes_of_another(
    parts: Any, missing: float, most: int, more: int
) -> None:
    promises = {
        "a": PartPromise(WITHIN, NONE, most),
        "b": PartPromise(WITHIN, NONE, more),
        "c": PartPromise(NONE, NONE, 1),
    }
    scores, kinds = [score for score, _ in parts], [kind for _, kind in parts]
    found = plan_kinds(scores, kinds, missing, promises.__getitem__)
    whole = plan_together(found, missing, promises["a"])
    assert sorted(whole.accepted + whole.shown) == list(range(len(parts)))
    for kind, promise in promises.items():
        rows = [row for row, of in enumerate(kinds) if of == kind]
        alone = plan([scores[row] for row in rows], missing, promise)
        assert [row for row in whole.accepted if kinds[row] == kind] == [rows[place] for place in alone.accepted]


Checked = tuple[PartChecks, Floats, Floats]


def _images(rng: np.random.Generator, n: int, worst: bool) -> Checked:
    """Images of 1 to 8 boxes, with the true error rates of their boxes; the boxes of an image are wrong together."""
    counts = rng.integers(1, 9, n)
    item = np.repeat(np.arange(n), counts)
    doubt = rng.random(n)
    rate = np.minimum(1, 0.25 * doubt**2 * np.where(worst & (counts > 6), 3, 1))
    wrong = (rng.random(n) < rate)[item]
    scores = np.clip(doubt[item] + rng.normal(0, 0.02, len(item)), 0, 1)
    missed = rng.random(n) < 0.2 * doubt
    checks = RandomChecks.of([f"{i}" for i in range(n)], doubt, missed, rng.random(n) * 0.2, 0.2)
    return PartChecks.of(checks, scores, wrong, item), rate[item], 0.2 * doubt


@pytest.mark.parametrize("worst", [False, True])
def test_the_promises_for_parts_are_broken_in_at_most_delta(worst: bool) -> None:
    trials, rates = 150, {"alpha": 0.1, "delta": 0.2}
    rng = np.random.default_rng(8)
    crowd, rate, missed = _images(rng, 20_000, worst)
    broken = given_ = 0
    for _ in range(trials):
        checks, _, _ = _images(rng, 500, worst)
        held = promise_parts(
            checks, pool_parts=crowd.scores[:2000], pool_missing=crowd.items.scores[:1000], **rates
        )  # fmt: skip
        bad = False
        if isinstance(held.parts, Threshold):
            given_ += 1
            within = (crowd.scores <= held.parts.threshold) & surest(crowd.scores, crowd.item, held.most)
            bad = bool(within.any() and rate[within].mean() > 0.1)
        if isinstance(held.missing, Threshold):
            unasked = crowd.items.scores <= held.missing.threshold
            bad = bad or bool(unasked.any() and missed[unasked].mean() > 0.1)
        broken += bad
    assert binomtest(broken, trials).proportion_ci(0.998, method="exact").low <= 0.2
    assert given_ >= 0.7 * trials


def test_all_parts_of_an_item_are_one_observation() -> None:
    """At alpha 2 %, delta 2.5 % each, 300 images of ten right boxes are enough; a thousand boxes of 100 are not."""

    def held(images: int) -> PartPromise:
        checks = RandomChecks.of([f"{i}" for i in range(images)], [0.5] * images, [False] * images, [0.0] * images, 0.1)
        item = np.repeat(np.arange(images), 10)
        parts = PartChecks.of(checks, [0.2] * len(item), [False] * len(item), item)
        return promise_parts(parts, alpha=0.02, delta=0.05, pool_parts=[0.2], pool_missing=[0.5])

    enough, short = held(300), held(100)
    assert enough.parts == Threshold(0.2, 0.02, 0.025, 3000, 3000, 0, groups=300)
    assert enough.missing == Threshold(0.5, 0.02, 0.025, 300, 300, 0)
    assert enough.most == 10
    assert isinstance(short.parts, NoPromise)
    assert isinstance(short.missing, NoPromise)


def test_crowded_items_do_not_decide_how_many_parts_are_accepted() -> None:
    n = 300
    counts = np.where(np.arange(n) % 20 == 0, 60, 3)
    checks = RandomChecks.of([f"{i}" for i in range(n)], [0.5] * n, [False] * n, [0.0] * n, 0.1)
    item = np.repeat(np.arange(n), counts)
    parts = PartChecks.of(checks, [0.2] * len(item), [False] * len(item), item)
    held = promise_parts(parts, alpha=0.02, delta=0.05, pool_parts=[0.2], pool_missing=[0.5])
    assert held.most == 3
    assert isinstance(held.parts, Threshold)
    assert held.parts.n == 900


def test_clips_are_one_observation_too() -> None:
    n = 300
    rates: dict[str, Any] = {"alpha": 0.02, "delta": 0.05, "pool_parts": [0.2], "pool_missing": [0.5]}
    ids, draws = [f"{i}" for i in range(n)], [0.0] * n
    clips = RandomChecks.of(ids, [0.5] * n, [False] * n, draws, 0.1, [i // 3 for i in range(n)])
    held = promise_parts(PartChecks.of(clips, [0.2] * n, [False] * n, np.arange(n)), **rates)
    assert isinstance(held.parts, NoPromise)
    assert isinstance(held.missing, NoPromise)


def test_bad_parts_are_named() -> None:
    checks = RandomChecks.of(["a"], [0.5], [False], [0.0], 0.1)
    with pytest.raises(InvalidInput, match="expected the rows of 1 items, one for each of 2"):
        PartChecks.of(checks, [0.1, 0.2], [False, True], [0, 1])
    with pytest.raises(InvalidInput, match="expected the rows of 1 items, one for each of 1"):
        PartChecks.of(checks, [0.1], [False], [-1])
    with pytest.raises(InvalidInput, match="expected the rows of 1 items"):
        PartChecks.of(checks, [0.1, 0.2], [False, True], [0])
    with pytest.raises(InvalidInput, match=r"part scores\[0\]"):
        PartChecks.of(checks, [2.0], [False], [0])
    with pytest.raises(InvalidInput, match=r"missing\[0\]"):
        plan([0.1], 1.5, PartPromise(WITHIN, WITHIN, 1))
