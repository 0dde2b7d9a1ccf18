"""Items as people look through them: a page of a state, in the order of the queue, found by what is known of them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal, TypeAlias

from sqlalchemy import Column, ColumnElement, Connection, Row, Select, and_, exists, or_, select, text

from models.records import Item, Task
from selection.queueing import Deadline, due_by
from selection.routing import DRAWN
from serving.store.database import Database, distinct
from serving.store.deadlines import has_deadline
from serving.store.records import OPEN, Answer, ItemState
from serving.store.rows import answer_of, item_of
from serving.store.tables import (
    corrections,
    item_tasks,
    items,
    leases,
    preannotations,
    studio_annotations,
    studio_tasks,
    unfit,
)

FEW = 1000  # items that are named one by one; among more than that, the next page is near

Listable: TypeAlias = ItemState | Literal["open"]  # what still lacks its label, in whichever state
Place: TypeAlias = tuple[float, str]  # (priority or draw, item id)


@dataclass(frozen=True)
class Wanted:
    """What to look for: items of a state whose raw doubt lies in [``least``, ``most``]; and where they are given, of a
    decision, a group, a corrector, with a text in what the model heard, or due: at all, or before a time."""

    state: Listable = "preannotated"
    decision: str = ""
    group: str = ""
    annotator: str = ""
    text: str = ""
    least: float = 0.0
    most: float = 1.0
    due: bool = False
    due_before: datetime | None = None


@dataclass(frozen=True)
class After:
    """Where a page begins: behind these places, by doubt and among audit items by draw; None: at the beginning."""

    others: Place | None = None
    audits: Place | None = None


@dataclass(frozen=True)
class Listed:
    """An item in a list: its state, what counts of what versions said, who corrected it, who holds it until when, or
    why it is unfit, its place in Label Studio as (project, task), where it has one, and when it is due, if ever."""

    item: Item
    task: Task
    state: ItemState
    answer: Answer | None
    duration_s: float | None
    failure: str | None
    annotator: str | None
    holder: str | None
    lease_until: datetime | None
    unfit: str | None
    studio: tuple[int | None, int] | None
    due: datetime | None = None


@dataclass(frozen=True)
class Failed:
    """An item whose medium could not be read, for a task."""

    item: Item
    task: Task
    failure: str
    at: datetime


class Browsing:
    """Reads pages of lists. A page costs about the same wherever it lies."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def page(
        self,
        task: Task,
        wanted: Wanted,
        now: datetime,
        limit: int,
        audit_share: float,
        after: After,
        deadlines: Sequence[Deadline] = (),
    ) -> tuple[list[Listed], After | None]:
        """The next ``limit`` items as the queue would hand them out: the most doubtful first, a share of the places
        for audit items in the order of their draw. With it, where the next page begins, if there is one. ``deadlines``
        are those of groups; a lease that has ended by ``now`` holds nothing."""
        with self._database.reading() as connection:
            found = self._condition(connection, task, wanted, deadlines)
            others, audits = (
                _places(connection, task, wanted, now, audit, limit + 1, found, place) if _sought(wanted, audit) else []
                for audit, place in ((False, after.others), (True, after.audits))
            )
            n_audits = min(len(audits), max(round(limit * audit_share), limit - len(others)))
            taken, checked = others[: limit - n_audits], audits[:n_audits]
            ids = _mixed([item_id for _, item_id in taken], [item_id for _, item_id in checked])
            listed = _listed(connection, task, ids, deadlines, now)
        more = len(others) + len(audits) > len(ids)
        last = After(taken[-1] if taken else after.others, checked[-1] if checked else after.audits)
        return listed, last if more else None

    def groups(self, task: Task, limit: int) -> list[str]:
        """The first names of groups that have items of the task."""
        of_task = item_tasks.c.task == task
        with self._database.reading() as connection:
            few = connection.execute(select(item_tasks.c.item_id).where(of_task).limit(FEW + 1)).scalars().all()
            is_there = exists().where(item_tasks.c.item_id == items.c.id, of_task)
            return distinct(connection, items.c.item_group, limit, is_there if len(few) > FEW else items.c.id.in_(few))

    def annotators(self, task: Task, limit: int) -> list[str]:
        """The first names of those who corrected something."""
        with self._database.reading() as connection:
            return distinct(connection, corrections.c.annotator, limit, corrections.c.task == task)

    def failed(self, limit: int, before: tuple[datetime, str] | None = None) -> list[Failed]:
        """Items whose media could not be read, newest first, older than (time, item id)."""
        columns = item_tasks.c
        chosen = select(items, columns.task, columns.failure, columns.updated_at)
        chosen = chosen.join(item_tasks, columns.item_id == items.c.id).where(text("item_tasks.state = 'failed'"))
        if before is not None:
            at, item_id = before
            chosen = chosen.where(columns.updated_at <= at, or_(columns.updated_at < at, columns.item_id < item_id))
        chosen = chosen.order_by(columns.updated_at.desc(), columns.item_id.desc()).limit(limit)
        rows = self._database.rows(chosen)
        return [Failed(item_of(row), row.task, row.failure or "", row.updated_at) for row in rows]

    def _condition(
        self, connection: Connection, task: Task, wanted: Wanted, deadlines: Sequence[Deadline]
    ) -> list[ColumnElement[bool]]:
        """What rows of ``item_tasks`` must fulfil beside task, state and doubt."""
        where: list[ColumnElement[bool]] = []
        if wanted.decision:
            where.append(_counts(preannotations.c.decision == wanted.decision))
        if wanted.group:
            of_group = items.c.item_group == wanted.group
            where.append(_narrow(connection, items.c.id, of_group, and_(items.c.id == item_tasks.c.item_id, of_group)))
        if wanted.annotator:
            given = and_(corrections.c.task == task, corrections.c.annotator == wanted.annotator)
            counts = and_(corrections.c.id == item_tasks.c.correction_id, corrections.c.annotator == wanted.annotator)
            where.append(_narrow(connection, corrections.c.item_id, given, counts))
        if wanted.text:
            says = preannotations.c.text.icontains(wanted.text, autoescape=True)
            here = and_(preannotations.c.id == item_tasks.c.preannotation_id, says)
            heard = and_(preannotations.c.task == task, says)
            where.append(_narrow(connection, preannotations.c.item_id, heard, here))
        if wanted.due:
            where.append(has_deadline(deadlines, wanted.due_before))
        return where


def _narrow(
    connection: Connection, column: Column[Any], where: ColumnElement[bool], here: ColumnElement[bool]
) -> ColumnElement[bool]:
    """Rows of ``item_tasks`` for which ``here`` holds; where few items come into question, these are named."""
    found = connection.execute(select(column).where(where).limit(FEW + 1)).scalars().all()
    is_there = exists().where(here)
    return is_there if len(found) > FEW else and_(item_tasks.c.item_id.in_(sorted(set(found))), is_there)


def _sought(wanted: Wanted, audit: bool) -> bool:
    """Whether items that were drawn at random, or those that were not, come into question."""
    return not wanted.decision or (wanted.decision in DRAWN) == audit


def _counts(where: ColumnElement[bool]) -> ColumnElement[bool]:
    return exists().where(preannotations.c.id == item_tasks.c.preannotation_id, where)


def _walks(state: Listable, now: datetime) -> list[list[ColumnElement[bool]]]:
    """What rows of a state fulfil, in parts that an index knows each; as ``Items.counts`` counts them."""
    columns = item_tasks.c
    back = columns.state == "leased", columns.lease_until <= now
    if state == "leased":
        return [[columns.state == "leased", columns.lease_until > now]]
    walks: list[list[ColumnElement[bool]]] = [[columns.state == one] for one in (OPEN if state == "open" else [state])]
    if state == "preannotated":
        walks.append([*back, columns.contested_at.is_(None)])
    if state == "contested":
        walks.append([*back, columns.contested_at.is_not(None)])
    return walks


def _places(
    connection: Connection,
    task: Task,
    wanted: Wanted,
    now: datetime,
    audit: bool,
    limit: int,
    found: Sequence[ColumnElement[bool]],
    after: Place | None,
) -> list[Place]:
    columns = item_tasks.c
    key, order = (columns.draw, columns.draw) if audit else (columns.priority, columns.priority.desc())
    chosen: Select[Any] = select(key, columns.item_id).where(columns.task == task, columns.audit == audit, *found)
    if wanted.least > 0:
        chosen = chosen.where(columns.priority >= wanted.least)
    if wanted.most < 1:
        chosen = chosen.where(columns.priority <= wanted.most)
    if after is not None:
        value, item_id = after
        beyond, reached = (key > value, key >= value) if audit else (key < value, key <= value)
        chosen = chosen.where(reached, or_(beyond, columns.item_id > item_id))
    chosen = chosen.order_by(order, columns.item_id).limit(limit)
    walks = [connection.execute(chosen.where(*walk)).all() for walk in _walks(wanted.state, now)]
    places = [(float(value), item_id) for rows in walks for value, item_id in rows]
    return sorted(places, key=lambda place: (place[0] if audit else -place[0], place[1]))[:limit]


def _listed(
    connection: Connection, task: Task, ids: Sequence[str], deadlines: Sequence[Deadline], now: datetime
) -> list[Listed]:
    columns = item_tasks.c
    of_task = ("state", "failure", "lease_until", "contested_at", "preannotation_id", "due_at")
    chosen = select(items, *(columns[name] for name in of_task))
    chosen = chosen.add_columns(
        corrections.c.annotator, leases.c.annotator.label("holder"), unfit.c.reason.label("unfit")
    )
    chosen = chosen.join(item_tasks, columns.item_id == items.c.id)
    chosen = chosen.outerjoin(corrections, corrections.c.id == columns.correction_id)
    chosen = chosen.outerjoin(leases, leases.c.id == columns.lease_id)
    stands = and_(unfit.c.item_id == columns.item_id, unfit.c.task == columns.task, unfit.c.withdrawn_at.is_(None))
    chosen = chosen.outerjoin(unfit, stands)
    rows = connection.execute(chosen.where(columns.task == task, columns.item_id.in_(ids))).all()
    said = select(preannotations).where(preannotations.c.id.in_([row.preannotation_id for row in rows]))
    answers = {row.item_id: row for row in connection.execute(said).all()}
    studio = _studio(connection, task, ids)
    by_id = {row.id: _one(row, task, answers.get(row.id), studio.get(row.id), now) for row in rows}
    return [replace(one, due=due_by(one.due, one.item.group, deadlines)) for one in map(by_id.__getitem__, ids)]


def _one(
    row: Row[Any], task: Task, said: Row[Any] | None, studio: tuple[int | None, int] | None, now: datetime
) -> Listed:
    answer, duration_s = (answer_of(said), said.duration_s) if said else (None, None)
    state, holder, until = row.state, row.holder, row.lease_until
    if state == "leased" and until <= now:
        state, holder, until = ("contested" if row.contested_at else "preannotated"), None, None
    return Listed(item_of(row), task, state, answer, duration_s, row.failure, row.annotator, holder, until,
                  row.unfit, studio, row.due_at)  # fmt: skip


def _studio(connection: Connection, task: Task, ids: Sequence[str]) -> dict[str, tuple[int | None, int]]:
    """Where items are in Label Studio; the project is known of tasks that were annotated."""
    same = and_(
        studio_annotations.c.task == studio_tasks.c.task, studio_annotations.c.studio_task == studio_tasks.c.studio_task
    )
    chosen = select(studio_tasks.c.item_id, studio_annotations.c.project, studio_tasks.c.studio_task)
    chosen = chosen.outerjoin(studio_annotations, same)
    rows = connection.execute(chosen.where(studio_tasks.c.task == task, studio_tasks.c.item_id.in_(ids))).all()
    return {item_id: (project, studio_task) for item_id, project, studio_task in rows}


def _mixed(first: Sequence[str], second: Sequence[str]) -> list[str]:
    """Both in their own order, the shorter spread evenly through the longer."""
    placed = [((place + 0.5) / len(ids), ids is second, item_id)
              for ids in (first, second) for place, item_id in enumerate(ids)]  # fmt: skip
    return [item_id for _, _, item_id in sorted(placed)]
