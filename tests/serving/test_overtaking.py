"""Checks that were handed out past others which had been drawn before them: they count once those are checked."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.records import Correction
from selection.kinds import Kind
from selection.queueing import Skills
from selection.risk import NoPromise
from selection.rules import Rule
from serving.overtaking import overtaken, overtaking
from serving.store.records import Audited, OpenCheck, Unfit
from serving.weighing import weigh_checks
from tests.serving.test_audits import EASY, World
from tests.serving.test_kinds import audited, promised, terms
from tests.serving.work import after, boxes, prediction


def handed(name: int, at: float, draw: float, category: str = "car", leased: bool = True) -> Audited:
    return replace(audited(name, category), handed_at=after(at), draw=draw, leased=leased)


def waits(name: int, since: float, draw: float, *kinds: str) -> OpenCheck:
    return OpenCheck(f"open {name}", draw, after(since), frozenset(kinds) or None)


def test_by_hand() -> None:
    known = [handed(1, 10, 0.1), handed(2, 20, 0.3), handed(3, 30, 0.2), handed(4, 40, 0.4, leased=False)]
    waiting = [waits(1, 25, 0.15), waits(2, 20, 0.25), waits(3, 5, 0.35)]
    assert overtaken(known, waiting) == waiting[:1]  # the second came with the check of 0.3, and not before
    assert overtaking(known, waiting) == {known[2].item_id}
    assert overtaken(known, []) == overtaken([], waiting) == []
    assert overtaking(known, []) == overtaking([], waiting) == set()


places = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.booleans()), max_size=8)


@given(places, places)
def test_each_is_compared_with_each(checks: Any, others: Any) -> None:
    known = [handed(n, at, draw / 10, leased=leased) for n, (at, draw, leased) in enumerate(checks)]
    waiting = [waits(n, since, draw / 10) for n, (since, draw, _) in enumerate(others)]
    pairs = [(one, open_one) for one in known if one.leased for open_one in waiting
             if open_one.since < one.handed_at and open_one.draw < one.draw]  # fmt: skip
    assert overtaking(known, waiting) == {one.item_id for one, _ in pairs}
    assert {one.item_id for one in overtaken(known, waiting)} == {one.item_id for _, one in pairs}


def test_of_kinds_each_waits_for_its_own() -> None:
    known = [handed(n, n, 0.2 + n / 1000, "car" if n % 2 else "bus") for n in range(1, 91)]
    of = terms()
    both = promised(known, of)
    assert (both.of("cars"), both.of("rest")) == (both.of("rest"), both.of("cars"))
    past_cars = promised(known, replace(of, overtaken=[waits(1, 20, 0.1, "cars")]))
    assert past_cars.of("rest") == both.of("rest")
    cars = past_cars.of("cars")
    assert isinstance(cars, NoPromise)
    assert cars.reason.endswith("; once those drawn before them are checked, 35 more count")
    past_all = promised(known, replace(of, overtaken=[waits(1, 20, 0.1)]))
    assert isinstance(past_all.of("rest"), NoPromise)
    assert past_all.waiting == 70


def test_a_look_of_before_tells_how_many_wait_today() -> None:
    """In groups the reason of the last look stands until the next."""
    clips = [audited(n, "car", group=f"clip {n}", wrong=True) for n in range(1, 41)]
    known = [replace(one, draw=0.2, leased=True) for one in clips]
    of = replace(terms(), kinds=None)
    first = weigh_checks(known, None, of, None)
    assert first.looked
    assert isinstance(first.promise, NoPromise)
    before = first.promise.reason
    for ahead in (3, 2, 0):
        open_now = [waits(1, 40 - ahead, 0.1)] if ahead else []
        first = weigh_checks(known, None, replace(of, overtaken=open_now), first)
        assert isinstance(first.promise, NoPromise)
        suffix = f"; once those drawn before them are checked, {ahead} more count" if ahead else ""
        assert first.promise.reason == before + suffix


# -- in the loop

Begin = Callable[..., World]


@pytest.fixture
def begin(tmp_path: Path) -> Begin:
    """A deployment that checks everything."""
    return lambda **values: World(tmp_path, **{**EASY, "calibration_share": 1.0, **values})


def work_off(here: World, annotator: str, *categories: str) -> int:
    """Somebody checks all that the queue hands them, and finds what is there; returns how many that were."""
    done = 0
    while leased := here.loop.lease("detection", 1, annotator, "tester"):
        here.clock.forward(1)
        given = Correction(
            leased[0].item.id, "detection", boxes(*categories), annotator, 4.0, "test", here.clock(), "v1"
        )
        here.loop.correct(given, leased[0].lease_id, "tester")
        done += 1
    return done


def test_what_somebody_gave_back_is_waited_for(begin: Begin) -> None:
    """Who gives back what is hard must not make a promise of the rest."""
    here = begin()
    here.post(50)
    here.clock.forward(1)
    (hard,) = here.loop.lease("detection", 1, "ann", "tester")
    here.loop.release(hard.lease_id, "tester")
    assert work_off(here, "ann", "car") == 49
    assert not here.learn()
    reason = here.told()["reason"]
    assert reason.endswith("; once those drawn before them are checked, 49 more count")
    assert here.loop.due_for_calibration() == []
    assert work_off(here, "bob", "car") == 1
    assert [one.name for one in here.loop.due_for_calibration()] == ["v1"]
    assert here.learn()
    assert here.told()["n"] == 50


def test_what_comes_back_was_not_passed_over_while_it_was_gone(begin: Begin) -> None:
    """A promise holds on when an annotation is deleted, or a word that an item is unfit is taken back."""
    here = begin()
    here.post(60)
    here.clock.forward(1)
    (one,) = here.loop.lease("detection", 1, "ann", "tester")
    word = Unfit(one.item.id, "detection", "damaged", "ann", 1.0, "test", here.clock())
    here.loop.find_unfit(word, one.lease_id, "tester")
    assert work_off(here, "ann", "car") == 59
    assert here.learn()
    here.clock.forward(1)
    here.loop.find_fit(one.item.id, "detection", "tester")
    assert here.learn()
    assert here.told()["n"] == 59


def test_a_kind_does_not_wait_for_what_nobody_can_do_of_another(begin: Begin) -> None:
    here = begin()
    able = {name: Skills(categories=("car",)) for name in ("ann", "bob")}
    cars = Kind("detection", "cars", category="car")
    here.loop.adopt(replace(here.loop.policies.default, annotators=able, kinds=(cars,)), None, "admin")
    here.clock.forward(1)
    for category in ("car", "bus") * 60:
        here.post(1, prediction(0.1, boxes(category)))
    (hard,) = here.loop.lease("detection", 1, "ann", "tester")
    here.loop.release(hard.lease_id, "tester")
    assert work_off(here, "ann", "car") == 59
    assert not here.learn()
    assert work_off(here, "bob", "car") == 1
    assert [one.name for one in here.loop.due_for_calibration()] == ["v1"]
    assert here.learn()
    assert here.loop.due_for_calibration() == []


@pytest.mark.parametrize(
    ("terms_", "held"),
    [
        ({}, False),
        ({"kinds": (Kind("detection", "cars", category="car"),)}, True),  # a promise of its own
        ({"rules": (Rule("detection", category="bus"),)}, True),  # buses are never accepted
    ],
)
def test_what_nobody_can_do_is_waited_for(begin: Begin, terms_: dict[str, Any], held: bool) -> None:
    """Ann is the only one there, and looks at cars alone; every second picture has a bus on it."""
    here = begin()
    able = {"ann": Skills(categories=("car",))}
    here.loop.adopt(replace(here.loop.policies.default, annotators=able, **terms_), None, "admin")
    here.clock.forward(1)
    for category in ("car", "bus") * 60:
        here.post(1, prediction(0.1, boxes(category)))
    assert work_off(here, "ann", "car") == 60
    assert here.learn() == held
