"""A check that contradicts a sure version is looked at again, by somebody else, and only then decides."""

from datetime import datetime
from pathlib import Path

import pytest

from models.records import Item
from selection.checks import SURE, wants_second_look
from serving.loop import Leased, Loop
from serving.media_files import content_id
from serving.store import Store
from serving.store.order import Order
from serving.store.records import OpenCheck, Place
from serving.store.waiting import Asking
from tests.serving.work import (
    START,
    Clock,
    add_version,
    after,
    answer,
    boxes,
    correction,
    item,
    item_id,
    new_loop,
    prediction,
    serve,
)

AUDITS = Order("audit")


def lease(store: Store, annotator: str, now: datetime) -> list[str]:
    by = Asking("detection", annotator, "tester", now, now + (after(60) - START))
    return [one.item.id for one in store.queue.lease(by, 9, AUDITS)]


@pytest.fixture
def contested(store: Store) -> Store:
    """A store with one contested audit item, which ann corrected at 1 s and which is contested since 2 s."""
    add_version(store)
    store.items.save(item("sure"), answer("sure", decision="audit"), 0.5, None, "tester", START)
    receipt = store.queue.correct(correction("sure", "bus"), None, "tester", after(1))
    assert store.checks.contest(item_id("sure"), "detection", receipt.correction_id, "tester", after(2))
    return store


def truths(store: Store) -> list[object]:
    return [one.truth for one in store.checks.audited("detection", "v1", ["v1"])]


class TestStore:
    def test_it_waits_for_somebody_else_first(self, contested: Store) -> None:
        assert contested.items.counts("detection", after(3)) == {"contested": 1}
        assert lease(contested, "ann", after(3)) == []
        assert lease(contested, "bob", after(3)) == [item_id("sure")]

    def test_after_the_length_of_a_lease_whoever_comes_has_it(self, contested: Store) -> None:
        assert lease(contested, "ann", after(61)) == []
        assert lease(contested, "ann", after(62)) == [item_id("sure")]

    def test_until_then_the_first_look_counts(self, contested: Store) -> None:
        assert truths(contested) == [boxes("bus")]
        assert contested.checks.count("detection") == 1
        lease(contested, "bob", after(3))
        assert truths(contested) == [boxes("bus")]
        assert contested.checks.after("detection", "v1", ["v1"], 0) == []

    def test_no_check_after_it_counts_meanwhile(self, contested: Store) -> None:
        """Nor one after what somebody holds: as long as the lease lasts."""

        def unsettled(at: float) -> Place | None:
            return contested.checks.unsettled("detection", ["v1"], after(at))

        first = after(1), 0.5, item_id("sure")  # it came without a lease, when it was corrected
        assert unsettled(3) == first
        lease(contested, "bob", after(3))
        assert unsettled(4) == first
        contested.queue.correct(correction("sure", "car", annotator="bob", at=5), None, "tester", after(5))
        assert unsettled(6) is None
        contested.items.save(item("held"), answer("held", decision="audit"), 0.4, None, "tester", after(6))
        lease(contested, "bob", after(7))
        assert unsettled(8) == (after(7), 0.4, item_id("held"))
        assert unsettled(68) is None
        (one,) = contested.checks.audited("detection", "v1", ["v1"])
        assert one.handed_at == after(1)

    def test_a_check_has_its_place_by_when_it_was_handed_out(self, store: Store) -> None:
        add_version(store)
        store.items.save(item("slow"), answer("slow", decision="audit"), 0.5, None, "tester", START)
        (held,) = store.queue.lease(Asking("detection", "ann", "tester", after(3), after(60)), 9, AUDITS)
        store.queue.correct(correction("slow", "bus", at=50), held.lease_id, "tester", after(50))
        store.queue.correct(correction("slow", "car", annotator="bob", at=55), None, "tester", after(55))
        (one,) = store.checks.audited("detection", "v1", ["v1"])
        assert (one.handed_at, one.checked_at, one.truth) == (after(3), after(55), boxes("car"))

    def test_open_checks_are_those_that_nobody_has_checked(self, contested: Store) -> None:
        for name, draw, decision in (("b", 0.4, "audit"), ("a", 0.3, "audit"), ("r", 0.2, "review")):
            contested.items.save(item(name), answer(name, decision=decision), draw, None, "tester", after(2))
        add_version(contested, "v2", training_ids=(item_id("b"),), serves=False)
        contested.items.save(item("a"), answer("a", "v2", decision="audit"), 0.3, None, "tester", after(3))
        both = [OpenCheck(item_id("a"), 0.3, after(2)), OpenCheck(item_id("b"), 0.4, after(2))]
        assert contested.checks.open("detection", ["v1"]) == both
        assert contested.checks.open("detection", ["v2", "v1"]) == both[:1]  # on the other it was trained
        assert set(lease(contested, "bob", after(4))) == {item_id(name) for name in ("a", "b", "sure")}
        assert contested.checks.open("detection", ["v1"]) == both
        receipt = contested.queue.correct(correction("a", "car", annotator="bob", at=5), None, "tester", after(5))
        assert contested.checks.open("detection", ["v1"]) == both[1:]
        assert [contested.checks.is_open("detection", item_id(name)) for name in ("a", "b", "r", "sure")] == [
            False, True, False, False,
        ]  # fmt: skip
        contested.queue.withdraw(receipt.correction_id, "tester", after(6))
        assert contested.checks.is_open("detection", item_id("a"))

    def test_the_second_look_decides_and_there_is_no_third(self, contested: Store) -> None:
        lease(contested, "bob", after(3))
        receipt = contested.queue.correct(correction("sure", "car", annotator="bob", at=4), None, "tester", after(4))
        assert truths(contested) == [boxes("car")]
        assert len(contested.checks.after("detection", "v1", ["v1"], 0)) == 1
        assert not contested.checks.contest(item_id("sure"), "detection", receipt.correction_id, "tester", after(5))
        assert contested.items.counts("detection", after(5)) == {"corrected": 1}

    def test_a_lease_that_ends_puts_it_back(self, contested: Store) -> None:
        lease(contested, "bob", after(3))
        assert contested.items.counts("detection", after(63)) == {"contested": 1}
        assert lease(contested, "carl", after(63)) == [item_id("sure")]

    def test_another_version_does_not_take_it_out_of_the_work(self, contested: Store) -> None:
        add_version(contested, "v2", serves=False)
        contested.items.save(item("sure"), answer("sure", "v2", decision="accept"), 0.5, None, "tester", after(3))
        assert contested.items.counts("detection", after(3)) == {"contested": 1}

    def test_only_the_correction_that_counts_is_contested(self, store: Store) -> None:
        add_version(store)
        store.items.save(item("a"), answer("a", decision="audit"), 0.5, None, "tester", START)
        store.items.save(item("r"), answer("r", decision="review"), 0.5, None, "tester", START)
        first = store.queue.correct(correction("a", "bus"), None, "tester", after(1))
        store.queue.correct(correction("a", "car", at=2), None, "tester", after(2))
        other = store.queue.correct(correction("r", "bus"), None, "tester", after(2))
        assert not store.checks.contest(item_id("a"), "detection", first.correction_id, "tester", after(3))
        assert not store.checks.contest(item_id("r"), "detection", other.correction_id, "tester", after(3))


class TestLoop:
    @pytest.mark.parametrize(
        ("score", "categories", "by_lease", "state"),
        [
            (SURE / 2, ("bus",), True, "contested"),
            (SURE / 2, ("car",), True, "corrected"),  # it agrees
            (SURE * 2, ("bus",), True, "corrected"),  # the version was not sure
            (SURE / 2, ("bus",), False, "corrected"),  # nobody who takes work from the queue
        ],
    )
    def test_what_contradicts_a_sure_version_is_contested(
        self, tmp_path: Path, score: float, categories: tuple[str, ...], by_lease: bool, state: str
    ) -> None:
        loop, leased = world(tmp_path, score)
        given = correction("", *categories)
        given = type(given)(**{**vars(given), "item_id": leased.item.id, "created_at": after(1)})
        loop.correct(given, leased.lease_id if by_lease else None, "tester")
        assert loop.history(leased.item.id)["tasks"][0]["state"] == state


def world(folder: Path, score: float) -> tuple[Loop, Leased]:
    """A loop with one audit item, which ann holds."""
    clock = Clock()
    loop = new_loop(folder, clock, calibration_share=1.0)
    serve(loop, folder)
    one = Item(content_id(b"1"), "1.jpg")
    loop.record("detection", one, b"1", prediction(score), "v1", None, "poster")
    clock.forward(1)
    (leased,) = loop.lease("detection", 1, "ann", "tester")
    return loop, leased


def test_only_errors_of_a_sure_version_are_worth_it() -> None:
    assert wants_second_look(SURE / 2, True)
    assert not wants_second_look(SURE, True)
    assert not wants_second_look(0.0, False)
