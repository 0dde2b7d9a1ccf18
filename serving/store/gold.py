"""Items that somebody chose as gold, and the labels that came with them, known to be right."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, and_, case, exists, func, select, update

from models.records import Item, Label, Task, to_json
from serving.store.database import Database, log
from serving.store.queue import requeue, settle
from serving.store.records import Actor, ItemState
from serving.store.rows import item_of, locked, of_task
from serving.store.tables import corrections, item_tasks, items

IN_PARTS = "some of its parts were accepted unseen, and it was chosen as gold"
TOOL = "gold"  # by which known labels come
_KNOWN = exists().where(corrections.c.id == item_tasks.c.correction_id, corrections.c.known)  # the label that counts


@dataclass(frozen=True)
class Chosen:
    """An item that was chosen, when, and what it is by now; gold it is once it is corrected."""

    item: Item
    state: ItemState
    at: datetime


@dataclass(frozen=True)
class Counts:
    """Of a task: how many items are ``chosen``, how many of these are ``labelled`` by now, and how many labels that
    count came ``known``, of items that are chosen or were."""

    chosen: int
    labelled: int
    known: int


@dataclass(frozen=True)
class Added:
    """Known labels that are ``new``, and how many of them count now where ``replaced`` others did."""

    new: int
    replaced: int

    def __add__(self, other: "Added") -> "Added":
        return Added(self.new + other.new, self.replaced + other.replaced)


class GoldItems:
    """Chooses items as gold, takes that back, and takes in labels that are known."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def choose(self, task: Task, ids: Sequence[str], actor: Actor, now: datetime) -> list[str]:
        """Chooses items, all or none, and returns those that were not chosen before.

        What was accepted unseen, or seen in parts alone, is queued again: people label gold items, and all of them.

        Raises:
            NotFound: an item is not registered for the task.
        """
        with self._database.writing() as connection:
            rows = [locked(connection, item_id, task) for item_id in sorted(set(ids))]
            new = [row.item_id for row in rows if row.gold_at is None]
            for item_id in new:
                _choose(connection, item_id, task, actor, now)
                requeue(connection, and_(of_task(item_id, task), ~_KNOWN), IN_PARTS, actor, now)
        return new

    def take_back(self, task: Task, ids: Sequence[str], actor: Actor, now: datetime) -> list[str]:
        """Lets items be chosen no longer, all or none, and returns those that were.

        Raises:
            NotFound: an item is not registered for the task.
        """
        with self._database.writing() as connection:
            rows = [locked(connection, item_id, task) for item_id in sorted(set(ids))]
            gone = [row.item_id for row in rows if row.gold_at is not None]
            for item_id in gone:
                connection.execute(update(item_tasks).where(of_task(item_id, task)).values(gold_at=None))
                log(connection, now, actor, "ungold", item_id, {"task": task})
        return gone

    def know(self, task: Task, labels: Sequence[tuple[str, Label]], source: str, actor: Actor, now: datetime) -> Added:
        """Chooses items together with their labels, which come from ``source`` and count from now on.

        Raises:
            NotFound: an item is not registered for the task; then nothing is changed.
        """
        added = Added(0, 0)
        with self._database.writing() as connection:
            for item_id, label in sorted(labels, key=lambda pair: pair[0]):
                row = locked(connection, item_id, task)
                if row.gold_at is None:
                    _choose(connection, item_id, task, actor, now)
                added += _add(connection, row, label, source, actor, now)
        return added

    def chosen(self, task: Task, labelled: bool = False) -> frozenset[str]:
        """The ids of all that are chosen, or of those that are ``labelled`` as well: they are gold by now."""
        ids = select(item_tasks.c.item_id).where(item_tasks.c.task == task, item_tasks.c.gold_at.is_not(None))
        ids = ids.where(item_tasks.c.state == "corrected") if labelled else ids
        return frozenset(self._database.column(ids))

    def page(self, task: Task, limit: int, after: str = "") -> list[Chosen]:
        """The next of them behind an id, in the order of ids."""
        columns = item_tasks.c
        found = select(items, columns.state, columns.gold_at).join(item_tasks)
        found = found.where(columns.task == task, columns.gold_at.is_not(None), columns.item_id > after)
        rows = self._database.rows(found.order_by(columns.item_id).limit(limit))
        return [Chosen(item_of(row), row.state, row.gold_at) for row in rows]

    def counts(self, task: Task) -> Counts:
        """How many there are."""
        of_this, corrected = item_tasks.c.task == task, item_tasks.c.state == "corrected"
        chosen = select(func.count(), func.coalesce(func.sum(case((corrected, 1), else_=0)), 0))
        chosen = chosen.select_from(item_tasks).where(of_this, item_tasks.c.gold_at.is_not(None))
        counts = exists().where(of_this, corrected, item_tasks.c.item_id == corrections.c.item_id,
                                item_tasks.c.correction_id == corrections.c.id)  # fmt: skip
        known = select(func.count()).where(corrections.c.known, corrections.c.task == task, counts)
        with self._database.reading() as connection:
            (n, labelled), n_known = connection.execute(chosen).one(), connection.execute(known).scalar_one()
        return Counts(n, labelled, n_known)


def _choose(connection: Connection, item_id: str, task: Task, actor: Actor, now: datetime) -> None:
    connection.execute(update(item_tasks).where(of_task(item_id, task)).values(gold_at=now))
    log(connection, now, actor, "gold", item_id, {"task": task})


def _add(connection: Connection, row: Row[Any], label: Label, source: str, actor: Actor, now: datetime) -> Added:
    """Adds a known label, unless the one that came last is the same."""
    values: dict[str, Any] = {"item_id": row.item_id, "task": row.task, "label": to_json(label), "annotator": source}
    of_this = and_(corrections.c.item_id == row.item_id, corrections.c.task == row.task, corrections.c.known)
    last = connection.execute(select(corrections).where(of_this).order_by(corrections.c.id.desc()).limit(1)).first()
    if last is not None and (last.label, last.annotator) == (values["label"], source):
        return Added(0, 0)
    told = ["known", values, None if last is None else last.id]
    key = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
    values |= {"key": key, "seconds": 0.0, "tool": TOOL, "created_at": now, "counted_at": now, "received_at": now,
               "planted": False, "known": True, "actor": actor}  # fmt: skip
    added = connection.execute(corrections.insert().values(**values).returning(corrections.c.id)).scalar_one()
    counted = connection.execute(select(corrections.c.label).where(corrections.c.id == row.correction_id)).scalar()
    settle(connection, row, added, actor, now)
    log(connection, now, actor, "correct", row.item_id, {"task": row.task, "correction": added, "known": True})
    return Added(1, int(counted not in (None, values["label"])))
