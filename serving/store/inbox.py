"""What annotation tools told: kept before it is answered, until somebody has worked on it, and where nobody can."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, select, update

from models.records import Task
from serving.store.database import Database
from serving.store.tables import inbox


@dataclass(frozen=True)
class Event:
    """What a webhook said, of one task where the tool knows tasks; ``attempts`` to work on it have failed."""

    id: int
    task: Task | None
    body: Mapping[str, Any]
    attempts: int


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
        with self._database.reading() as connection:
            rows = connection.execute(chosen.order_by(columns.id).limit(limit)).all()
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
        with self._database.reading() as connection:
            counted = {bool(dead): n for dead, n in connection.execute(chosen).all()}
        return counted.get(False, 0), counted.get(True, 0)

    def failures(self, tool: str) -> list[str]:
        """Why events could not be worked on, oldest first."""
        chosen = select(inbox.c.failure).where(inbox.c.tool == tool, inbox.c.dead).order_by(inbox.c.id)
        with self._database.reading() as connection:
            return [str(why) for why in connection.execute(chosen).scalars()]
