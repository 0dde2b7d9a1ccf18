"""Policies that were adopted: an append-only log, of which the newest line of a task is in force; and what the settings
said before."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Row, bindparam, or_, select

from models.records import Task
from serving.store.database import Database, log
from serving.store.records import Actor, Adoption
from serving.store.tables import events, policies

_IN_FORCE = (  # built once: every answered request executes it
    select(policies)
    .where(or_(policies.c.task == bindparam("of_task"), policies.c.task.is_(None)))
    .order_by(policies.c.id.desc())
    .limit(1)
)
_SHARES = select(events.c.at, events.c.detail).where(events.c.verb == "set", events.c.subject == "calibration_share")


class Adoptions:
    """Keeps who adopted which policy for what, and when."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, task: Task | None, version: str, terms: Mapping[str, Any], actor: Actor, now: datetime) -> Adoption:
        """Puts terms in force, for one task or for all."""
        values = {"task": task, "version": version, "terms": dict(terms), "at": now, "actor": actor}
        with self._database.writing() as connection:
            added = connection.execute(policies.insert().values(**values).returning(policies.c.id)).scalar_one()
            log(connection, now, actor, "adopt-policy", version, {"task": task})
        return Adoption(int(added), task, version, terms, now, actor)

    def in_force(self, task: Task) -> Adoption | None:
        """The one adopted last for a task, or for all."""
        row = self._database.row(_IN_FORCE, {"of_task": task})
        return _adoption(row) if row else None

    def all(self) -> list[Adoption]:
        """Every adoption, oldest first."""
        return [_adoption(row) for row in self._database.rows(select(policies).order_by(policies.c.id))]

    def set_share(self, share: float, actor: Actor, now: datetime) -> None:
        """Notes the calibration share that the settings have from now on, if it is another one than before."""
        with self._database.writing() as connection:
            before = connection.execute(_SHARES.order_by(events.c.id.desc()).limit(1)).one_or_none()
            if before is None or before.detail["to"] != share:
                log(connection, now, actor, "set", "calibration_share", {"to": share})

    def shares_set(self) -> list[tuple[datetime, float]]:
        """The calibration shares that the settings had, oldest first, each with its beginning."""
        return [(row.at, row.detail["to"]) for row in self._database.rows(_SHARES.order_by(events.c.id))]


def _adoption(row: Row[Any]) -> Adoption:
    return Adoption(row.id, row.task, row.version, row.terms, row.at, row.actor)
