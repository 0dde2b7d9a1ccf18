"""The audit log: who changed what when, newest first."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any

from sqlalchemy import ColumnElement, or_, select

from serving.store.columns import LARGEST_ID
from serving.store.database import Database, distinct
from serving.store.records import Actor
from serving.store.tables import events


@dataclass(frozen=True)
class Change:
    """One line of the log: ``verb`` says what was done to ``subject``, ``detail`` how."""

    id: int
    at: datetime
    actor: Actor
    verb: str
    subject: str
    detail: Mapping[str, Any]


class Changes:
    """Reads the log; whoever changes something writes it (``database.log``)."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def page(
        self, limit: int, before: int | None = None, actor: str = "", verb: str = "", day: date | None = None
    ) -> list[Change]:
        """Up to ``limit`` lines older than the line ``before``; of one actor, verb, day (UTC), where they are given."""
        columns = events.c
        where: list[ColumnElement[bool]] = []
        where += [columns.actor == actor] if actor else []
        where += [columns.verb == verb] if verb else []
        if day is not None:
            start = datetime.combine(day, time(), UTC)
            where += [columns.at >= start, columns.at <= datetime.combine(day, time.max, UTC)]
        chosen = select(events).order_by(columns.at.desc(), columns.id.desc()).limit(limit)
        with self._database.reading() as connection:
            if before is not None and abs(before) <= LARGEST_ID:
                at = connection.execute(select(columns.at).where(columns.id == before)).scalar()
                where += [] if at is None else [columns.at <= at, or_(columns.at < at, columns.id < before)]
            return [Change(**row._mapping) for row in connection.execute(chosen.where(*where)).all()]

    def actors(self, limit: int) -> list[str]:
        """The names of those who changed something, as far as there are few."""
        with self._database.reading() as connection:
            return distinct(connection, events.c.actor, limit)

    def verbs(self, limit: int) -> list[str]:
        """What was done at all."""
        with self._database.reading() as connection:
            return distinct(connection, events.c.verb, limit)
