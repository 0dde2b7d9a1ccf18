"""A store that is locked, full, removed or cut off: each client is told, nothing is lost, and it goes on by itself."""

import logging
import os
import shutil
import signal
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import pytest
from sqlalchemy import Connection, text

from serving.errors import StoreAway
from serving.http_errors import error_detail, explained
from serving.server_log import EVERY_S, Sparing, log
from serving.store import Store, database
from serving.store import postgres as connections
from serving.store.database import Database
from tests.serving.postgres import new_schema
from tests.serving.served import Served, eventually, picture
from tests.serving.test_app_guard import code_of
from tests.serving.work import START, item

AWAY = "the store cannot go on; the server's log tells why"


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Another program holds the file of a store and does not let go."""
    with closing(sqlite3.connect(file, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        yield


def register(store: Store, name: str) -> int:
    return store.items.register([(item(name), "detection", 0.5)], "tester", START)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
def store(file: Path) -> Iterator[Store]:
    opened = Store.open(f"sqlite:///{file}")
    yield opened
    opened.close()


def annotate(served: Served, shade: int) -> httpx.Response:
    answer: httpx.Response = served.client.post("/v1/detection/annotate", content=picture(shade))
    return answer


def test_a_request_in_vain_is_told_to_come_again_in_one_line_of_the_log(
    served: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(log, "filters", [Sparing()])
    served.loop.store._database._patience_s = 0.1
    with locked(served.folder / "store.db"), caplog.at_level(logging.WARNING):
        refused = [annotate(served, shade) for shade in range(3)]
        files = [("file", picture(shade)) for shade in range(3)]
        refused.append(served.client.post("/v1/detection/annotate", files=files))
        assert served.client.get("/v1/report").status_code == 200
    for answer in refused:
        assert code_of(answer) == (503, "unavailable")
        assert answer.headers["retry-after"] == "5"
        assert answer.json()["error"]["message"] == AWAY
    told = [(record.getMessage(), record.exc_info) for record in caplog.records]
    assert told == [("the store cannot go on: database is locked", None)]
    assert annotate(served, 0).status_code == 200


def test_callers_do_not_hear_where_the_store_is(caplog: pytest.LogCaptureFixture) -> None:
    away = StoreAway('connection to server at "10.9.8.7", port 5432 failed: FATAL: role "keeper" does not exist')
    with caplog.at_level(logging.WARNING):
        told = [bytes(explained(away).body).decode(), error_detail(away).message]
    assert not [one for one in told for secret in ("10.9.8.7", "keeper", "5432") if secret in one]
    assert all(AWAY in one for one in told)
    assert '"10.9.8.7"' in caplog.records[0].getMessage()


def test_who_waits_for_a_writer_of_the_same_process_does_not_wait_for_ever(store: Store) -> None:
    found = list[BaseException]()

    def write() -> None:
        try:
            register(store, "second")
        except StoreAway as error:
            found.append(error)

    waiting = threading.Thread(target=write, daemon=True)
    with store._database.writing():
        store._database._patience_s = 0.1
        waiting.start()
        waiting.join(20)
        assert found
    assert register(store, "second") == 1


def test_few_wait_for_a_writer_so_that_others_can_read(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "SOON_S", 0.1)
    monkeypatch.setattr(database, "FEW", 2)
    with ThreadPoolExecutor(5) as pool:
        with store._database.writing():
            writing = [pool.submit(register, store, f"{number}") for number in range(5)]
            eventually(lambda: sum(one.done() for one in writing) == 3)
            with pytest.raises(StoreAway, match="database is locked"):  # at once, as two wait already
                pool.submit(register, store, "late").result()
            assert sum(one.done() for one in writing) == 3
        outcomes = sorted(str(one.exception() or one.result()) for one in writing)
    assert outcomes == ["1", "1", *["the store cannot go on: database is locked"] * 3]


def test_after_a_wait_in_vain_the_next_ones_are_short_until_one_writes(store: Store, file: Path) -> None:
    store._database._patience_s = 0.1
    with locked(file), pytest.raises(StoreAway, match="database is locked"):
        register(store, "first")
    assert store._database._patience_s == database.IMPATIENT_S
    register(store, "first")
    assert store._database._patience_s == database.BUSY_S


def test_a_removed_or_replaced_file_takes_nothing_and_gives_nothing(store: Store, file: Path, tmp_path: Path) -> None:
    register(store, "first")
    file.rename(tmp_path / "moved.db")
    with pytest.raises(StoreAway, match=r"store.db that was opened, got none; put it back"):
        register(store, "lost")
    shutil.copy(tmp_path / "moved.db", file)
    with pytest.raises(StoreAway, match="got another one"):
        store.items.item(item("first").id)
    (tmp_path / "moved.db").replace(file)
    assert register(store, "first") == 0
    assert register(store, "second") == 1


def test_a_full_disk_keeps_nothing_and_goes_on_with_room(store: Store, file: Path) -> None:
    with store._database.writing() as connection:
        connection.execute(text("PRAGMA max_page_count = 1"))  # SQLite takes the present size for it
    with pytest.raises(StoreAway, match=f": {file}: database or disk is full$"):
        store.items.register([(item(name), "detection", 0.5) for name in range(5000)], "tester", START)
    with store._database.writing() as connection:
        connection.execute(text("PRAGMA max_page_count = 1000000"))
    assert store.items.register([(item(name), "detection", 0.5) for name in range(5000)], "tester", START) == 5000


def test_media_that_the_disk_does_not_take_are_told_so(served: Served) -> None:
    media = served.folder / "data" / "media"
    assert not media.exists()
    media.parent.mkdir(exist_ok=True)
    media.write_bytes(b"")
    answer = annotate(served, 7)
    assert code_of(answer) == (503, "unavailable")
    assert answer.json()["error"]["message"] == AWAY
    media.unlink()
    assert annotate(served, 7).status_code == 200


def test_without_the_store_nobody_is_let_in_and_the_process_lives(served: Served) -> None:
    file = served.folder / "store.db"
    file.rename(served.folder / "gone.db")
    for path in ("/v1/report", "/readyz", "/", "/metrics"):
        eventually(lambda path=path: served.client.get(path).status_code == 503)  # type: ignore[misc]
    assert served.client.get("/livez").status_code == 200
    (served.folder / "gone.db").rename(file)
    for path in ("/v1/report", "/readyz", "/", "/metrics"):
        assert served.client.get(path).status_code == 200


def test_a_connection_that_is_cut_undoes_its_transaction_and_the_next_one_is_new(postgres: str) -> None:
    opened = Database.open(new_schema(postgres, "cut"))

    def half() -> None:
        with opened.writing() as connection:
            connection.execute(text("CREATE TABLE half (n INT)"))
            pid = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
            with opened.reading() as other:
                other.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
            connection.execute(text("SELECT 1"))

    with pytest.raises(StoreAway, match="terminating connection"):
        half()
    with opened.reading() as connection:
        assert connection.execute(text("SELECT to_regclass('half')")).scalar() is None
    opened.close()


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    """A process that does nothing for a while, as one on a machine that hangs."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def process_of(connection: Connection) -> int:
    return int(connection.execute(text("SELECT pg_backend_pid()")).scalar_one())


def test_a_postgresql_that_says_nothing_is_not_waited_for_for_ever(
    postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "ANSWER_S", 0.5)
    opened = Database.open(new_schema(postgres, "frozen"))

    def ask() -> None:
        with opened.reading() as connection, frozen(process_of(connection)):
            connection.execute(text("SELECT 1"))

    with pytest.raises(StoreAway, match=r"said nothing for 0\.5 s"):
        ask()
    with opened.reading() as connection:
        assert connection.execute(text("SELECT 1")).scalar() == 1
    opened.close()


def test_an_answer_that_comes_bit_by_bit_is_waited_for(postgres: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "ANSWER_S", 1.0)
    opened = Database.open(new_schema(postgres, "slow"))
    with opened.reading() as connection:
        bits = text("SELECT repeat('x', 20000), pg_sleep(0.3) FROM generate_series(1, 5)")
        assert len(connection.execute(bits).all()) == 5
    opened.close()


def test_a_connection_that_gives_no_sign_is_replaced_by_a_new_one(
    postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "SIGN_S", 0.5)
    opened = Database.open(new_schema(postgres, "silent"))
    with opened.reading() as connection:
        old = process_of(connection)
    with frozen(old), opened.reading() as connection:
        assert process_of(connection) != old
    opened.close()


def test_a_postgresql_that_only_reads_is_told_so(postgres: str) -> None:
    opened = Database.open(new_schema(postgres, "reads"))

    def write() -> None:
        with opened.writing() as connection:
            connection.execute(text("SET TRANSACTION READ ONLY"))
            connection.execute(text("CREATE TABLE half (n INT)"))

    with pytest.raises(StoreAway, match="read-only transaction"):
        write()
    opened.close()


def test_a_warning_is_told_once_a_minute_and_an_error_always() -> None:
    now = [0.0]
    sparing = Sparing(lambda: now[0])

    def told(level: int, message: str) -> bool:
        return sparing.filter(logging.LogRecord("x", level, "", 0, message, None, None))

    assert [told(logging.WARNING, "away") for _ in range(3)] == [True, False, False]
    assert told(logging.WARNING, "full")
    assert [told(logging.ERROR, "bug") for _ in range(2)] == [True, True]
    now[0] = EVERY_S
    assert told(logging.WARNING, "away")


def test_who_looks_at_a_page_is_told_on_a_page(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    for error, status, why in ((StoreAway("gone"), 503, AWAY), (RuntimeError("a bug"), 500, "internal error")):

        def fails(*_: object, error: Exception = error) -> None:
            raise error

        with monkeypatch.context() as broken:
            broken.setattr(Database, "reading", fails)
            broken.setattr("serving.auth.FRESH_S", 0)
            page = served.client.get("/queue", headers={"accept": "text/html"})
            program = served.client.get("/v1/queue/detection?annotator=ada", headers={"accept": "application/json"})
        assert (page.status_code, program.status_code) == (status, status)
        assert "<h1>This page cannot be shown</h1>" in page.text
        assert why in page.text.replace("&#39;", "'")
        assert why in program.json()["error"]["message"]
