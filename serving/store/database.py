"""One database behind the store: SQLite by default, PostgreSQL by URL.

SQLite runs in WAL mode; whoever writes says so first (``BEGIN IMMEDIATE``) and waits for the writer before, so nobody
is told that the database is locked unless another program holds it for a minute. A killed process loses nothing that
was committed.
"""

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Column, ColumnElement, Connection, Engine, Row, Select, create_engine, event, func, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, DataError, InternalError, OperationalError, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.schema import Table

from models.errors import InvalidInput, NotFound
from models.records import Seconds
from serving import migrations
from serving.errors import StoreAway
from serving.store import postgres
from serving.store.columns import strict_json
from serving.store.tables import events

BUSY_S = 60.0  # the longest wait for another writer
SOON_S = 2.0  # in which all of this process have written usually; who waits longer is one of few
FEW = 24  # threads, of the 40 that answer requests: the others are for those who read
IMPATIENT_S = 1.0  # the same once somebody waited so long in vain, until the next one writes
PAGE = 500  # rows that are read at once, ids in a statement
_WRITE = "BEGIN IMMEDIATE"
_TOO_LONG = "54000"  # PostgreSQL's code for what passes its limits, such as the size of a row in an index
_OURS = 0x70726C61  # the first half of the key of every PostgreSQL advisory lock
_migrating = threading.Lock()  # alembic keeps the running migration in globals


class Database:
    """An engine with two kinds of transaction, ``reading`` and ``writing``. Safe to share between threads."""

    def __init__(self, url: str) -> None:
        parsed = parse_url(url)
        self.is_sqlite = parsed.get_backend_name() == "sqlite"
        self._patience_s = BUSY_S
        self._engine = _sqlite_engine(parsed, lambda: self._patience_s) if self.is_sqlite else postgres.engine(parsed)
        self._writer = self._engine.execution_options(begin=_WRITE)
        snapshot = {} if self.is_sqlite else {"isolation_level": "REPEATABLE READ"}  # SQLite shows one state anyway
        self._reader = self._engine.execution_options(**snapshot)
        self._trial = threading.local()
        self._one_writer = threading.Lock()
        self._waiting_long = 0
        self._counting = threading.Lock()
        self._file = Path(parsed.database or "") if self.is_sqlite else None
        self._opened: os.stat_result | None = None

    @classmethod
    def open(cls, url: str) -> "Database":
        """The database at ``url``, with the newest tables; several processes may open a new one at once.

        Raises:
            InvalidInput: the URL names no SQLite file and no PostgreSQL, the database keeps texts in another encoding
                than UTF-8, or a newer prelabel wrote it.
            NotFound: nothing answers there, or a file that is no database or a broken one.
        """
        try:
            database = cls(url)
            with database._going_on():
                if database.is_sqlite:
                    database._enter_wal()
                else:
                    database._require_unicode()
                database._migrate()
            database._opened = _stat(database._file)
        except (StoreAway, OSError) as error:
            got = str(error) if isinstance(error, OSError) else error.why
            raise NotFound(f"{shown(parse_url(url))}: expected a database, got {got}") from error
        return database

    def close(self) -> None:
        """Closes every connection."""
        self._engine.dispose()

    @contextlib.contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that sees one state of the store and changes nothing.

        Raises:
            StoreAway: the database cannot go on; so do ``writing`` and ``trying``.
            InvalidInput: it takes no such value; so do they.
        """
        with self._going_on(), self._reader.connect() as connection:
            yield connection

    @contextlib.contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that is kept when the block ends and undone when it raises."""
        joined: Connection | None = getattr(self._trial, "connection", None)
        if joined is not None:
            yield joined
            return
        with self._going_on(), self._turn(), self._writer.begin() as connection:
            self._patience_s = BUSY_S
            yield connection

    @contextlib.contextmanager
    def trying(self) -> Iterator[None]:
        """What this thread writes within the block follows from what it wrote before, and is undone in the end."""
        with self._going_on(), self._turn(), self._writer.connect() as connection:
            self._trial.connection = connection
            try:
                yield
            finally:
                self._trial.connection = None
                connection.rollback()

    def rows(self, chosen: Select[Any]) -> Sequence[Any]:
        """All rows of one query, read in a transaction of its own; so are those below.

        Raises:
            StoreAway, InvalidInput: as ``reading``; so do those below.
        """
        with self.reading() as connection:
            return connection.execute(chosen).all()

    def row(self, chosen: Select[Any], values: Mapping[str, Any] | None = None) -> Row[Any] | None:
        """The one row of a query that is given these ``values``, if it has any."""
        with self.reading() as connection:
            return connection.execute(chosen, values).one_or_none()

    def column(self, chosen: Select[Any]) -> Sequence[Any]:
        """The first column of a query."""
        with self.reading() as connection:
            return connection.execute(chosen).scalars().all()

    def value(self, chosen: Select[Any]) -> Any:
        """The first value in the first row of a query, None where it has no rows."""
        with self.reading() as connection:
            return connection.execute(chosen).scalar()

    def pages(self, chosen: Select[Any], key: ColumnElement[str]) -> Iterator[Row[Any]]:
        """The rows in the order of ``key``, of which each has one, read in pages, so that no transaction stays open
        meanwhile. The keys come first: a page that begins behind the last key may cost as much as all rows."""
        keys = sorted(self.column(chosen.with_only_columns(key, maintain_column_froms=True)))
        for page in in_pages(keys):
            yield from self.rows(chosen.where(key.in_(page)).order_by(key))

    def insert(self, table: Table) -> "sqlite.Insert | postgresql.Insert":
        """An INSERT that can say ON CONFLICT."""
        return sqlite.insert(table) if self.is_sqlite else postgresql.insert(table)

    def lock(self, connection: Connection, what: str) -> None:
        """One transaction at a time goes past this line, by name; SQLite has one writer anyway."""
        if not self.is_sqlite:
            connection.execute(
                text("SELECT pg_advisory_xact_lock(:ours, hashtext(:what))"), {"ours": _OURS, "what": what}
            )

    @contextlib.contextmanager
    def _going_on(self) -> Iterator[None]:
        """Says in our words what the database cannot do."""
        try:
            self._require_its_file()
            yield
        except PoolTimeout as error:
            raise StoreAway("every connection is busy") from error
        except DatabaseError as error:
            if is_of_value(error):
                raise InvalidInput(f"expected a value that the store takes, got none such: {_line(error)}") from error
            said = fault(error)
            if said is None:
                raise
            if "locked" in said:
                self._patience_s = IMPATIENT_S
            raise StoreAway(f"{self._file}: {said}" if self._file and "disk" in said else said) from error
        except StatementError as error:  # what was raised while it was made
            raise (error.orig if isinstance(error.orig, InvalidInput) else error) from None

    def _require_its_file(self) -> None:
        """SQLite would go on in a file that was removed or replaced, and all of that would be lost."""
        found = _stat(self._file)
        if self._opened is not None and not (found and os.path.samestat(found, self._opened)):
            got = "another one" if found else "none"
            raise StoreAway(f"expected the file {self._file} that was opened, got {got}; put it back, or start anew")

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        """One thread after the other writes to SQLite, which has one writer anyway. Only a few wait for long: those who
        read need threads, too."""
        if not self.is_sqlite:
            yield
        elif not self._comes_to_write():
            raise StoreAway("database is locked")
        else:
            try:
                yield
            finally:
                self._one_writer.release()

    def _comes_to_write(self) -> bool:
        is_crowded = self._waiting_long >= FEW
        if self._one_writer.acquire(timeout=0 if is_crowded else min(SOON_S, self._patience_s)):
            return True
        with self._counting:
            if self._waiting_long >= FEW:
                return False
            self._waiting_long += 1
        try:
            return self._one_writer.acquire(timeout=self._patience_s)
        finally:
            with self._counting:
                self._waiting_long -= 1

    def _require_unicode(self) -> None:
        with self.reading() as connection:
            encoding = connection.execute(text("SHOW server_encoding")).scalar_one()
        if encoding != "UTF8":
            raise InvalidInput(f"database: expected one in UTF8, got {encoding}; make one: "
                               "createdb --encoding=UTF8 --template=template0 NAME")  # fmt: skip

    def _enter_wal(self) -> None:
        """Switches a new file to WAL, which lasts; SQLite does not wait by itself when two processes do so at once."""
        outside = self._engine.execution_options(begin=None)
        deadline = time.monotonic() + BUSY_S
        while True:
            try:
                with outside.connect() as connection:
                    connection.exec_driver_sql("PRAGMA journal_mode=WAL")
                    return
            except OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > deadline:
                    raise
            time.sleep(0.02)

    def _migrate(self) -> None:
        config = Config()
        config.set_main_option("script_location", str(Path(migrations.__file__).parent).replace("%", "%%"))
        script = ScriptDirectory.from_config(config)
        with self.reading() as connection:
            current = MigrationContext.configure(connection).get_current_revision()
        if current == script.get_current_head():
            return
        if current is not None and current not in {revision.revision for revision in script.walk_revisions()}:
            raise InvalidInput(f"database: expected at most revision {script.get_current_head()}, got {current}, "
                               "written by a newer prelabel")  # fmt: skip
        with _migrating, self.writing() as connection:
            if not self.is_sqlite:
                postgres.wait_for_ever(connection)
            self.lock(connection, "migration")
            config.attributes["connection"] = connection
            command.upgrade(config, "head")


def fault(error: DatabaseError) -> str | None:
    """What a database says, on one line, that cannot go on: locked for long, full, read-only, broken. None where the
    fault is ours: a statement or a value that is wrong."""
    away = type(error) in (OperationalError, DatabaseError, InternalError)  # the last: PostgreSQL that is read-only
    return _line(error) if away else None


def is_of_value(error: DatabaseError) -> bool:
    """Whether PostgreSQL refused a value: a text with NUL, a number out of range, more than an index takes."""
    return isinstance(error, DataError) or getattr(error.orig, "sqlstate", None) == _TOO_LONG


def _line(error: DatabaseError) -> str:
    return " ".join(str(error.orig).split())


def parse_url(url: str) -> URL:
    """The database URL, with its driver.

    Raises:
        InvalidInput: it names no SQLite file and no PostgreSQL.
    """
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise InvalidInput("database: expected sqlite:///FILE or postgresql://.., got no URL") from error
    if parsed.get_backend_name() in ("postgres", "postgresql"):
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.get_backend_name() != "sqlite" or parsed.database in (None, "", ":memory:"):
        raise InvalidInput(f"database: expected sqlite:///FILE or postgresql://.., got {shown(parsed)!r}")
    if parsed.query:  # none of them would be heeded
        raise InvalidInput(f"database: expected a SQLite file without options, got {', '.join(sorted(parsed.query))}")
    return parsed.set(drivername="sqlite+pysqlite")


def shown(url: URL) -> str:
    """A database URL as people may read it: without passwords, wherever they stand in it."""
    plain = {name: value for name, value in url.query.items() if "password" not in name}
    return url.set(query=plain).render_as_string(hide_password=True)


def _stat(file: Path | None) -> os.stat_result | None:
    try:
        return os.stat(file) if file is not None else None
    except OSError:
        return None


def _sqlite_engine(url: URL, patience_s: Callable[[], Seconds]) -> Engine:
    assert url.database is not None
    Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    options = {"timeout": BUSY_S, "isolation_level": None}
    engine = create_engine(url, pool_size=8, max_overflow=56, connect_args=options, json_serializer=strict_json)

    @event.listens_for(engine, "connect")
    def set_up(connection: Any, _record: object) -> None:
        for pragma in ("synchronous=NORMAL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        statement = connection.get_execution_options().get("begin", "BEGIN")
        if statement == _WRITE:
            connection.exec_driver_sql(f"PRAGMA busy_timeout={1000 * patience_s():.0f}")
        if statement is not None:
            connection.exec_driver_sql(statement)

    return engine


def log(
    connection: Connection, at: datetime, actor: str, verb: str, subject: str, detail: Mapping[str, Any] | None = None
) -> None:
    """Adds a line to the audit log, in the transaction of the change it speaks of."""
    connection.execute(
        events.insert().values(at=at, actor=actor, verb=verb, subject=subject, detail=dict(detail or {}))
    )


def in_pages(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    """Some ids, in parts of as many as a statement bears."""
    return (ids[begin : begin + PAGE] for begin in range(0, len(ids), PAGE))


def distinct(connection: Connection, column: Column[Any], limit: int, *where: ColumnElement[bool]) -> list[str]:
    """The first values of a column in their order, read by jumps in an index that begins with it (and ``where``)."""
    found: list[str] = []
    while len(found) < limit:
        rest = select(func.min(column)).where(*where, *([column > found[-1]] if found else []))
        value = connection.execute(rest).scalar()
        if value is None:
            break
        found.append(value)
    return found
