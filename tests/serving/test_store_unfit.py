"""What cannot be labelled leaves the work until it is taken back, on SQLite and on PostgreSQL alike."""

from datetime import datetime
from typing import Any

import pytest

from models.errors import InvalidInput, NotFound, Stale
from serving.store import Store
from serving.store.order import Order
from serving.store.records import Leased, Unfit
from serving.store.waiting import Asking
from tests.serving.work import START, add_version, after, answer, correction, fill, item, item_id


def word(name: object, at: float = 0.0, **other: Any) -> Unfit:
    values = {"reason": "damaged", "annotator": "ann", "seconds": 2.5, "tool": "test", "created_at": after(at)}
    return Unfit(item_id(name), "detection", **(values | other))  # type: ignore[arg-type]


def lease(store: Store, annotator: str = "ann", now: datetime = START) -> Leased:
    by = Asking("detection", annotator, "tester", now, now + (after(60) - START))
    (held,) = store.queue.lease(by, 1, Order("priority"))
    return held


def states(store: Store) -> dict[Any, int]:
    return store.items.counts("detection", START)


def test_an_unfit_item_is_handed_out_to_nobody_and_is_again_what_it_was(store: Store) -> None:
    add_version(store)
    fill(store, 1)
    held = lease(store)
    assert store.workload.handed_out("detection") == 1
    assert not store.unfit.say(word(0), held.lease_id, "tester", after(5))
    assert (states(store), store.workload.handed_out("detection")) == ({"unfit": 1}, 1)
    assert store.unfit.reasons("detection") == {"damaged": 1}
    store.items.save(item(0), answer(0, "v1"), 0.0, None, "tester", after(6))  # a version says the same again
    assert states(store) == {"unfit": 1}
    store.unfit.take_back(item_id(0), "detection", "tester", after(7))
    assert states(store) == {"preannotated": 1}
    assert store.unfit.reasons("detection") == {}
    assert lease(store, now=after(8)).item.id == item_id(0)  # who said so is no one who gave it back
    verbs = [(one.verb, one.detail) for one in store.changes.page(10, None, "", "", None)]
    assert ("unfit", {"task": "detection", "why": "damaged"}) in verbs
    assert ("fit", {"task": "detection"}) in verbs


def test_an_unfit_item_trains_nothing_and_checks_nothing(store: Store) -> None:
    add_version(store)
    fill(store, 2, decision="audit")
    for name in (0, 1):
        store.queue.correct(correction(name, "bus"), None, "tester", after(1))
    store.unfit.say(word(0), None, "tester", after(2))
    assert [one.id for one, _ in store.queue.corrected("detection")] == [item_id(1)]
    assert [one.item_id for one in store.checks.audited("detection", "v1", ["v1"])] == [item_id(1)]
    assert (store.checks.count("detection"), store.unfit.drawn("detection")) == (1, 1)
    store.unfit.take_back(item_id(0), "detection", "tester", after(3))
    assert {one.id for one, _ in store.queue.corrected("detection")} == {item_id(0), item_id(1)}
    assert store.checks.count("detection") == 2


def test_a_check_that_waits_for_a_second_look_waits_again_after_it(store: Store) -> None:
    add_version(store)
    fill(store, 1, decision="audit")
    given = store.queue.correct(correction(0, "bus"), None, "tester", after(1))
    assert store.checks.contest(item_id(0), "detection", given.correction_id, "tester", after(2))
    assert store.checks.unsettled("detection", ["v1"], after(3)) is not None
    store.unfit.say(word(0), None, "tester", after(3))
    assert (states(store), store.checks.count("detection")) == ({"unfit": 1}, 0)
    assert list(store.checks.audited("detection", "v1", ["v1"])) == []
    assert store.checks.unsettled("detection", ["v1"], after(3)) is None  # nothing waits behind it
    store.unfit.take_back(item_id(0), "detection", "tester", after(4))
    assert states(store) == {"contested": 1}
    assert len(list(store.checks.audited("detection", "v1", ["v1"]))) == 1


def test_the_same_word_twice_counts_once_and_comes_not_back_after_it_was_taken_back(store: Store) -> None:
    add_version(store)
    fill(store, 1)
    assert not store.unfit.say(word(0), None, "tester", after(1))
    assert store.unfit.say(word(0, at=9.0), None, "tester", after(9))  # said again while it stands
    store.unfit.take_back(item_id(0), "detection", "tester", after(10))
    assert store.unfit.say(word(0), None, "tester", after(11))  # the first one, late
    assert states(store) == {"preannotated": 1}
    assert store.unfit.seconds("detection") == 2.5
    assert store.unfit.seconds("detection", after(2)) == 0
    assert not store.unfit.say(word(0, at=12.0, reason="other"), None, "tester", after(12))
    assert store.unfit.reasons("detection") == {"other": 1}


def test_a_correction_ends_the_word(store: Store) -> None:
    add_version(store)
    fill(store, 1)
    held = lease(store)
    store.unfit.say(word(0), held.lease_id, "tester", after(1))
    store.queue.correct(correction(0, "bus"), held.lease_id, "tester", after(2))  # the same person thought again
    assert states(store) == {"corrected": 1}
    assert store.unfit.reasons("detection") == {}
    history = store.items.history(item_id(0))
    assert [one["withdrawn_at"] for one in history["unfit"]] == [after(2).isoformat()]
    assert history["leases"][0]["unfit_id"] == history["unfit"][0]["id"]


def test_who_comes_too_late_is_told(store: Store) -> None:
    add_version(store)
    fill(store, 1)
    held = lease(store)
    with pytest.raises(Stale, match="before 2026-01-01 12:01:00 UTC"):
        store.unfit.say(word(0), held.lease_id, "tester", after(61))
    store.unfit.say(word(0, annotator="bob"), None, "tester", after(2))
    with pytest.raises(Stale, match=r"'bob' found item .* unfit at 2026-01-01 12:00:02 UTC"):
        store.queue.correct(correction(0, "bus"), held.lease_id, "tester", after(3))


def test_what_is_asked_wrongly_is_told(store: Store) -> None:
    with pytest.raises(NotFound, match="expected one registered for task detection"):
        store.unfit.say(word(0), None, "tester", START)
    with pytest.raises(NotFound, match="expected one registered for task detection"):
        store.unfit.take_back(item_id(0), "detection", "tester", START)
    with pytest.raises(InvalidInput, match="reason: expected one of damaged, unrecognisable, other-scene, other, got"):
        word(0, reason="no-speech")
    for seconds in (float("nan"), 1e300):
        with pytest.raises(InvalidInput, match="seconds"):
            word(0, seconds=seconds)
    with pytest.raises(InvalidInput, match="created_at"):
        word(0, created_at=START.replace(tzinfo=None))
