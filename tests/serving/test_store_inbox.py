"""What tools told is kept on SQLite and on PostgreSQL alike, each tool's by itself, until it was worked on."""

from pathlib import Path

from alembic import command
from alembic.config import Config

from serving import migrations
from serving.inbox import later
from serving.store import Store
from serving.store.database import Database
from tests.serving.work import START, after

BEFORE = "0008"  # the last revision without an inbox


def test_events_wait_until_they_are_done_and_come_back_when_they_are_due(store: Store) -> None:
    for number in range(3):
        store.inbox.receive("one", "asr", {"number": number}, START)
    store.inbox.receive("other", None, {"number": 9}, START)
    first, second, third = store.inbox.due("one", START, 10)
    assert [event.body for event in (first, second, third)] == [{"number": 0}, {"number": 1}, {"number": 2}]
    store.inbox.done(first)
    store.inbox.put_off(second, "nobody answers", later(START, second.attempts))
    store.inbox.bury(third, "nonsense")
    assert store.inbox.due("one", after(1), 10) == []
    assert [event.attempts for event in store.inbox.due("one", after(2), 10)] == [1]
    assert (store.inbox.counts("one"), store.inbox.counts("other")) == ((1, 1), (1, 0))
    assert (store.inbox.failures("one"), store.inbox.failures("other")) == (["nonsense"], [])
    assert [(event.task, event.body) for event in store.inbox.due("other", START, 10)] == [(None, {"number": 9})]
    assert later(START, 30) == after(600)


def test_events_of_a_store_from_before_the_inbox_move_into_it(database_url: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    database = Database(database_url)
    with database.writing() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, BEFORE)
        for number, dead in ((1, "false"), (2, "true")):
            connection.exec_driver_sql(
                "INSERT INTO studio_events (task, body, received_at, due_at, attempts, failure, dead) VALUES ('asr', "
                f"""'{{"number": {number}}}', '2026-01-01', '2026-01-01', 0, 'nonsense', {dead})"""
            )
    database.close()
    store = Store.open(database_url)
    (event,) = store.inbox.due("label-studio", START, 10)
    assert (event.task, event.body) == ("asr", {"number": 1})
    assert store.inbox.counts("label-studio") == (1, 1)
    store.close()
