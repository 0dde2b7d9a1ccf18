"""The store keeps what it was given, on SQLite and on PostgreSQL alike."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta, timezone
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from rich.console import Console

from models.errors import InvalidInput, NotFound, Refused
from models.records import from_json
from serving.demo import demo
from serving.store import Store
from serving.store.database import Database
from serving.store.records import Comparison
from serving.store.tables import metadata
from tests.serving.postgres import new_schema
from tests.serving.processes import children
from tests.serving.work import START, add_version, after, answer, boxes, correction, fill, item, item_id, settings


def test_migrations_make_the_tables_that_the_code_knows(database_url: str) -> None:
    database = Database.open(database_url)
    with database.reading() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    database.close()


def test_two_processes_open_a_new_database_at_once(database_url: str) -> None:
    ready = children.Barrier(2)
    opening = [children.Process(target=_open, args=(database_url, ready)) for _ in range(2)]
    for process in opening:
        process.start()
    for process in opening:
        process.join()
    assert [process.exitcode for process in opening] == [0, 0]


def _open(url: str, ready: object) -> None:
    ready.wait()  # type: ignore[attr-defined]
    store = Store.open(url)
    store.items.register([(item(1), "detection", 0.5)], "tester", START)
    store.close()


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("mysql://somewhere/x", "expected sqlite:///FILE or postgresql"),
        ("sqlite://", "expected sqlite:///FILE or postgresql"),
        ("no url", "got no URL"),
        ("sqlite:///x.db?mode=ro", "a SQLite file without options, got mode"),
    ],
)
def test_an_unusable_url_is_refused(url: str, says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        Store.open(url)


def test_a_database_that_does_not_answer_is_named_without_its_password(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"someone:\*\*\*@127.0.0.1:1/x: expected a database, got"):
        Store.open("postgresql://someone:secret@127.0.0.1:1/x")
    with pytest.raises(NotFound, match=r"1/x\?user=someone: expected a database, got"):
        Store.open("postgresql://127.0.0.1:1/x?user=someone&password=secret")
    with pytest.raises(NotFound, match="expected a database, got"):
        Store.open(f"sqlite:///{tmp_path}")


def test_a_demo_in_a_store_with_items_names_it_without_its_password(postgres: str, tmp_path: Path) -> None:
    url = new_schema(postgres.replace("prelabel@", "prelabel:secret@"), "demo")
    kept = settings(tmp_path, database_url=url)
    Store.open(url).items.register([(item(1), "detection", 0.5)], "tester", START)
    with pytest.raises(InvalidInput, match=r"got items in postgresql.*prelabel:\*\*\*@127.0.0.1"):
        demo(kept, Console())


def test_a_database_of_a_newer_release_is_refused(store: Store, database_url: str) -> None:
    with store._database.writing() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(InvalidInput, match=r"at most revision [0-9]+, got 9999"):
        Store.open(database_url)


def test_the_same_bytes_are_one_item_and_one_task_of_it(store: Store) -> None:
    first = [(item(1), "detection", 0.1), (item(2), "detection", 0.2), (item(1), "lane", 0.1)]
    assert store.items.register(first, "tester", START) == 3  # type: ignore[arg-type]
    assert store.items.register([(item(2), "detection", 0.2), (item(3), "detection", 0.3)], "other", after(1)) == 1
    assert store.items.register([], "tester", START) == 0
    assert store.items.counts("detection", START) == {"registered": 3}
    assert store.items.item(item_id(2)) == item(2)
    with pytest.raises(NotFound, match="'nothing'"):
        store.items.item("nothing")


def test_a_group_named_later_is_kept_and_never_changed(store: Store) -> None:
    store.items.register([(item(1), "detection", 0.1)], "tester", START)
    store.items.register([(item(1, "clip"), "detection", 0.1)], "tester", START)
    store.items.register([(item(1, "other"), "detection", 0.1)], "tester", START)
    assert store.items.item(item_id(1)).group == "clip"


def test_an_answer_comes_back_as_it_was_given(store: Store) -> None:
    add_version(store)
    given = answer(1, score=0.3, label=boxes("car", "bus"))
    assert store.items.answer(item_id(1), "detection", "v1") is None
    assert store.items.save(item(1), given, 0.5, 1.5, "tester", START) == given
    kept = store.items.answer(item_id(1), "detection", "v1")
    assert kept is not None
    assert kept.preannotation.embedding == pytest.approx((0.3, 0.25))
    assert kept.preannotation.label == given.preannotation.label
    assert kept.decision == given.decision


def test_the_first_answer_of_a_version_stays(store: Store) -> None:
    add_version(store)
    store.items.save(item(1), answer(1, score=0.25), 0.5, None, "tester", START)
    again = store.items.save(item(1), answer(1, score=0.75), 0.5, None, "tester", after(1))
    assert again.preannotation.uncertainty.score == 0.25


def test_an_answer_of_an_unknown_version_is_refused(store: Store) -> None:
    with pytest.raises(NotFound, match="expected a version of task detection, got 'v1'"):
        store.items.save(item(1), answer(1), 0.5, None, "tester", START)
    assert store.items.counts("detection", START) == {}


def test_an_accepted_item_is_not_in_the_queue_and_stays_accepted(store: Store) -> None:
    add_version(store)
    store.items.save(item(1), answer(1, decision="accept"), 0.5, None, "tester", START)
    add_version(store, "v2", serves=False)
    store.versions.promote("v2", "v1", Comparison(), "tester", START)
    assert store.items.pending("detection", "v2", 9) == []
    store.items.save(item(1), answer(1, "v2"), 0.5, None, "tester", after(1))
    assert store.items.counts("detection", START) == {"accepted": 1}


def test_pending_are_new_items_then_outdated_ones_the_doubtful_first(store: Store) -> None:
    add_version(store)
    fill(store, 3)
    add_version(store, "v2")
    store.items.register([(item("new"), "detection", 0.9), (item("newer"), "detection", 0.1)], "tester", START)
    expected = [item("newer"), item("new"), item(2), item(1), item(0)]
    assert store.items.pending("detection", "v2", 9) == expected
    assert store.items.pending("detection", "v2", 3) == expected[:3]
    store.items.save(item(2), answer(2, "v2"), 0.5, None, "tester", after(1))  # of a version that does not serve
    assert item(2) in store.items.pending("detection", "v2", 9)


def test_a_late_answer_of_an_older_version_does_not_replace_the_serving_ones(store: Store) -> None:
    add_version(store, "old", serves=False)
    add_version(store, "new")
    store.items.save(item(1), answer(1, "new"), 0.5, None, "tester", START)
    store.items.save(item(1), answer(1, "old"), 0.5, None, "tester", after(1))
    assert store.items.pending("detection", "new", 9) == []


def test_after_a_rollback_the_earlier_answers_count_again(store: Store) -> None:
    add_version(store, "v1")
    (one,) = fill(store, 1)
    add_version(store, "v2", serves=False)
    store.versions.promote("v2", "v1", Comparison(), "tester", START)
    store.items.save(one, answer(0, "v2", 0.9), 0.5, None, "tester", START)
    store.versions.rollback("detection", "tester", START)
    assert store.items.pending("detection", "v1", 9) == [one]
    again = store.items.save(one, answer(0, "v1", 0.7), 0.5, None, "tester", START)
    assert again.preannotation.uncertainty.score == 0.0
    assert store.items.pending("detection", "v1", 9) == []


def test_an_unreadable_medium_leaves_the_work_until_it_is_answered(store: Store) -> None:
    add_version(store)
    store.items.register([(item(1), "detection", 0.1)], "tester", START)
    store.items.fail(item_id(1), "detection", "not an image", "tester", after(1))
    assert store.items.pending("detection", "v1", 9) == []
    assert store.items.history(item_id(1))["tasks"][0]["failure"] == "not an image"
    store.items.save(item(1), answer(1), 0.5, None, "tester", after(2))
    assert store.items.counts("detection", START) == {"preannotated": 1}
    with pytest.raises(NotFound):
        store.items.fail(item_id(2), "detection", "nobody knows it", "tester", START)


def test_rerouting_leaves_leased_and_corrected_items_alone(store: Store) -> None:
    add_version(store)
    fill(store, 4)
    store.queue.correct(correction(0, "car"), None, "tester", START)
    batches = list(store.items.open_answers("detection", "v1", 2))
    waiting = [one for batch in batches for one in batch]
    assert [one.preannotation.item_id for one in waiting] == [item_id(i) for i in (1, 2, 3)]
    store.queue.correct(correction(1, "car"), None, "tester", START)  # after the look, before the change
    changes = [(one.preannotation_id, answer(i, score=0.1, decision="accept"), 0.5) for i, one in enumerate(waiting, 1)]
    assert store.items.reroute(changes, "tester", after(1)) == 2
    assert store.items.counts("detection", START) == {"accepted": 2, "corrected": 2}
    changed = store.items.answer(item_id(2), "detection", "v1")
    assert changed is not None
    assert (changed.preannotation.uncertainty.p_error, changed.decision.decision) == (0.1, "accept")


def test_answers_and_scores_stand_whatever_became_of_the_items(store: Store) -> None:
    add_version(store)
    fill(store, 3)
    store.queue.correct(correction(0, "car"), None, "tester", START)
    answers = [one for batch in store.items.answers("detection", "v1", 2) for one in batch]
    assert [one.preannotation.item_id for one in answers] == [item_id(i) for i in range(3)]
    scores = [one.preannotation.uncertainty.score for one in answers]
    assert sorted(store.items.scores("detection", "v1")) == sorted(scores)
    assert store.items.scores("detection", "v2").tolist() == []


def test_the_history_tells_everything_with_who_did_it(store: Store) -> None:
    add_version(store)
    fill(store, 1)
    zone = timezone(timedelta(hours=8))
    given = correction(0, "bus")
    store.queue.correct(given, None, "token-a", START.astimezone(zone))
    told = store.items.history(item_id(0))
    assert from_json(type(item(0)), told["item"]) == item(0)
    assert told["tasks"][0]["state"] == "corrected"
    assert told["preannotations"][0]["label"]["boxes"][0]["category"] == "car"
    assert told["corrections"][0]["label"]["boxes"][0]["category"] == "bus"
    assert told["corrections"][0]["actor"] == "token-a"
    assert told["corrections"][0]["received_at"] == START.isoformat()
    assert told["leases"] == []
    with pytest.raises(NotFound):
        store.items.history("nothing")


def test_a_version_never_changes_but_may_move(store: Store) -> None:
    known = add_version(store, training_ids=("a", "b"))
    moved = type(known)(**{**vars(known), "folder": Path("/elsewhere")})
    assert store.versions.add(moved, ["a", "b"], "tester", after(1)).folder == Path("/elsewhere")
    other = type(known)(**{**vars(known), "onnx_sha256": "0" * 64})
    with pytest.raises(Refused, match="versions never change"):
        store.versions.add(other, [], "tester", after(1))
    assert store.versions.trained_on(["v1"]) == {"a", "b"}


def test_ancestry_ends_at_the_first_version_that_is_not_known(store: Store) -> None:
    add_version(store, "a", serves=False)
    add_version(store, "b", parent="a", serves=False)
    add_version(store, "c", parent="gone", serves=False)
    assert store.versions.ancestry("b") == (["b", "a"], None)
    assert store.versions.ancestry("c") == (["c"], "gone")


def test_many_threads_write_without_being_told_to_wait(store: Store) -> None:
    add_version(store)

    def work(i: int) -> None:
        store.items.save(item(i), answer(i), 0.5, None, "tester", START)
        store.queue.correct(correction(i, "car"), None, "tester", START)

    with ThreadPoolExecutor(32) as pool:
        list(pool.map(work, range(96)))
    assert store.items.counts("detection", START) == {"corrected": 96}
