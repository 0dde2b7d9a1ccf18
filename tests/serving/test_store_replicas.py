"""Several processes on one PostgreSQL: none waits for another in a circle, and none tells who has just gone."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Connection, select, text
from sqlalchemy.exc import OperationalError

from models.errors import NotFound
from serving.store import Store
from serving.store.outbox import Webhook, tell
from serving.store.records import Answer, Receipt, Withdrawal
from serving.store.tables import item_tasks, outbox, webhooks
from serving.webhooks.signing import new_secret
from tests.serving.postgres import new_schema
from tests.serving.work import START, add_version, after, answer, correction, fill, item, item_id


@pytest.fixture
def store(postgres: str) -> Iterator[Store]:
    opened = Store.open(new_schema(postgres, f"replicas{uuid4().hex}"))
    yield opened
    opened.close()


def waits(store: Store) -> bool:
    """Whether some transaction waits for the row of another."""
    asked = text("SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype IN ('transactionid', 'tuple')")
    with store._database.reading() as connection:
        return bool(connection.execute(asked).scalar())


def meanwhile(pool: ThreadPoolExecutor, store: Store, work: Callable[[], Any]) -> Future[Any]:
    """Begins something, and comes back once it waits for who holds what it needs, or is done."""
    begun, pause = pool.submit(work), threading.Event()
    while not begun.done() and not waits(store):
        pause.wait(0.02)
    return begun


def held(connection: Connection, one: str, *, nowait: bool = False) -> None:
    """Locks the row of an item; with ``nowait`` it raises where somebody else holds it."""
    chosen = select(item_tasks.c.item_id).where(item_tasks.c.item_id == one)
    connection.execute(chosen.with_for_update(nowait=nowait)).one()


def rerouted(store: Store) -> int:
    """Decides anew about all that waits, as a policy that was adopted asks for."""
    batch = next(store.items.open_answers("detection", "v1", 100))
    changes = [(one.preannotation_id, Answer(one.preannotation, answer(0).decision), 0.5) for one in batch]
    return store.items.reroute(changes, "tester", START)


def withdrawn(store: Store) -> int | None:
    """Queues again what was accepted unseen."""
    version = store.versions.get("v1")
    gone = Withdrawal(START, "it was broken")
    return store.versions.calibrate(version, {}, {}, 0.1, 0.1, 0, "tester", after(1), after(1), gone, None)


def test_a_correction_without_a_time_of_its_own_counts_once_at_two_services_at_once(store: Store) -> None:
    add_version(store)
    fill(store, 1)

    def correct(at: float) -> Receipt:
        return store.queue.correct(correction(0, "bus", at=at), None, "tester", after(9), timed=False)

    with ThreadPoolExecutor(2) as pool:
        with store._database.writing() as connection:
            held(connection, item_id(0))
            sent = [meanwhile(pool, store, lambda at=at: correct(at)) for at in (1, 2)]  # type: ignore[misc]
        assert sorted(one.result().repeated for one in sent) == [False, True]


@pytest.mark.parametrize(("decision", "change"), [("review", rerouted), ("accept", withdrawn)])
def test_who_changes_many_items_takes_them_in_the_order_of_their_ids(
    store: Store, decision: str, change: Callable[[Store], int | None]
) -> None:
    add_version(store)
    names = sorted(range(8), key=item_id, reverse=True)  # they come in the other order
    for place, name in enumerate(names):  # and an index has them so too
        said = answer(name, score=1 - place / 10, decision=decision)
        store.items.save(item(name), said, 0.5, None, "tester", START)
    last, *_, first = (item_id(name) for name in names)
    with ThreadPoolExecutor(1) as pool:
        with store._database.writing() as connection:
            held(connection, first)
            changing = meanwhile(pool, store, lambda: change(store))
            assert not changing.done()
            try:
                held(connection, last, nowait=True)
            except OperationalError:
                pytest.fail("it holds the last one and waits for the first: whoever goes by ids waits for ever")
        assert changing.result()


def subscribed(store: Store) -> str:
    url = "http://127.0.0.1:9/"
    store.outbox.add(Webhook("hook", url, ("item.routed",), None, new_secret(), START, "tester"))
    return "hook"


def test_a_webhook_is_removed_while_it_is_being_told(store: Store) -> None:
    hook = subscribed(store)
    with ThreadPoolExecutor(1) as pool:
        with store._database.writing() as connection:
            tell(connection, "item.routed", "detection", {}, START)
            removing = meanwhile(pool, store, lambda: store.outbox.remove(hook, "tester", START))
            assert not removing.done()
        removing.result()
    with store._database.reading() as connection:
        assert connection.execute(select(outbox)).all() == []
    with pytest.raises(NotFound):
        store.outbox.remove(hook, "tester", START)


def test_an_answer_is_kept_while_the_webhook_that_wants_it_is_removed(store: Store) -> None:
    add_version(store)
    hook = subscribed(store)
    with ThreadPoolExecutor(1) as pool:
        with store._database.writing() as connection:
            connection.execute(webhooks.delete().where(webhooks.c.id == hook))
            saving = meanwhile(pool, store, lambda: fill(store, 1))
            assert not saving.done()
        saving.result()
    assert store.items.counts("detection", START) == {"preannotated": 1}
