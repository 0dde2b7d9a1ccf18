"""Audits of what is accepted unseen: what counts as one, and what happens when they break a promise."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from models.records import Box, Boxes, Correction, Item, Prediction
from selection.audit import Audit, AuditBound
from selection.parts import PartPromise
from selection.policy import Policy
from selection.risk import NoPromise, Threshold
from selection.routing import DRAWN
from selection.rules import About
from serving.audits import Audits, Made, Watch
from serving.loop import Leased
from serving.media_files import content_id
from serving.store.records import Audited
from tests.serving.work import Clock, after, answer, boxes, item_id, new_loop, prediction, serve, version_folder

HELD = Threshold(0.3, 0.1, 0.2, 100, 90, 2)


def audit(number: int, at: float, score: float = 0.1, wrong: bool = False) -> Audited:
    said = answer(number, score=score, label=boxes("car")).preannotation
    truth = boxes("bus" if wrong else "car")
    times = after(at - 1), after(at), after(at), after(at - 1)
    return Audited(item_id(number), About(), 0.01, said, truth, number, *times)


def test_an_audit_is_judged_by_the_promise_that_was_made_before_it() -> None:
    made = [Made(HELD, after(10)), Made(replace(HELD, threshold=0.5), after(20)), Made(NoPromise("none"), after(30))]
    audits = Audits()
    audits.take("detection", made, [
        audit(1, 10),  # the promise was made with it
        replace(audit(7, 9), checked_at=after(12)),  # and with this one, which was corrected anew
        audit(2, 11), audit(3, 12, score=0.4), audit(4, 13, wrong=True),
        audit(5, 21, score=0.4),
        audit(6, 31),
    ])  # fmt: skip
    expected = AuditBound(0.1, 0.2).after(False).after(True).after(False)
    assert audits.watches["items"].bound == expected
    assert audits.last == 7
    audits.take("detection", made, [replace(audit(2, 12, wrong=True), correction_id=8)])  # corrected once more
    assert audits.watches["items"].bound == expected
    assert audits.told() == {"items": {"n": 3, "judged": 3.0, "errors": 1.0, "at_most": expected.upper}}
    assert audits.broken is None


def test_wrong_ones_that_wait_for_a_second_look_do_not_count_in_a_row_afterwards() -> None:
    """Every 20th of 200 audits is wrong, half of what is allowed; all ten are looked at again after the last."""
    all_of_them = [audit(i, 10.0 * i, wrong=i % 20 == 0) for i in range(1, 201)]
    right, wrong = ([one for one in all_of_them if (one.truth == boxes("bus")) == bad] for bad in (False, True))
    settled = [replace(one, checked_at=after(3000 + n), correction_id=300 + n) for n, one in enumerate(wrong)]
    audits, made = Audits(), [Made(HELD, after(0))]
    audits.take("detection", made, right, contested=wrong[0].place)
    assert audits.watches["items"].bound.n == 19
    audits.take("detection", made, settled)
    in_order = AuditBound(HELD.alpha, HELD.delta)
    for one in all_of_them:
        in_order = in_order.after(one in wrong)
    assert audits.watches["items"].bound == in_order
    assert audits.broken is None
    assert audits.last == 309
    as_they_came = Audits()
    as_they_came.take("detection", made, right)
    as_they_came.take("detection", made, settled)
    assert as_they_came.broken is not None


def test_what_is_in_doubt_began_with_the_last_good_audit() -> None:
    audits = Audits()
    good = [audit(i, 10.0 * i) for i in range(1, 6)]
    audits.take("detection", [Made(HELD, after(0))], good + [audit(i, 10.0 * i, wrong=True) for i in range(6, 16)])
    assert audits.broken is not None
    name, watch = audits.broken
    assert (name, watch.in_doubt_since) == ("items", after(49))
    never = Audits()
    never.take("detection", [Made(HELD, after(0))], [audit(i, 10.0 * i, wrong=True) for i in range(1, 11)])
    assert never.broken is not None
    assert never.broken[1].in_doubt_since is None


def test_parts_of_an_audited_item_are_one_audit_of_their_share() -> None:
    said = Boxes(640, 480, tuple(Box((20.0 * i, 5, 20.0 * i + 10, 15), "car", 0.9) for i in range(3)))
    promise = PartPromise(replace(HELD, threshold=0.2), replace(HELD, threshold=0.01), most=4)
    one = audit(1, 5)
    checked = replace(one, answer=replace(one.answer, label=said, features={"expected_missed": 0.0}),
                      truth=boxes("car", "bus", "car", "car"))  # fmt: skip
    audits = Audits()
    audits.take("detection", [Made(promise, after(0))], [checked])
    told = audits.told()
    assert (told["parts"]["judged"], told["parts"]["errors"]) == (0.75, 0.25)
    assert (told["missing"]["judged"], told["missing"]["errors"]) == (1.0, 1.0)


def test_audits_of_one_group_count_as_one() -> None:
    """Of ten of one clip six are wrong: one bet; where the promise is for each item, these are ten."""
    clip = [replace(audit(i, 10.0 * i, wrong=i > 4), about=About("clip")) for i in range(1, 11)]
    alone = [replace(one, about=About()) for one in clip]
    told, broken = list[tuple[float, float]](), list[bool]()
    for policy, audits in ((Policy(), clip), (Policy(groups=False), clip), (Policy(), alone)):
        watched = Audits(policy)
        watched.take("detection", [Made(HELD, after(0))], audits)
        told.append((watched.told()["items"]["errors"], watched.told()["items"]["judged"]))
        broken.append(watched.broken is not None)
    assert told == [(6, 10)] * 3
    assert broken == [False, True, True]


def test_a_group_of_more_audits_than_any_before_makes_room_for_itself() -> None:
    """All audits are weighed anew as if it had been so large from the beginning; what is broken stays so."""
    watch, as_of_four, clip = Watch(HELD), AuditBound(HELD.alpha, HELD.delta, most=4), list[Audit]()
    for number in range(1, 12):
        watch.take(number == 2, 1.0, after(number), "clip" if number % 3 == 0 else None)
        as_of_four = as_of_four.after(number == 2, 1.0, clip if number % 3 == 0 else None)
        clip += [Audit(number, 0.0)] if number % 3 == 0 else []
    assert watch.bound.most == 3
    watch.take(False, 1.0, after(12), "clip")
    assert watch.bound == as_of_four.after(False, 1.0, clip)
    broken = Watch(HELD)
    for number in range(1, 5):
        broken.take(True, 1.0, after(number))
    assert broken.bound.crossed
    for number in range(5, 8):
        broken.take(False, 1.0, after(number), "clip")
    assert (broken.bound.most, broken.bound.crossed) == (3, 2)


# -- in the loop

SURE = prediction(0.1)
EASY = {"alpha": 0.2, "delta": 0.2, "calibration_share": 0.5, "audit_share": 0.3}


class World:
    """A loop whose clock moves with everything that happens; its model is right until it drifts."""

    def __init__(self, folder: Path, **values: Any) -> None:
        self.clock = Clock()
        self.loop = new_loop(folder, self.clock, **values)
        self.store = self.loop.store
        serve(self.loop, folder)
        self.items: list[Item] = []

    def post(self, n: int, said: Prediction = SURE) -> list[Item]:
        posted = []
        for _ in range(n):
            self.clock.forward(1)
            data = str(len(self.items)).encode()
            item = Item(content_id(data), f"{len(self.items)}.jpg")
            self.loop.record("detection", item, data, said, "v1", None, "poster")
            self.items.append(item)
            posted.append(item)
        return posted

    def decision(self, item: Item) -> str:
        found = self.loop.answered(item.id, "detection", "v1")
        assert found is not None
        return found.decision.decision

    def check(self, items: list[Item], *categories: str, decisions: tuple[str, ...] = DRAWN) -> None:
        """People correct those of some decisions, until a promise that held is withdrawn."""
        held = self.loop.trust("v1").holds
        for item in items:
            if self.decision(item) in decisions and self.loop.trust("v1").holds == held:
                self.clock.forward(1)
                given = Correction(item.id, "detection", boxes(*categories), "ann", 4.0, "test", self.clock(), "v1")
                self.loop.correct(given, None, "tester")

    def learn(self) -> bool:
        self.clock.forward(1)
        return self.loop.recalibrate("v1", "tester").holds

    def state(self, item: Item) -> str:
        return str(self.loop.history(item.id)["tasks"][0]["state"])

    def told(self) -> dict[str, Any]:
        return dict(self.loop.report()["tasks"]["detection"]["promise"])


@pytest.fixture
def world(tmp_path: Path) -> Callable[..., World]:
    return lambda **values: World(tmp_path, **{**EASY, **values})


def test_a_promise_that_audits_break_is_withdrawn_and_what_rests_on_it_queued_again(
    world: Callable[..., World],
) -> None:
    here = world()
    here.check(here.post(60), "car")
    assert here.learn()
    early = here.post(60)
    here.check(early, "car")
    told = here.told()
    assert told["audits"]["items"]["errors"] == 0
    assert 0 < told["audits"]["items"]["at_most"] < 0.4
    late = here.post(60)
    accepted = [item for item in late if here.decision(item) == "accept"]
    here.check(late, "bus")  # the world has changed
    told = here.told()
    assert told["holds"] is False
    assert "audited labels were wrong" in told["reason"]
    assert "proves a rate above alpha 20 %; everything accepted since 2026-01-01" in told["reason"]
    assert {here.state(item) for item in accepted} == {"preannotated"}
    assert {here.decision(item) for item in accepted} <= {"calibrate", "review", "annotate"}
    kept = [item for item in early[:40] if here.decision(item) == "accept"]
    assert kept
    assert {here.state(item) for item in kept} == {"accepted"}
    found = here.loop.answered(accepted[0].id, "detection", "v1")
    assert found is not None
    assert "nothing is accepted unseen yet: withdrawn at 2026-01-01" in found.decision.reason


def test_audits_watch_over_what_a_version_accepted_that_was_replaced_since(
    world: Callable[..., World], tmp_path: Path
) -> None:
    here = world()
    here.check(here.post(60), "car")
    assert here.learn()
    late = here.post(60)
    accepted = [item for item in late if here.decision(item) == "accept"]
    here.loop.versions.add(version_folder(tmp_path / "versions", "v2", parent="v1"), "tester")
    here.loop.versions.promote("v2", "tester", force=True)
    assert {here.state(item) for item in accepted} == {"accepted"}
    here.check(late, "bus")
    assert "audited labels were wrong" in here.loop.told("v1")["reason"]
    assert {here.state(item) for item in accepted} == {"preannotated"}
    assert set(accepted) <= set(here.loop.pending("detection", 500))


def test_the_next_promise_rests_on_checks_from_then_on(world: Callable[..., World]) -> None:
    here = world()
    here.check(here.post(200), "car")
    assert here.learn()
    here.check(here.post(100), "bus")
    assert here.told()["holds"] is False
    assert not here.learn()  # two hundred good checks of before do not bring it back
    assert here.told()["missing"] > 0
    here.check(here.post(200), "car")  # the model is right again
    assert here.learn()
    assert here.told()["n"] < 200
    assert here.told()["audits"] == {}


def adopt(here: World, share: float) -> None:
    here.clock.forward(1)
    here.loop.adopt(replace(here.loop.policies.default, calibration_share=share), None, "ada")
    here.learn()


def counted(here: World, items: list[Item]) -> list[bool]:
    """Of each item, whether its check is more evidence than there was."""
    found = []
    for item in items:
        before = here.loop.trust("v1").calibrator.n
        here.check([item], "car")
        here.learn()
        found.append(here.loop.trust("v1").calibrator.n > before)
    return found


def test_what_a_share_that_is_raised_late_adds_is_no_evidence(world: Callable[..., World]) -> None:
    here = world(alpha=0.001, calibration_share=0.5)  # no promise holds, so that share is drawn
    first = here.post(100)
    here.check(first[:80], "car", decisions=(*DRAWN, "review"))  # people have taken something of what was not drawn
    here.learn()
    early = first[80:]
    drawn = [here.decision(item) == "calibrate" for item in early]
    adopt(here, 1.0)
    assert {here.decision(item) for item in early} == {"calibrate"}  # people are handed them nevertheless
    late = here.post(20)
    assert counted(here, early[:10]) == drawn[:10]
    assert counted(here, late[:10]) == [True] * 10
    adopt(here, 0.5)
    lowered = [here.decision(item) == "calibrate" for item in late[10:]]
    adopt(here, 1.0)
    assert counted(here, early[10:]) == drawn[10:]
    assert counted(here, late[10:]) == lowered  # raised again, after some could be passed over
    assert counted(here, here.post(5)) == [True] * 5
    assert [set(which) for which in (drawn[:10], drawn[10:], lowered)] == [{False, True}] * 3


@pytest.mark.parametrize("held", [False, True])
def test_what_a_share_adds_before_anybody_had_something_is_evidence(world: Callable[..., World], held: bool) -> None:
    here = world(alpha=0.001, calibration_share=0.5)
    items = here.post(120)
    taken = {one.item.id for one in here.loop.lease("detection", 1, "eve", "tester")} if held else set()
    rest = [item for item in items if item.id not in taken]
    drawn = [item for item in rest if here.decision(item) == "calibrate"]
    adopt(here, 1.0)
    here.check(rest, "car")
    here.learn()
    assert here.loop.trust("v1").calibrator.n == len(drawn if held else rest) > 30


def test_a_withdrawal_is_known_to_every_process(world: Callable[..., World], tmp_path: Path) -> None:
    here = world()
    here.check(here.post(60), "car")
    assert here.learn()
    here.check(here.post(100), "bus")
    other = new_loop(tmp_path, here.clock, **EASY)
    assert not other.trust("v1").holds
    assert other.report()["tasks"]["detection"]["promise"]["reason"] == here.told()["reason"]


def test_audits_are_of_the_terms_in_force_whatever_was_in_force_before(
    world: Callable[..., World], tmp_path: Path
) -> None:
    """Judged by the bound of a stricter alpha, a rate that another allows would withdraw its promise."""
    here = world(alpha=0.15, delta=0.1)
    here.check(here.post(200), "car")
    assert here.learn()
    here.check(here.post(30), "car")
    assert here.told()["audits"]["items"]["n"] > 0
    adopted = replace(here.loop.policies.default, alpha=0.4)
    here.loop.adopt(adopted, None, "ada")
    assert here.learn()
    assert here.told()["audits"] == {}
    for number in range(150):  # every third is wrong
        here.check(here.post(1), "car" if number % 3 else "bus")
    assert here.told()["holds"]
    other = new_loop(tmp_path, here.clock, **EASY)
    assert other.report()["tasks"]["detection"]["promise"] == here.told()


def test_terms_of_before_are_weighed_anew_after_a_promise_on_others_was_withdrawn(world: Callable[..., World]) -> None:
    here = world()
    loose, strict = (replace(here.loop.policies.default, alpha=alpha) for alpha in (0.2, 0.15))
    here.loop.adopt(loose, None, "ada")
    here.check(here.post(100), "car")
    assert here.learn()
    here.loop.adopt(strict, None, "ada")
    assert here.learn()
    here.check(here.post(100), "bus")
    assert not here.told()["holds"]
    here.loop.adopt(loose, None, "ada")
    assert not here.loop.trust("v1").holds  # its promise rests on checks from before
    assert [version.name for version in here.loop.due_for_calibration()] == ["v1"]
    assert not here.learn()


def test_what_waits_is_decided_by_terms_of_before_again(world: Callable[..., World]) -> None:
    here = world()
    first, second = (replace(here.loop.policies.default, alpha=alpha) for alpha in (0.2, 0.15))
    waiting = here.post(1)[0]
    for policy in (first, second, first):
        here.loop.adopt(policy, None, "ada")
        assert [version.name for version in here.loop.due_for_calibration()] == ["v1"]
        here.learn()
        found = here.loop.answered(waiting.id, "detection", "v1")
        assert found is not None
        assert found.decision.policy == policy.version
        assert here.loop.due_for_calibration() == []


def withdrawals(here: World) -> int:
    return len(here.store.changes.page(9, verb="withdraw"))


def test_a_promise_that_two_requests_find_broken_at_once_is_withdrawn_once(
    world: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    here = world()
    here.check(here.post(60), "car")
    assert here.learn()
    calibrations = here.loop._calibrations
    audited = calibrations._audited

    def meanwhile(*of: Any) -> Audits:
        found = audited(*of)
        if found.broken:
            monkeypatch.setattr(calibrations, "_audited", audited)
            calibrations.watch("detection", "another")
        return found

    monkeypatch.setattr(calibrations, "_audited", meanwhile)
    here.check(here.post(100), "bus")
    assert not here.told()["holds"]
    assert withdrawals(here) == 1


def test_what_is_withdrawn_just_before_what_was_weighed_is_kept_stays_so(
    world: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    here = world()
    here.check(here.post(100), "car")
    assert here.learn()
    calibrations = here.loop._calibrations
    keep = calibrations._keep

    def meanwhile(*of: Any) -> Any:
        if here.loop.trust("v1").holds:
            monkeypatch.setattr(calibrations, "_keep", keep)
            here.check(here.post(100), "bus")
            assert not here.told()["holds"]
        return keep(*of)

    monkeypatch.setattr(calibrations, "_keep", meanwhile)
    assert not here.learn()
    assert not here.told()["holds"]
    assert withdrawals(here) == 1


def test_nothing_is_accepted_by_a_promise_that_is_withdrawn_while_the_queue_is_decided_anew(
    world: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    here = world()
    here.check(here.post(100), "car")
    waiting = here.post(20)
    calibrations = here.loop._calibrations
    decided = calibrations._decided

    def slowly(*of: Any) -> Any:
        for batch in decided(*of):
            if here.loop.trust("v1").holds:
                monkeypatch.setattr(calibrations, "_decided", decided)
                here.check(here.post(100), "bus")
                assert not here.told()["holds"]
            yield batch

    monkeypatch.setattr(calibrations, "_decided", slowly)
    here.learn()
    assert "accepted" not in {here.state(item) for item in waiting}


def test_checks_behind_one_that_somebody_holds_are_not_weighed_again_and_again(world: Callable[..., World]) -> None:
    here = world(calibration_share=1.0)
    first, *others = here.post(60)
    here.clock.forward(1)
    held = here.loop.lease("detection", 1, "ann", "tester")[0]
    here.check([one for one in (first, *others) if one.id != held.item.id], "car")
    assert [version.name for version in here.loop.due_for_calibration()] == ["v1"]
    here.learn()
    assert here.loop.due_for_calibration() == []
    here.loop.correct(correction_of(held.item, here), held.lease_id, "tester")
    assert [version.name for version in here.loop.due_for_calibration()] == ["v1"]
    here.learn()
    assert here.loop.due_for_calibration() == []


def correction_of(item: Item, here: World) -> Correction:
    return Correction(item.id, "detection", boxes("car"), "ann", 4.0, "test", here.clock(), "v1")


def promised_in_parts(world: Callable[..., World]) -> tuple[World, Prediction]:
    """A world that promised the first of two boxes, and what the version says there."""
    here = world(promise_of="parts", gold_share=0.0)
    label = Boxes(640, 480, (Box((0, 5, 10, 15), "car", 0.95), Box((20, 5, 30, 15), "car", 0.4)))
    said = replace(prediction(0.62, label), features={"expected_missed": 0.0})
    here.check(here.post(300, said), "car", "bus")
    assert here.learn()
    return here, said


def test_audits_watch_what_is_missing_where_no_part_has_a_promise(world: Callable[..., World]) -> None:
    here = world(promise_of="parts", gold_share=0.0)
    doubtful, empty = (
        replace(prediction(0.6, Boxes(640, 480, drawn)), features={"expected_missed": 0.0})
        for drawn in ((Box((0, 5, 10, 15), "car", 0.4),), ())
    )
    here.check(here.post(300, doubtful), "bus")
    here.learn()
    assert here.told()["holds"] is False  # of parts
    late = here.post(60, empty)
    unseen = [item for item in late if here.decision(item) == "accept"]
    assert unseen
    here.check(late, "car")
    assert "audited items lacked something" in here.told()["reason"]
    assert {here.state(item) for item in unseen} == {"preannotated"}


def test_audits_wait_for_a_second_look_ahead_of_them_for_a_day(world: Callable[..., World]) -> None:
    here = world(audit_share=0.5)
    here.check(here.post(60), "car")
    assert here.learn()
    sure = here.post(20, prediction(0.01))
    here.clock.forward(1)
    first, second, third = here.loop.lease("detection", 3, "ann", "tester", "random")
    assert {here.decision(one.item) for one in (first, second, third)} == {"audit"}

    def given(leased: Leased, category: str, annotator: str) -> None:
        here.clock.forward(1)
        label = Correction(leased.item.id, "detection", boxes(category), annotator, 4.0, "test", here.clock(), "v1")
        here.loop.correct(label, leased.lease_id, "tester")

    def known() -> int:
        return int(here.told()["audits"].get("items", {}).get("n", 0))

    given(second, "bus", "ann")
    given(third, "car", "ann")
    given(first, "car", "ann")
    assert {first.item, second.item, third.item} <= set(sure)
    assert known() == 1  # the first; the second waits for bob, and the third for the second
    here.clock.forward(24 * 3600)
    assert known() == 2
    (again,) = here.loop.lease("detection", 1, "bob", "tester", "random")
    given(again, "bus", "bob")
    assert here.told()["audits"]["items"]["errors"] == 1
    assert known() == 3


def test_what_people_saw_in_parts_is_queued_again_too(world: Callable[..., World]) -> None:
    here, said = promised_in_parts(world)
    late = here.post(80, said)
    here.check(late, "car", "bus", decisions=("review",))  # people see the second box alone
    partly = [item for item in late if here.state(item) == "corrected"]
    assert partly
    here.check(late, "truck", "bus")
    assert "audited parts were wrong" in here.told()["reason"]
    assert {here.state(item) for item in partly} == {"preannotated"}
    shown = here.loop.answered(partly[0].id, "detection", "v1")
    assert shown is not None
    assert shown.decision.parts is None


def test_what_somebody_holds_in_parts_is_queued_again_when_they_are_done(world: Callable[..., World]) -> None:
    here, said = promised_in_parts(world)
    late = here.post(80, said)
    held = [one for one in here.loop.lease("detection", 40, "eve", "tester") if one.answer.decision.parts is not None]
    assert len(held) > 1
    here.check([item for item in late if here.state(item) != "leased"], "truck", "bus")
    assert "audited parts were wrong" in here.told()["reason"]
    assert {here.state(one.item) for one in held} == {"leased"}
    first = held[0]
    given = Correction(first.item.id, "detection", boxes("car", "bus"), "eve", 4.0, "test", here.clock(), "v1")
    here.loop.correct(given, first.lease_id, "tester")
    assert here.state(first.item) == "preannotated"
    here.clock.forward(3600)  # nobody finishes the others
    again = {one.item.id: one for one in here.loop.lease("detection", 200, "bob", "tester")}
    assert {one.item.id for one in held} <= set(again)
    assert {again[one.item.id].answer.decision.parts for one in held} == {None}
    here.loop.correct(replace(given, annotator="bob"), again[first.item.id].lease_id, "tester")
    assert here.state(first.item) == "corrected"
