"""A kind whose promise audits break loses it alone: what it takes with it, and how it is earned anew."""

from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selection.calibration import IDENTITY
from selection.kinds import MISSING, REST, Kind
from selection.policy import Policy
from selection.risk import NoPromise, Threshold
from serving.standing import Standing, made_for
from serving.store.records import Calibration
from serving.weighing import KindPromise, Weighed, weigh_checks
from tests.serving.test_audits import EASY, World
from tests.serving.test_kinds import audited, checks_of, scores, terms
from tests.serving.work import after, boxes, prediction

KINDS = (Kind("detection", "cars", category="car"),)
OTHERS = (Kind("detection", "cars", category="car"), Kind("detection", "trams", category="tram"))
HELD = Threshold(0.3, 0.2, 0.1, 60, 50, 0)
CAR, BUS = (prediction(0.1, boxes(name)) for name in ("car", "bus"))


# -- what stands of what was weighed


def weighed(
    number: int,
    kinds: tuple[Kind, ...],
    cars: datetime | None = None,
    of_all: datetime | None = None,
    alpha: float = 0.2,
) -> Calibration:
    """Kept at that second, with the time from which checks of cars count, and that of all."""
    policy = Policy(alpha=alpha, kinds=kinds)
    each = {name: {**asdict(Weighed(HELD)), "checks_from": None} for name in policy.kinds_of("detection")}
    each["cars"]["checks_from"] = cars.isoformat() if cars else None
    promise = {"alpha": alpha, "delta": 0.05, "each": each, **made_for(policy)}
    return Calibration(number, alpha, 0.05, IDENTITY.to_json(), promise, 9, of_all, after(number))


def stands(kept: list[Calibration], kinds: tuple[Kind, ...], **other: Any) -> tuple[Any, ...]:
    found = Standing.of(kept, "detection", Policy(**{"alpha": 0.2, "kinds": kinds, **other}))
    return [one.id for one in found.weighed], found.checks_from, dict(found.kinds_from)


def test_since_when_checks_count_by_hand() -> None:
    kept = [weighed(1, KINDS), weighed(2, KINDS, cars=after(1.5))]
    assert stands(kept, KINDS) == ([1, 2], None, {"cars": after(1.5)})
    assert stands(kept, KINDS, alpha=0.1) == ([], None, {"cars": after(1.5)})  # whatever the terms
    assert stands(kept, OTHERS) == ([], after(1.5), dict.fromkeys(("cars", "trams", REST), after(1.5)))
    assert stands(kept, KINDS, delta=0.1) == ([], None, {"cars": after(1.5)})
    assert stands(kept, ()) == ([], after(1.5), {})  # nobody knows which checks were of cars
    of_parts = dict.fromkeys(("cars", REST, MISSING), after(1.5))
    assert stands(kept, KINDS, promise_of="parts") == ([], after(1.5), of_parts)  # pictures of cars are not their boxes
    kept.append(weighed(3, KINDS, cars=after(2.5)))
    assert stands(kept, KINDS) == ([1, 2, 3], None, {"cars": after(2.5)})
    kept.append(weighed(4, OTHERS, of_all=after(2.5)))
    both = dict.fromkeys(("cars", REST), after(2.5))
    assert stands(kept, KINDS) == ([], after(2.5), both)  # and back again
    elsewhere = (*KINDS, Kind("asr", "digits"))
    assert stands(kept[:3], elsewhere) == ([], None, {"cars": after(2.5)})  # kinds of another task


def test_a_kind_begins_anew_after_its_promise_was_withdrawn() -> None:
    found = Standing.of([weighed(1, KINDS), weighed(2, KINDS, after(1.5)), weighed(3, KINDS, after(1.5))], "detection",
                        Policy(alpha=0.2, kinds=KINDS))  # fmt: skip
    assert (found.began(None), found.began("cars"), found.began(REST)) == (after(1), after(2), after(1))
    made = [one.promise for one in found.made]
    assert all(isinstance(one, KindPromise) and one.of(REST) == HELD for one in made)
    assert [isinstance(one, KindPromise) and one.of("cars") == HELD for one in made] == [False, True, True]


# -- weighing


@given(scores, scores, st.integers(0, 300))
def test_checks_of_before_count_no_longer_for_that_kind_alone(cars: Any, buses: Any, since: int) -> None:
    checks = checks_of("car", cars) + checks_of("bus", buses)
    of = terms([0.2, 0.7], [0.2, 0.7])
    assert of.kinds is not None
    lost = replace(of, kinds=replace(of.kinds, checks_from={"cars": after(since)}))
    later = [one for one in checks if one.answer.label == boxes("bus") or one.checked_at > after(since)]
    found, expected = (weigh_checks(*each, None).promise for each in ((checks, None, lost), (later, None, of)))
    assert isinstance(found, KindPromise)
    assert isinstance(expected, KindPromise)
    assert found.each[REST] == expected.each[REST]
    ours, theirs = found.of("cars"), expected.of("cars")
    if isinstance(theirs, NoPromise):
        assert isinstance(ours, NoPromise)
        assert (ours.missing, ours.reason.split(" UTC ")[1]) == (theirs.missing, theirs.reason)
        assert ours.reason.startswith("withdrawn, as audits found too many errors; since 2026-01-01")
    else:
        assert ours == theirs


def test_what_stood_before_it_was_withdrawn_is_not_gone_on_from() -> None:
    checks, before, now = [audited(i, "car") for i in range(40)], terms([0.3]), terms([0.4])
    assert now.kinds is not None
    lost = replace(now, kinds=replace(now.kinds, checks_from={"cars": after(9)}))
    again = weigh_checks(checks, None, lost, weigh_checks(checks, None, before, None)).promise
    assert isinstance(again, KindPromise)
    assert again.of("cars") == Threshold(0.4, 0.1, 0.1, 30, 30, 0)
    assert (again.each["cars"].checks_from, again.each[REST].checks_from) == (after(9), None)


# -- in the loop


@pytest.fixture
def world(tmp_path: Path) -> Callable[..., World]:
    """A loop with cars and others, of which both have a promise."""

    def make() -> World:
        here = World(tmp_path, **EASY)
        here.loop.adopt(replace(here.loop.policies.default, kinds=KINDS), None, "ada")
        here.check(here.post(60), "car")
        here.check(here.post(60, BUS), "bus")
        assert here.learn()
        assert held(here) == {"cars": True, REST: True}
        return here

    return make


def held(here: World) -> dict[str, bool]:
    return {name: kind["holds"] for name, kind in here.told()["kinds"].items()}


def broken(here: World, said: Any = CAR) -> list[Any]:
    """People find that it is all trams, until a promise is withdrawn."""
    before, found = here.loop.trust("v1"), list[Any]()
    while here.loop.trust("v1") == before and len(found) < 90:
        found += here.post(1, said)
        here.check(found[-1:], "tram")
    return found


def test_the_other_kind_goes_on_and_only_what_rests_on_it_is_queued_again(world: Callable[..., World]) -> None:
    here = world()
    cars, buses = here.post(40), here.post(40, BUS)
    here.check(cars, "car")
    here.check(buses, "bus")
    of_cars, of_buses = ([one for one in each if here.decision(one) == "accept"] for each in (cars, buses))
    assert len(of_cars) > 9
    late = broken(here)
    assert held(here) == {"cars": False, REST: True}
    accepted = [one for one in late if here.decision(one) == "accept"]
    assert accepted == []
    assert {here.state(one) for one in late} <= {"preannotated", "corrected"}
    assert {here.state(one) for one in of_buses} == {"accepted"}
    assert {here.state(one) for one in of_cars[:-3]} == {"accepted"}  # an audit found it right afterwards
    why = here.told()["kinds"]["cars"]["reason"]
    assert 'which proves a rate above alpha 20 %; everything of the kind "cars" accepted since 2026-01-01' in why
    (last,) = here.post(1)
    answer = here.loop.answered(last.id, "detection", "v1")
    assert answer is not None
    assert 'it is of the kind "cars"; p_error' in answer.decision.reason
    assert why in answer.decision.reason
    assert "accept" in {here.decision(one) for one in here.post(10, BUS)}


def test_it_is_earned_anew_from_checks_since_then_and_lost_again(world: Callable[..., World]) -> None:
    here = world()
    for time in range(2):
        rest = here.told()["kinds"][REST]["n"]
        broken(here)
        assert held(here) == {"cars": False, REST: True}
        here.learn()  # the checks of before do not bring it back
        assert held(here) == {"cars": False, REST: True}
        assert "withdrawn, as audits found too many errors; since" in here.told()["kinds"]["cars"]["reason"]
        assert here.told()["kinds"]["cars"]["missing"] > 0
        assert here.told()["kinds"][REST]["n"] == rest
        here.check(here.post(100), "car")
        here.learn()
        assert held(here) == {"cars": True, REST: True}, time
        assert here.told()["kinds"]["cars"]["n"] < 100
        assert "cars" not in here.told()["audits"]


def test_what_is_withdrawn_while_checks_are_weighed_stays_so(
    world: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    here = world()
    calibrations = here.loop._calibrations
    weigh = calibrations.weigh

    def slowly(*of: Any) -> Any:
        found = weigh(*of)
        if held(here)["cars"]:
            broken(here)
        return found

    monkeypatch.setattr(calibrations, "weigh", slowly)
    here.learn()
    assert held(here) == {"cars": False, REST: True}


def test_both_can_be_lost(world: Callable[..., World]) -> None:
    here = world()
    broken(here)
    broken(here, BUS)
    assert here.told()["holds"] is False
    assert here.told()["reason"] == "no kind has a promise of its own"


def test_without_kinds_all_checks_count_from_then_on(world: Callable[..., World]) -> None:
    here = world()
    broken(here)
    here.loop.adopt(here.loop.policies.default, None, "ada")
    here.learn()
    told = here.told()
    assert told["holds"] is False
    assert told["reason"].startswith("withdrawn, as audits found too many errors; since")
