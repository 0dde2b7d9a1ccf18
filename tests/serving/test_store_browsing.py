"""Lists of items: in the order of the queue, page by page without a gap, and by what is known of items."""

from collections import Counter
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path

import pytest

from models.records import PreAnnotation, Task, Transcript, Uncertainty
from selection.queueing import Deadline
from selection.routing import Decision
from serving.store import Store
from serving.store import browsing as module
from serving.store.browsing import After, Listed, Wanted
from serving.store.changes import Change
from serving.store.order import Order
from serving.store.records import OPEN, Answer, StoredVersion
from serving.store.waiting import Asking
from tests.serving.work import START, add_version, after, answer, correction, fill, item, item_id

NEVER = 0.0


def listed(
    store: Store, wanted: Wanted, limit: int = 4, audit_share: float = NEVER, task: Task = "detection",
    now: datetime = START,
) -> list[Listed]:  # fmt: skip
    """All pages behind one another; none but the last is short."""
    found: list[Listed] = []
    place: After | None = After()
    while place is not None:
        page, place = store.browse.page(task, wanted, now, limit, audit_share, place)
        assert len(page) == limit or place is None
        found += page
    return found


def names(found: list[Listed]) -> list[str]:
    return [one.item.uri for one in found]


def test_the_most_doubtful_come_first_and_no_page_repeats_or_skips(store: Store) -> None:
    add_version(store)
    fill(store, 11)
    assert names(listed(store, Wanted())) == [f"file-{i}.jpg" for i in reversed(range(11))]


def test_items_as_doubtful_as_each_other_come_by_id(store: Store) -> None:
    add_version(store)
    for i in range(9):
        store.items.save(item(i), answer(i, score=0.5), 0.5, None, "tester", START)
    assert [one.item.id for one in listed(store, Wanted(), limit=2)] == sorted(item_id(i) for i in range(9))


def test_audit_items_have_their_share_of_the_places_in_the_order_of_their_draw(store: Store) -> None:
    add_version(store)
    for i in range(8):
        store.items.save(item(i), answer(i, score=i / 8), 0.9, None, "tester", START)
    for i in range(8, 12):  # the surest is drawn first
        store.items.save(item(i), answer(i, score=0.1, decision="audit"), (12 - i) / 100, None, "tester", START)
    found = names(listed(store, Wanted(), audit_share=0.25))
    assert found[:4] == ["file-7.jpg", "file-6.jpg", "file-11.jpg", "file-5.jpg"]
    assert [name for name in found if int(name[5:-4]) >= 8] == [f"file-{i}.jpg" for i in (11, 10, 9, 8)]
    assert sorted(found) == sorted(f"file-{i}.jpg" for i in range(12))
    assert names(listed(store, Wanted(decision="audit"))) == [f"file-{i}.jpg" for i in (11, 10, 9, 8)]


@pytest.mark.parametrize("few", [0, 1000])
def test_items_are_found_by_what_is_known_of_them(store: Store, few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FEW", few)  # both ways to look
    add_version(store)
    for i in range(6):
        one = replace(item(i), group=f"clip {i % 2}")
        decided = answer(i, score=i / 10, decision="annotate" if i > 3 else "review")
        store.items.save(one, decided, 0.9, None, "tester", START)
    assert names(listed(store, Wanted(group="clip 1"))) == ["file-5.jpg", "file-3.jpg", "file-1.jpg"]
    assert names(listed(store, Wanted(decision="annotate"))) == ["file-5.jpg", "file-4.jpg"]
    assert names(listed(store, Wanted(least=0.2, most=0.35))) == ["file-3.jpg", "file-2.jpg"]
    store.queue.correct(correction(2, annotator="ada"), None, "tester", after(1))
    store.queue.correct(correction(4, annotator="bob"), None, "tester", after(2))
    store.queue.correct(correction(4, annotator="ada", at=5), None, "tester", after(6))
    store.queue.correct(correction(2, annotator="bob", at=7), None, "tester", after(8))
    assert names(listed(store, Wanted("corrected", annotator="ada"))) == ["file-4.jpg"]
    assert [one.annotator for one in listed(store, Wanted("corrected"))] == ["ada", "bob"]
    assert listed(store, Wanted("corrected", group="clip 1")) == []
    assert store.browse.groups("detection", 9) == ["clip 0", "clip 1"]
    assert store.browse.groups("detection", 1) == ["clip 0"]
    assert store.browse.groups("lane", 9) == []
    assert store.browse.annotators("detection", 9) == ["ada", "bob"]
    assert store.browse.annotators("lane", 9) == []


def test_items_are_found_by_when_they_are_due(store: Store) -> None:
    add_version(store)
    for i in range(5):
        one = replace(item(i), group="clip" if i > 2 else None)
        store.items.save(one, answer(i, score=i / 10), 0.9, None, "tester", START)
    store.deadlines.tell([(item_id(i), "detection", after(10 * i)) for i in (1, 2, 3)], "tester", START)
    clip = [Deadline("clip", after(25))]
    found, _ = store.browse.page("detection", Wanted(due=True), START, 9, NEVER, After(), clip)
    assert [(one.item.uri, one.due) for one in found] == [
        ("file-4.jpg", after(25)), ("file-3.jpg", after(25)), ("file-2.jpg", after(20)), ("file-1.jpg", after(10))
    ]  # fmt: skip
    found, _ = store.browse.page("detection", Wanted(due=True, due_before=after(20)), START, 9, NEVER, After(), clip)
    assert names(found) == ["file-1.jpg"]
    assert names(listed(store, Wanted(due=True))) == ["file-3.jpg", "file-2.jpg", "file-1.jpg"]


def test_a_lease_that_is_over_holds_nothing_and_what_is_open_is_listed_whole(store: Store) -> None:
    add_version(store)
    fill(store, 5)
    store.items.register([(item("new"), "detection", 0.9)], "tester", START)
    store.queue.correct(correction(0), None, "tester", after(1))
    store.queue.lease(Asking("detection", "ann", "tester", after(2), after(60)), 2, Order("priority"))
    held = listed(store, Wanted("leased"), now=after(59))
    assert [(one.item.uri, one.holder, one.lease_until) for one in held] == [
        ("file-4.jpg", "ann", after(60)), ("file-3.jpg", "ann", after(60))
    ]  # fmt: skip
    for now in (after(59), after(60)):
        counts = store.items.counts("detection", now)
        found = {state: len(listed(store, Wanted(state), now=now)) for state in counts}
        assert found == counts
        every = listed(store, Wanted("open"), limit=2, now=now)
        assert names(every) == [*(f"file-{i}.jpg" for i in (4, 3, 2, 1)), "file-new.jpg"]
        assert Counter(one.state for one in every) == {state: n for state, n in counts.items() if state in OPEN}
    assert {one.holder for one in listed(store, Wanted("open"), now=after(60))} == {None}


@pytest.mark.parametrize("few", [0, 1000])
def test_transcripts_are_searched(store: Store, few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FEW", few)
    version = StoredVersion("hears", "asr", Path("nowhere"), None, item_id("hears"), {}, START, "candidate", None)
    store.versions.add(version, (), "tester", START)
    for i, text in enumerate(("Please call me", "100% sure", "100 men", "你好 世界")):
        said = PreAnnotation(item_id(i), "asr", "hears", Transcript(text), Uncertainty(0.5, 1.0, 0.5))
        store.items.save(item(i), Answer(said, Decision("review", "because")), 0.9, 2.0, "tester", START)
    for asked, found in (("CALL", [0]), ("100%", [1]), ("世界", [3]), ("nowhere", [])):
        assert [one.item for one in listed(store, Wanted(text=asked), task="asr")] == [item(i) for i in found]


def test_failed_items_are_told_newest_first(store: Store) -> None:
    for i in range(5):
        store.items.register([(item(i), "lane", 0.5)], "tester", START)
        store.items.fail(item_id(i), "lane", f"why {i}", "tester", after(i // 2))
    found = store.browse.failed(2)
    while len(page := store.browse.failed(2, (found[-1].at, found[-1].item.id))):
        found += page
    assert {one.item.uri for one in found} == {f"file-{i}.jpg" for i in range(5)}
    assert [one.at for one in found] == [after(2), after(1), after(1), START, START]
    assert found[0].failure == "why 4"


def test_the_log_is_told_newest_first_by_who_what_and_when(store: Store) -> None:
    for i in range(5):
        store.tokens.add(f"token {i}", f"hash {i}", ("correct",), "ada" if i % 2 else "bob", after(86_400 * (i // 2)))
    store.tokens.revoke("token 0", "bob", after(86_400 * 4))
    assert told(store.changes.page(9)) == ["token 0", "token 4", "token 3", "token 2", "token 1", "token 0"]
    first = store.changes.page(2)
    assert told(store.changes.page(9, first[-1].id)) == ["token 3", "token 2", "token 1", "token 0"]
    assert told(store.changes.page(9, actor="ada")) == ["token 3", "token 1"]
    assert told(store.changes.page(9, verb="revoke-token")) == ["token 0"]
    assert told(store.changes.page(9, day=after(86_400).date())) == ["token 3", "token 2"]
    assert store.changes.page(9, day=date.max) == []
    assert len(store.changes.page(9, before=10**30)) == 6
    assert store.changes.actors(9) == ["ada", "bob"]
    assert store.changes.verbs(9) == ["make-token", "revoke-token"]


def told(changes: list[Change]) -> list[str]:
    return [change.subject for change in changes]
