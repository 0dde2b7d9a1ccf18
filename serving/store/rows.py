"""Rows of the tables as records: what every drawer of the store reads."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, FromClause, Row, Select, and_, func, select

from models.errors import NotFound
from models.records import LABEL_TYPES, Item, Label, PreAnnotation, Task, Uncertainty, from_json
from selection.parts import Plan
from selection.routing import Decision
from selection.rules import About
from serving.store.records import Answer, Leased, Pending
from serving.store.tables import item_tasks, items, preannotations


def same_work(one: FromClause, other: FromClause) -> ColumnElement[bool]:
    """Whether rows of two tables are about the same item and task."""
    return and_(one.c.item_id == other.c.item_id, one.c.task == other.c.task)


_said = preannotations.alias("said")
_last = select(func.max(_said.c.id)).where(same_work(_said, item_tasks))
NEWEST = _last.correlate(item_tasks).scalar_subquery()  # what a version said last
# The answer that counts; of items that came with their label, and were never open, the newest.
STANDING = func.coalesce(item_tasks.c.preannotation_id, NEWEST)


def of_task(item_id: str, task: Task) -> ColumnElement[bool]:
    """The row of an item and a task."""
    return and_(item_tasks.c.item_id == item_id, item_tasks.c.task == task)


def locked(connection: Connection, item_id: str, task: Task) -> Row[Any]:
    """That row, which nobody else changes until the transaction is over.

    Raises:
        NotFound: the item is not registered for the task.
    """
    row = connection.execute(select(item_tasks).where(of_task(item_id, task)).with_for_update()).one_or_none()
    if row is None:
        raise NotFound(f"item: expected one registered for task {task}, got {item_id!r}")
    return row


def item_of(row: Row[Any]) -> Item:
    """The item in a row of ``items``."""
    return Item(id=row.id, uri=row.uri, group=row.item_group, language=row.language)


def about_of(row: Row[Any]) -> About:
    """What is known of an item, from a row with group and language, its duration where it has any, and ``gold_at``."""
    return About(row.item_group, row.language, row.duration_s, row.gold_at is not None)


def label_of(task: Task, values: Any) -> Label:
    """The label that was kept as JSON."""
    return from_json(LABEL_TYPES[task], values)


def preannotation_of(row: Row[Any]) -> PreAnnotation:
    """The pre-annotation in a row of ``preannotations``."""
    return PreAnnotation(
        item_id=row.item_id,
        task=row.task,
        model_version=row.version,
        label=label_of(row.task, row.label),
        uncertainty=Uncertainty(p_error=row.p_error, seconds=row.seconds, score=row.score),
        features=row.features,
        embedding=row.embedding,
    )


def answer_of(row: Row[Any]) -> Answer:
    """The answer in a row of ``preannotations``."""
    return Answer(
        preannotation_of(row), Decision(row.decision, row.reason, plan_of(row.parts), row.policy, row.otherwise)
    )


def plan_of(kept: Mapping[str, Any] | None) -> Plan | None:
    """Which parts of an answer a person sees, if not all of them, from the ``parts`` in ``preannotations``."""
    return None if kept is None else Plan(tuple(kept["accepted"]), tuple(kept["shown"]), kept["asked"])


def leased_of(row: Row[Any], lease_id: str, until: datetime) -> Leased:
    """A lease of the item in a row of ``with_answers``."""
    item = Item(id=row.item_id, uri=row.uri, group=row.item_group, language=row.language)
    return Leased(item, row.task, lease_id, until, answer_of(row), row.due_at)


def standing(task: Task, which: ColumnElement[bool]) -> Select[Any]:
    """The answers that stand, with what is known of their items."""
    known = items.c.item_group, items.c.language, item_tasks.c.gold_at
    joined = select(preannotations, *known).join(item_tasks, same_work(item_tasks, preannotations))
    joined = joined.join(items, items.c.id == item_tasks.c.item_id)
    return joined.where(item_tasks.c.preannotation_id == preannotations.c.id, item_tasks.c.task == task, which)


def pending_of(row: Row[Any]) -> Pending:
    """The answer in a row of ``standing``, with what is known of its item."""
    return Pending(row.id, preannotation_of(row), about_of(row))


def with_answers(task: Task, ids: Sequence[str]) -> Select[Any]:
    """Items with the pre-annotations that count."""
    of_task = item_tasks.c.due_at, item_tasks.c.gold_at
    chosen = select(preannotations, items.c.uri, items.c.item_group, items.c.language, *of_task)
    chosen = chosen.select_from(item_tasks).join(preannotations, preannotations.c.id == STANDING)
    chosen = chosen.join(items, items.c.id == item_tasks.c.item_id)
    return chosen.where(item_tasks.c.task == task, item_tasks.c.item_id.in_(ids))
