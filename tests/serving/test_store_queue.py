"""Nobody gets what somebody else holds, and no correction is lost, on SQLite and on PostgreSQL alike."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import event, true

from models.errors import NotFound, Stale
from selection.queueing import Skills
from serving.store import Store
from serving.store.order import Order, Waiting
from serving.store.records import Comparison, Leased, Spent
from serving.store.tables import corrections, item_tasks
from serving.store.waiting import Asking, Waits
from tests.serving.postgres import new_schema
from tests.serving.processes import children
from tests.serving.work import START, add_version, after, answer, boxes, correction, fill, item, item_id

DOUBT = Order("priority")


def lease(
    store: Store, limit: int, annotator: str = "ann", now: datetime = START, seconds: float = 60, order: Order = DOUBT
) -> list[Leased]:
    until = now + (after(seconds) - START)
    return store.queue.lease(Asking("detection", annotator, "tester", now, until), limit, order)


def ids(leased: Sequence[Leased]) -> list[str]:
    return [one.item.id for one in leased]


def test_the_most_doubtful_come_first_and_nobody_gets_them_twice(store: Store) -> None:
    add_version(store)
    fill(store, 4)
    first, second = lease(store, 3), lease(store, 3, "bob")
    assert ids(first) == [item_id(3), item_id(2), item_id(1)]
    assert ids(second) == [item_id(0)]
    assert lease(store, 3, "carl") == []
    assert first[0].answer.preannotation.uncertainty.score == 0.75
    assert first[0].item == item(3)
    assert first[0].expires_at == after(60)
    assert store.items.counts("detection", START) == {"leased": 4}


def test_the_random_order_follows_the_draw(store: Store) -> None:
    add_version(store)
    fill(store, 3)
    assert ids(lease(store, 3, order=Order("draw"))) == [item_id(i) for i in (0, 1, 2)]


def test_what_is_taken_back_was_never_handed_out(store: Store) -> None:
    add_version(store)
    fill(store, 3)
    held, untold = lease(store, 1), lease(store, 2)
    store.queue.take_back([one.lease_id for one in untold])
    assert store.items.counts("detection", START) == {"leased": 1, "preannotated": 2}
    assert ids(lease(store, 3)) == ids(untold)
    assert store.queue.correct(correction(2), held[0].lease_id, "tester", START).repeated is False


def test_a_lease_ends_after_its_time(store: Store) -> None:
    add_version(store)
    fill(store, 1)
    (held,) = lease(store, 1)
    assert lease(store, 1, "bob", after(59)) == []
    assert store.items.counts("detection", after(60)) == {"preannotated": 1}
    (taken,) = lease(store, 1, "bob", after(60))
    assert taken.lease_id != held.lease_id
    with pytest.raises(Stale, match="expected a correction before 2026-01-01 12:01:00 UTC"):
        store.queue.correct(correction(0, "car"), held.lease_id, "tester", after(61))
    store.queue.correct(correction(0, "car", annotator="bob"), taken.lease_id, "tester", after(61))


def test_what_a_person_gives_back_others_get_at_once_and_they_when_the_lease_would_have_ended(store: Store) -> None:
    add_version(store)
    fill(store, 2)
    (held,) = lease(store, 1)
    store.queue.release(held.lease_id, "tester", after(1))
    store.queue.release(held.lease_id, "tester", after(2))
    assert store.items.counts("detection", after(2)) == {"preannotated": 2}
    assert ids(lease(store, 2, now=after(2))) == [item_id(0)]
    (others,) = lease(store, 2, "bob", after(3))
    assert others.item == held.item
    store.queue.release(held.lease_id, "tester", after(4))
    assert lease(store, 2, "carl", after(4)) == []
    store.queue.release(others.lease_id, "tester", after(5))
    assert lease(store, 2, now=after(59)) == []
    assert held.item.id in ids(lease(store, 2, now=after(60)))
    with pytest.raises(NotFound, match="expected the id of one, got 'none'"):
        store.queue.release("none", "tester", after(60))


def test_a_correction_after_giving_back_is_still_taken(store: Store) -> None:
    add_version(store)
    fill(store, 1)
    (held,) = lease(store, 1)
    store.queue.release(held.lease_id, "tester", after(1))
    store.queue.correct(correction(0, "car"), held.lease_id, "tester", after(2))
    store.queue.release(held.lease_id, "tester", after(3))
    assert store.items.counts("detection", after(3)) == {"corrected": 1}


def test_a_correction_ends_the_item_and_the_newest_counts(store: Store) -> None:
    add_version(store)
    fill(store, 1)
    (held,) = lease(store, 1)
    store.queue.correct(correction(0, "car"), held.lease_id, "tester", after(1))
    revised = store.queue.correct(correction(0, "bus", at=2), held.lease_id, "tester", after(2))
    assert not revised.repeated
    assert [label for _, label in store.queue.corrected("detection")] == [boxes("bus")]
    other = correction(0, "tram", annotator="bob", at=3)
    store.queue.correct(other, None, "tester", after(3))
    assert [label for _, label in store.queue.corrected("detection")] == [boxes("tram")]
    assert len(store.items.history(item_id(0))["corrections"]) == 3
    assert lease(store, 1, now=after(90)) == []


def test_a_correction_that_arrives_late_does_not_replace_a_newer_one(store: Store) -> None:
    add_version(store)
    fill(store, 1)
    store.queue.correct(correction(0, "bus", at=5), None, "tester", after(6))
    store.queue.correct(correction(0, "car", at=1), None, "tester", after(7))
    assert [label for _, label in store.queue.corrected("detection")] == [boxes("bus")]


def test_a_clock_that_runs_ahead_does_not_win_for_ever(store: Store) -> None:
    add_version(store)
    fill(store, 1)
    store.queue.correct(correction(0, "car", at=9999), None, "tester", after(1))
    store.queue.correct(correction(0, "bus", at=2), None, "tester", after(2))
    assert [label for _, label in store.queue.corrected("detection")] == [boxes("bus")]


def test_the_same_correction_counts_once_even_after_its_lease(store: Store) -> None:
    add_version(store)
    fill(store, 1)
    (held,) = lease(store, 1)
    first = store.queue.correct(correction(0, "car"), held.lease_id, "tester", after(1))
    again = store.queue.correct(correction(0, "car"), held.lease_id, "tester", after(99))
    assert again == type(first)(first.item_id, first.correction_id, repeated=True)
    assert len(store.items.history(item_id(0))["corrections"]) == 1


def test_the_same_correction_at_the_same_time_counts_once(store: Store) -> None:
    add_version(store)
    fill(store, 5)
    for i in range(5):
        with ThreadPoolExecutor(8) as pool:
            sent = [pool.submit(store.queue.correct, correction(i, "car"), None, "tester", START) for _ in range(8)]
        assert sorted(one.result().repeated for one in sent) == [False] + 7 * [True]


def test_a_lease_that_another_correction_ended_is_stale(store: Store) -> None:
    add_version(store)
    fill(store, 1)
    (held,) = lease(store, 1)
    store.queue.correct(correction(0, "bus", annotator="bob"), None, "tester", after(1))
    with pytest.raises(Stale, match="'bob' corrected item"):
        store.queue.correct(correction(0, "car"), held.lease_id, "tester", after(2))
    assert [label for _, label in store.queue.corrected("detection")] == [boxes("bus")]


def test_unknown_items_and_leases_are_named(store: Store) -> None:
    add_version(store)
    fill(store, 2)
    with pytest.raises(NotFound, match="registered for task detection"):
        store.queue.correct(correction("nobody", "car"), None, "tester", START)
    (held,) = lease(store, 1)
    for lease_id in ("nonsense", held.lease_id):
        with pytest.raises(NotFound, match="lease"):
            store.queue.correct(correction(0, "car"), lease_id, "tester", START)


def test_audits_go_in_the_order_of_their_draw_whatever_their_score(store: Store) -> None:
    add_version(store)
    for i, (score, drawn) in enumerate([(0.9, 0.15), (0.1, 0.05), (0.5, 0.1)]):
        store.items.save(item(f"audit{i}"), answer(f"audit{i}", "v1", score, "audit"), drawn, None, "tester", START)
    fill(store, 6)
    assert ids(lease(store, 2, order=Order("audit"))) == [item_id("audit1"), item_id("audit2")]
    assert ids(lease(store, 2, order=Order("priority"))) == [item_id(5), item_id(4)]
    assert ids(lease(store, 9, order=Order("priority")))[-2:] == [item_id(0), item_id("audit0")]  # filling what is left
    assert lease(store, 1) == []


def test_a_leased_item_keeps_the_decision_it_was_handed_out_under(store: Store) -> None:
    add_version(store, "old")
    fill(store, 1, "old")
    (held,) = lease(store, 1)
    add_version(store, "v2", serves=False)
    store.versions.promote("v2", "old", Comparison(), "tester", after(1))
    store.items.save(item(0), answer(0, "v2", 0.1, "audit"), 0.0, None, "tester", after(2))
    store.queue.correct(correction(0, "car"), held.lease_id, "tester", after(3))
    assert store.checks.count("detection") == 0


def test_a_strategy_chooses_inside_the_window(store: Store) -> None:
    add_version(store)
    fill(store, 6)

    def choose(waiting: Waiting, budget: int) -> list[int]:
        assert waiting.embeddings.shape == (4, 2)
        assert np.array_equal(waiting.p_error.astype(np.float32), waiting.embeddings[:, 0])
        assert waiting.seconds.tolist() == [3.0] * 4
        assert waiting.known.shape == (0, 2)
        return [int(i) for i in np.argsort(waiting.p_error)[:budget]]

    order = Order("priority", window=4, choose=choose)
    assert ids(lease(store, 2, order=order)) == [item_id(2), item_id(3)]


def test_a_strategy_knows_what_people_have(store: Store) -> None:
    add_version(store)
    fill(store, 8)
    store.queue.correct(correction(0, "car"), None, "tester", after(1))
    lease(store, 1)  # the most doubtful one, number 7
    known: list[list[float]] = []

    def choose(waiting: Waiting, budget: int) -> list[int]:
        known.extend(sorted(waiting.known.tolist()))
        assert sorted(one.id for one in waiting.had) == sorted([item_id(0), item_id(7)])
        assert waiting.items == sorted((item(i) for i in range(3, 7)), key=lambda one: one.id)
        assert waiting.labels == {item_id(i): boxes("car") for i in (0, 3, 4, 5, 6, 7)}
        return list(range(budget))

    lease(store, 1, order=Order("priority", window=4, choose=choose, reads_labels=True))
    assert known == [[0.0, 0.25], [0.875, 0.25]]


def test_a_strategy_sees_embeddings_of_one_width(store: Store) -> None:
    add_version(store)
    fill(store, 3)
    for name in ("wide", "widest"):  # a version's answers that the next one has not replaced yet
        said = answer(name, score=0.9)
        wide = replace(said, preannotation=replace(said.preannotation, embedding=(1.0, 2.0, 3.0)))
        store.items.save(item(name), wide, 0.5, None, "tester", START)
    seen: list[tuple[int, ...]] = []

    def choose(waiting: Waiting, budget: int) -> list[int]:
        seen.append(waiting.embeddings.shape)
        return list(range(budget))

    order = Order("priority", window=9, choose=choose)
    assert ids(lease(store, 4, order=order)) == [
        *sorted(item_id(i) for i in range(3)),
        min(item_id("wide"), item_id("widest")),
    ]
    assert ids(lease(store, 4, order=order)) == [max(item_id("wide"), item_id("widest"))]
    assert seen == [(3, 2), (1, 3)]


def test_a_choice_that_takes_its_time_hides_nothing_from_others(store: Store) -> None:
    add_version(store)
    fill(store, 3)
    choosing = threading.Event()

    def choose(waiting: Waiting, budget: int) -> list[int]:
        choosing.set()
        time.sleep(0.2)
        return [0]

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(lease, store, 1, "ann", order=Order("priority", window=3, choose=choose))
        choosing.wait()
        second = lease(store, 3, "bob")
        assert sorted(ids(first.result()) + ids(second)) == sorted(item_id(i) for i in range(3))


def test_the_queue_is_read_through_its_index(tmp_path: Path) -> None:
    """As SQLite plans it; PostgreSQL scans tables as small as a test's."""
    store = Store.open(f"sqlite:///{tmp_path}/store.db")
    able = Skills(languages=("hsb",))
    for ranking, index in [(item_tasks.c.priority.desc(), "by_priority"), (item_tasks.c.draw, "by_draw")]:
        with store._database.reading() as connection:
            by = Asking("detection", "ann", "tester", START, after(60), able)
            chosen = Waits(connection, by).ranked(False, ranking).limit(10)
            compiled = chosen.compile(connection.engine, compile_kwargs={"literal_binds": True})
            plan = str(connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}").all())
        assert f"ix_item_tasks_{index}" in plan
        assert "TEMP B-TREE" not in plan
    store.close()


def test_checks_are_counted_in_indexes_alone(tmp_path: Path) -> None:
    """As SQLite plans it: the service counts them every second."""
    store, asked = Store.open(f"sqlite:///{tmp_path}/store.db"), list[tuple[str, Any]]()
    event.listen(store._database._engine, "before_cursor_execute", lambda *told: asked.append((told[2], told[3])))
    assert store.checks.count("detection") == 0
    with store._database.reading() as connection:
        counts = [one for one in asked if "count" in one[0]]
        plans = [str(connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", of).all()) for sql, of in counts]
    assert "COVERING INDEX ix_item_tasks_by_priority (task=? AND state=? AND audit=?)" in plans[0]
    assert "ix_item_tasks_contested" in plans[1]
    store.close()


def test_what_grows_with_the_labels_is_read_through_indexes(tmp_path: Path) -> None:
    """As SQLite plans it: planted items are looked for whenever somebody asks for work, checks read by their ids."""
    store, asked = Store.open(f"sqlite:///{tmp_path}/store.db"), list[tuple[str, Any]]()
    event.listen(store._database._engine, "before_cursor_execute", lambda *told: asked.append((told[2], told[3])))
    with store._database.reading() as connection:
        waits = Waits(connection, Asking("detection", "ann", "tester", START, after(60)))
        waits.known(corrections.c.id >= 1, 10, None, ())
    assert list(store.checks.among("detection", "v1", ["v1"], [item_id(0)])) == []
    store.said.changes("detection")
    with store._database.reading() as connection:
        selects = [one for one in asked if one[0].startswith("SELECT")]
        plans = [str(connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", of).all()) for sql, of in selects]
    known, checks, given, _ = plans
    assert "SCAN" not in known + checks
    assert "SEARCH own USING INDEX ix_corrections_item_id_task" in known  # not all that the person gave, once an item
    assert "SEARCH item_tasks USING INDEX sqlite_autoindex_item_tasks_1 (item_id=?" in checks
    assert "COVERING INDEX ix_corrections_task_id" in given
    store.close()


def test_postgresql_looks_for_planted_items_without_reading_all_that_a_person_gave_once_an_item(postgres: str) -> None:
    """As it would a list that does not fit into its memory; who asks for work waits for that, all others with them."""
    store, asked = Store.open(new_schema(postgres, "planting")), list[tuple[str, Any]]()
    event.listen(store._database._engine, "before_cursor_execute", lambda *told: asked.append((told[2], told[3])))
    with store._database.reading() as connection:
        Waits(connection, Asking("detection", "ann", "tester", START, after(60))).known(true(), 10, None, ())
        sql, of = next(one for one in asked if one[0].startswith("SELECT"))
        plan = str(connection.exec_driver_sql(f"EXPLAIN {sql}", of).all())
    assert plan.count("Anti Join") == 2  # what they hold, and what they gave
    store.close()


def test_corrected_items_are_read_by_their_ids_page_by_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that is looked for among all items, behind the last, costs more the more there are."""
    monkeypatch.setattr("serving.store.database.PAGE", 2)
    store, asked = Store.open(f"sqlite:///{tmp_path}/store.db"), list[tuple[str, Any]]()
    add_version(store)
    for one in (filled := fill(store, 5)):
        store.queue.correct(replace(correction("x", "car"), item_id=one.id), None, "tester", START)
    event.listen(store._database._engine, "before_cursor_execute", lambda *told: asked.append((told[2], told[3])))
    reads: list[Callable[[], list[str]]] = [
        lambda: [one.id for one, _ in store.queue.corrected("detection")],
        lambda: [one.item.id for one in store.said.of("detection")],
    ]
    for read in reads:
        asked.clear()
        assert read() == sorted(one.id for one in filled)
        pages = [one for one in asked if "items.uri" in one[0]]
        assert len(pages) == 3
        assert all("items.id IN" in sql for sql, _ in pages)
    store.close()


def test_calibration_sees_audits_alone_and_none_that_was_trained_on(store: Store) -> None:
    add_version(store, "v1", training_ids=(item_id("a1"),))
    add_version(store, "v2", parent="v1", training_ids=(item_id("a2"),), serves=False)
    for name, decision in [("a0", "audit"), ("a1", "audit"), ("a2", "audit"), ("a3", "audit"), ("r", "review")]:
        store.items.save(item(name, "clip"), answer(name, decision=decision), 0.5, None, "tester", START)
    for name in ("a0", "a1", "a2", "r"):
        store.queue.correct(correction(name, "bus"), None, "tester", after(1))
    assert store.checks.count("detection") == 3
    seen = list(store.checks.audited("detection", "v1", ["v1"]))
    assert {one.item_id for one in seen} == {item_id("a0"), item_id("a2")}
    assert {(one.about.group, one.answer.label, one.truth) for one in seen} == {("clip", boxes("car"), boxes("bus"))}
    asked = list(store.checks.unanswered("detection", "v2", ["v2", "v1"]))
    assert asked == [item("a0", "clip")]
    store.items.save(asked[0], answer("a0", "v2"), 0.5, None, "tester", after(2))
    assert [one.item_id for one in store.checks.audited("detection", "v2", ["v2", "v1"])] == [item_id("a0")]
    assert list(store.checks.unanswered("detection", "v2", ["v2", "v1"])) == []


def test_seconds_are_counted_by_version(store: Store) -> None:
    add_version(store)
    fill(store, 2)
    store.queue.correct(correction(0, "car"), None, "tester", START)
    store.queue.correct(correction(1, "car"), None, "tester", START)
    store.queue.correct(replace(correction(1, "bus"), seconds=0.0), None, "tester", after(1))
    assert store.queue.seconds("detection") == [Spent("v1", 3, 2, 8.0, untold=1)]


def test_two_processes_with_many_threads_never_share_an_item(store: Store, database_url: str) -> None:
    add_version(store)
    fill(store, 120)
    taken: Any = children.Queue()
    others = [children.Process(target=_drain, args=(database_url, name, taken)) for name in ("one", "two")]
    for process in others:
        process.start()
    found = [one for _ in others for one in taken.get(timeout=60)]
    for process in others:
        process.join()
    assert len(found) == len(set(found)) == 120


def _drain(url: str, name: str, taken: Any) -> None:
    store = Store.open(url)

    def drain(thread: int) -> list[str]:
        mine: list[str] = []
        while got := ids(lease(store, 3, f"{name}{thread}")):
            mine += got
        return mine

    with ThreadPoolExecutor(8) as pool:
        taken.put([one for mine in pool.map(drain, range(8)) for one in mine])
    store.close()


def test_who_has_so_many_seconds_gets_what_fits_into_them(store: Store) -> None:
    """Audits in the order of their draw until one does not fit, then the others, most doubtful first."""
    add_version(store)
    costs = {"a": 9.0, "b": 20.0, "c": 5.0, "d": 4.0, "long": 8.0, "audit": 6.0, "after": 1.0}
    for number, (name, seconds) in enumerate(costs.items()):
        said = answer(name, score=1 - number / 10, decision="audit" if number > 3 else "review")
        doubt = replace(said.preannotation.uncertainty, seconds=seconds)
        said = replace(said, preannotation=replace(said.preannotation, uncertainty=doubt))
        draw = {"audit": 0.1, "long": 0.2, "after": 0.3}.get(name, 0.5)
        store.items.save(item(name), said, draw, None, "tester", START)
    names = {item_id(name): name for name in costs}

    def fitting(by: str, seconds: float, limit: int = 9) -> list[str]:
        order = Order(by, seconds=seconds)  # type: ignore[arg-type]
        return [names[one] for one in ids(lease(store, limit, order=order))]

    assert fitting("audit", 5.9) == []
    assert fitting("audit", 13) == ["audit"]  # 6 s, and 8 s more do not fit; what comes after must wait for it
    assert fitting("priority", 3.9, 4) == []
    assert fitting("priority", 17) == ["a", "c"]
    assert fitting("priority", 28.5) == ["b", "d"]
    assert fitting("priority", 9) == ["long", "after"]  # where nothing else is left
