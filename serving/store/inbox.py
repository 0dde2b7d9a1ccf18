"""What annotation tools told: kept before it is answered, until somebody has worked on it, and where nobody can."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, select, update

from models.errors import NotFound
from models.records import Task
from serving.store.columns import LARGEST_ID
from serving.store.database import Database, log
from serving.store.records import Actor
from serving.store.tables import inbox


@dataclass(frozen=True)
class Event:
    """What a webhook said, of one task where the tool knows tasks; ``attempts`` to work on it have failed."""

    id: int
    task: Task | None
    body: Mapping[str, Any]
    attempts: int


@dataclass(frozen=True)
class Letter:
    """An event that could not be worked on, and why."""

    id: int
    tool: str
    body: Mapping[str, Any]
    received_at: datetime
    attempts: int
    failure: str


class Inbox:
    """Keeps it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def receive(self, tool: str, task: Task | None, body: Mapping[str, Any], now: datetime) -> None:
        """Keeps an event until somebody has worked on it."""
        values = {"tool": tool, "task": task, "body": dict(body), "received_at": now, "due_at": now, "attempts": 0,
                  "dead": False}  # fmt: skip
        with self._database.writing() as connection:
            connection.execute(inbox.insert().values(**values))

    def due(self, tool: str, now: datetime, limit: int) -> list[Event]:
        """Events to work on, oldest first."""
        columns = inbox.c
        chosen = select(inbox).where(columns.tool == tool, ~columns.dead, columns.due_at <= now)
        rows = self._database.rows(chosen.order_by(columns.id).limit(limit))
        return [Event(row.id, row.task, row.body, row.attempts) for row in rows]

    def done(self, event: Event) -> None:
        """Forgets an event that was worked on."""
        with self._database.writing() as connection:
            connection.execute(delete(inbox).where(inbox.c.id == event.id))

    def put_off(self, event: Event, why: str, until: datetime) -> None:
        """Keeps an event for later, as what it needs is not there now."""
        self._failed(event, {"failure": why, "attempts": event.attempts + 1, "due_at": until})

    def bury(self, event: Event, why: str) -> None:
        """Keeps an event that cannot be worked on, with the reason, for people to look at."""
        self._failed(event, {"failure": why, "attempts": event.attempts + 1, "dead": True})

    def _failed(self, event: Event, change: Mapping[str, Any]) -> None:
        with self._database.writing() as connection:
            connection.execute(update(inbox).where(inbox.c.id == event.id).values(**change))

    def counts(self, tool: str) -> tuple[int, int]:
        """(events that wait, events that cannot be worked on)."""
        chosen = select(inbox.c.dead, func.count()).where(inbox.c.tool == tool).group_by(inbox.c.dead)
        counted = {bool(dead): n for dead, n in self._database.rows(chosen)}
        return counted.get(False, 0), counted.get(True, 0)

    def failures(self, tool: str) -> list[str]:
        """Why events could not be worked on, oldest first."""
        chosen = select(inbox.c.failure).where(inbox.c.tool == tool, inbox.c.dead).order_by(inbox.c.id)
        return [str(why) for why in self._database.column(chosen)]

    def dead(self) -> int:
        """How many events could not be worked on, whoever told them."""
        return int(self._database.value(select(func.count()).where(inbox.c.dead)))

    def letters(self, limit: int) -> list[Letter]:
        """Events that could not be worked on, newest first."""
        chosen = select(*(inbox.c[name] for name in Letter.__dataclass_fields__)).where(inbox.c.dead)
        rows = self._database.rows(chosen.order_by(inbox.c.id.desc()).limit(limit))
        return [Letter(**{**row._mapping, "failure": row.failure or ""}) for row in rows]

    def retry(self, event_id: int, actor: Actor, now: datetime) -> str:
        """Lets an event that could not be worked on be tried again, and returns whose it is; one that waits already
        stays as it is.

        Raises:
            NotFound: there is none; somebody may have worked on it meanwhile.
        """
        with self._database.writing() as connection:
            known = select(inbox.c.tool, inbox.c.dead).where(inbox.c.id == event_id)
            row = connection.execute(known).one_or_none() if abs(event_id) <= LARGEST_ID else None
            if row is None:
                raise NotFound(f"event: expected the id of one in the inbox, got {event_id}")
            if row.dead:
                again = update(inbox).where(inbox.c.id == event_id)
                connection.execute(again.values(dead=False, attempts=0, due_at=now, failure=None))
                log(connection, now, actor, "retry", f"event {event_id}", {"tool": row.tool})
        return str(row.tool)
