"""Which items are due when: each by a time of its own, groups by the policy's; whichever comes first counts."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, case, func, literal, or_, select, update

from models.records import Task
from selection.queueing import Deadline
from serving.store.columns import UtcTime
from serving.store.database import Database, log
from serving.store.records import OPEN, Actor
from serving.store.rows import of_task
from serving.store.tables import corrections, item_tasks, items, preannotations

DONE = ("corrected", "accepted")


@dataclass(frozen=True)
class Lateness:
    """Of the items with a deadline: how many are ``open`` and how many of these ``late``, the ``next`` deadline among
    the open ones, and how many were ``done``, and ``done_late``."""

    open: int
    late: int
    next: datetime | None
    done: int
    done_late: int


class Deadlines:
    """Keeps when items are due."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def tell(self, entries: Iterable[tuple[str, Task, datetime]], actor: Actor, now: datetime) -> None:
        """Notes (item, task, when it is due) of known items; what was told last counts."""
        with self._database.writing() as connection:
            for item_id, task, due in sorted(entries):
                other = or_(item_tasks.c.due_at.is_(None), item_tasks.c.due_at != due)
                told = update(item_tasks).where(of_task(item_id, task), other).values(due_at=due)
                if connection.execute(told).rowcount:
                    log(connection, now, actor, "due", item_id, {"task": task, "due": due.isoformat()})

    def earliest(self, task: Task, deadlines: Sequence[Deadline]) -> datetime | None:
        """The first deadline of what waits in the queue, one that is past included."""
        waiting = item_tasks.c.task == task, item_tasks.c.state == "preannotated"
        first = select(func.min(item_tasks.c.due_at)).where(*waiting, item_tasks.c.due_at.is_not(None))
        groups = select(items.c.item_group).distinct().join(item_tasks, item_tasks.c.item_id == items.c.id)
        groups = groups.where(*waiting, items.c.item_group.in_([one.group for one in deadlines]))
        with self._database.reading() as connection:
            own = connection.execute(first).scalar()
            there = set(connection.execute(groups).scalars()) if deadlines else set()
        return min([*([own] if own else []), *(one.by for one in deadlines if one.group in there)], default=None)

    def lateness(self, task: Task, deadlines: Sequence[Deadline], now: datetime) -> Lateness:
        """How far the items of a task are late: those that are done by when their label came."""
        due, done = due_at(deadlines), item_tasks.c.state.in_(DONE)
        whose = item_tasks.c.task == task, has_deadline(deadlines)
        still_open = select(func.count(), _number(due < now), func.min(due))
        still_open = still_open.select_from(item_tasks).where(*whose, item_tasks.c.state.in_(OPEN))
        came = func.coalesce(corrections.c.received_at, preannotations.c.created_at, type_=UtcTime)
        finished = select(func.count(), _number(came > due)).select_from(item_tasks).where(*whose, done)
        finished = finished.outerjoin(corrections, corrections.c.id == item_tasks.c.correction_id)
        finished = finished.outerjoin(preannotations, preannotations.c.id == item_tasks.c.preannotation_id)
        with self._database.reading() as connection:
            (n_open, late, first), (n_done, done_late) = (
                connection.execute(one).one() for one in (still_open, finished)
            )
        return Lateness(n_open, late, first, n_done, done_late)


def _number(which: ColumnElement[bool]) -> ColumnElement[int]:
    return func.coalesce(func.sum(case((which, 1), else_=0)), 0)


def due_at(deadlines: Sequence[Deadline]) -> ColumnElement[datetime]:
    """When an item of ``item_tasks`` is due; null if never."""
    own = item_tasks.c.due_at
    if not deadlines:
        return own
    group = select(items.c.item_group).where(items.c.id == item_tasks.c.item_id).scalar_subquery()
    groups = case({one.group: literal(one.by, UtcTime) for one in deadlines}, value=group)
    return case((or_(groups.is_(None), own < groups), own), else_=groups)


def has_deadline(deadlines: Sequence[Deadline], until: datetime | None = None) -> ColumnElement[bool]:
    """Whether an item of ``item_tasks`` is due at all, or before ``until``; in a way that finds it by an index."""
    named = [one.group for one in deadlines if until is None or one.by < until]
    own = item_tasks.c.due_at.is_not(None) if until is None else item_tasks.c.due_at < until
    if not named:
        return own
    return or_(own, item_tasks.c.item_id.in_(select(items.c.id).where(items.c.item_group.in_(named))))
