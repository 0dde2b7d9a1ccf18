"""Connections to PostgreSQL that do not wait for ever: a server that is frozen or out of reach says nothing at all."""

import os
from collections.abc import Generator
from time import monotonic
from typing import Any

import psycopg
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL

from models.records import Seconds
from serving.store.columns import strict_json

ANSWER_S: Seconds = 60.0  # the longest wait for more of what a statement brings, locks of others included
SIGN_S: Seconds = 10.0  # the longest wait for a new connection, and for a sign that an old one still lives


class Patient(psycopg.Connection[Any]):
    """A connection that is given up where the server says nothing for ``patience_s``."""

    patience_s: Seconds = SIGN_S

    def wait(self, gen: Generator[Any, Any, Any], *how: Any, **more: Any) -> Any:
        """As psycopg waits, which looks at what it waits for ten times a second."""
        try:
            return super().wait(_awaiting(gen, self.patience_s), *how, **more)
        except TimeoutError as error:
            self.close()  # nobody knows what the server did of it
            raise psycopg.OperationalError(f"the server said nothing for {self.patience_s:g} s") from error


def engine(url: URL) -> Engine:
    """The engine of a database, whose transactions wait ``ANSWER_S`` at most until more of an answer comes."""
    # In UTF-8 whatever the database is in, so that it can be told what is wrong with it.
    spoken: dict[str, Any] = {"client_encoding": "utf8"}
    timed = "connect_timeout" in url.query or os.environ.get("PGCONNECT_TIMEOUT")
    made = create_engine(
        url,
        pool_size=8,
        max_overflow=24,
        pool_timeout=ANSWER_S,
        pool_pre_ping=True,
        connect_args=spoken if timed else {**spoken, "connect_timeout": round(SIGN_S)},
        json_serializer=strict_json,
    )

    @event.listens_for(made, "do_connect")
    def connect(_dialect: object, _record: object, arguments: list[Any], options: dict[str, Any]) -> Patient:
        return Patient.connect(*arguments, **options)

    @event.listens_for(made, "connect")
    def set_up(connection: Any, _record: object) -> None:
        connection.execute("SET TIME ZONE 'UTC'")  # in others the first and the last hours of all time cannot be read
        connection.commit()

    @event.listens_for(made, "checkout")
    def work(connection: Any, _record: object, _proxy: object) -> None:
        connection.patience_s = ANSWER_S

    @event.listens_for(made, "checkin")
    def rest(connection: Any, _record: object) -> None:
        if connection is not None:  # or else it was given up
            connection.patience_s = SIGN_S

    return made


def wait_for_ever(connection: Connection) -> None:
    """Lets what follows on a connection take as long as it takes: migrations of large tables."""
    driver: Any = connection.connection.driver_connection
    driver.patience_s = float("inf")


def _awaiting(gen: Generator[Any, Any, Any], patience_s: Seconds) -> Generator[Any, Any, Any]:
    """The same generator, whose waits end where nothing comes for so long."""
    try:
        awaited, heard = next(gen), monotonic()
        while True:
            ready = yield awaited
            if ready:
                heard = monotonic()
            elif monotonic() > heard + patience_s:
                raise TimeoutError
            awaited = gen.send(ready)
    except StopIteration as end:
        return end.value
