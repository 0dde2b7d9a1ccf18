"""What cannot be labelled: people's word that an item is unfit for a task, which stands until it is taken back."""

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, and_, func, select, update

from models.records import Task
from serving.store.database import Database, log
from serving.store.queue import check_lease, end_word, newest_correction, planted_leases
from serving.store.records import Actor, ItemState, Unfit
from serving.store.rows import locked, of_task
from serving.store.tables import item_tasks, leases, unfit


class UnfitItems:
    """Takes items out of the work that nobody can label, and brings them back."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def say(self, said: Unfit, lease_id: str | None, actor: Actor, now: datetime) -> bool:
        """Lets the item be unfit from now on; no correction of it counts meanwhile. Returns whether the same word had
        come before, which changes nothing; nor does what somebody says of an item that was planted for them.

        Raises:
            NotFound: the item is not registered for the task, or the lease is not of this item.
            Stale: the lease is over, or someone else ended it.
        """
        of_item, key = of_task(said.item_id, said.task), _key(said)
        with self._database.writing() as connection:
            current = locked(connection, said.item_id, said.task)
            if _repeats(connection, said, key):
                return True
            if lease_id is not None:
                check_lease(connection, said.item_id, said.task, lease_id, now)
            values = {**vars(said), "key": key, "received_at": now, "lease_id": lease_id, "actor": actor}
            if planted := planted_leases(connection, said, lease_id):
                added = _added(connection, values | {"withdrawn_at": now})
                ended = update(leases).where(leases.c.id.in_(planted), leases.c.ended_at.is_(None))
                connection.execute(ended.values(ended_at=now, unfit_id=added))
                return False
            end_word(connection, said.item_id, said.task, now)
            added = _added(connection, values)
            out = {"state": "unfit", "correction_id": None, "lease_id": None, "lease_until": None, "updated_at": now,
                   "actor": actor}  # fmt: skip
            connection.execute(update(item_tasks).where(of_item).values(**out))
            if current.lease_id is not None:
                ended = update(leases).where(leases.c.id == current.lease_id)
                connection.execute(ended.values(ended_at=now, unfit_id=added))
            log(connection, now, actor, "unfit", said.item_id, {"task": said.task, "why": said.reason})
        return False

    def take_back(self, item_id: str, task: Task, actor: Actor, now: datetime) -> None:
        """Lets an item be again what it was: corrected, or open. What is not unfit stays as it is.

        Raises:
            NotFound: the item is not registered for the task.
        """
        with self._database.writing() as connection:
            current = locked(connection, item_id, task)
            if current.state != "unfit":
                return
            end_word(connection, item_id, task, now)
            correction_id = newest_correction(connection, item_id, task)
            back = {"state": _before(current, correction_id), "correction_id": correction_id, "updated_at": now,
                    "actor": actor}  # fmt: skip
            connection.execute(update(item_tasks).where(of_task(item_id, task)).values(**back))
            log(connection, now, actor, "fit", item_id, {"task": task})

    def reasons(self, task: Task) -> dict[str, int]:
        """How many items are unfit, by reason."""
        chosen = select(unfit.c.reason, func.count()).where(unfit.c.task == task, unfit.c.withdrawn_at.is_(None))
        rows = self._database.rows(chosen.group_by(unfit.c.reason).order_by(unfit.c.reason))
        return {reason: int(n) for reason, n in rows}

    def drawn(self, task: Task) -> int:
        """How many of them were drawn at random for people."""
        chosen = select(func.count()).select_from(item_tasks)
        chosen = chosen.where(item_tasks.c.task == task, item_tasks.c.state == "unfit", item_tasks.c.audit)
        return int(self._database.value(chosen))

    def seconds(self, task: Task, since: datetime | None = None) -> float:
        """Human seconds that went into such words, whether they stand or not."""
        chosen = select(func.sum(unfit.c.seconds)).where(unfit.c.task == task)
        if since is not None:
            chosen = chosen.where(unfit.c.received_at >= since)
        return float(self._database.value(chosen) or 0.0)


def _added(connection: Connection, values: dict[str, Any]) -> int:
    return int(connection.execute(unfit.insert().values(**values).returning(unfit.c.id)).scalar_one())


def _repeats(connection: Connection, said: Unfit, key: str) -> bool:
    """Whether this very word came before, or stands by the same person with another time."""
    same = and_(unfit.c.item_id == said.item_id, unfit.c.task == said.task, unfit.c.reason == said.reason,
                unfit.c.annotator == said.annotator, unfit.c.tool == said.tool)  # fmt: skip
    known = select(unfit.c.id).where((unfit.c.key == key) | and_(same, unfit.c.withdrawn_at.is_(None)))
    return connection.execute(known.limit(1)).first() is not None


def _before(current: Row[Any], correction_id: int | None) -> ItemState:
    """What an item was before it was found unfit; one whose check waited for a second look waits for it again."""
    if correction_id is not None:
        return "corrected" if current.contested_at is None else "contested"
    if current.failure is not None:
        return "failed"
    return "registered" if current.preannotation_id is None else "preannotated"


def _key(said: Unfit) -> str:
    told = [said.item_id, said.task, said.reason, said.annotator, said.tool]
    return hashlib.sha256(json.dumps([*told, said.created_at.astimezone(UTC).isoformat()]).encode()).hexdigest()
