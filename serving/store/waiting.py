"""Which items wait for a person: what nobody holds, they can do, and did not give back a moment ago.

And whose answers are known, so that they may be planted among those.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import ColumnElement, Connection, Select, and_, case, exists, or_, select

from models.records import Task
from selection.queueing import Deadline, Skills
from serving.store.deadlines import due_at, has_deadline
from serving.store.records import Actor
from serving.store.rows import STANDING, same_work
from serving.store.tables import corrections, item_tasks, items, leases, preannotations

ANYTHING = Skills()
PAGE = 500  # items whose labels are looked at together, for the categories that a person can do


@dataclass(frozen=True)
class Asking:
    """Who asks for items of a task, and will hold them ``until`` then; ``able`` is what they can do."""

    task: Task
    annotator: str
    actor: Actor
    now: datetime
    until: datetime
    able: Skills = ANYTHING

    def leases(self, ids: Sequence[str], planted: bool = False) -> list[dict[str, Any]]:
        """Rows of ``leases`` by which they hold those items."""
        whose = {"task": self.task, "annotator": self.annotator, "leased_at": self.now, "expires_at": self.until,
                 "planted": planted, "actor": self.actor}  # fmt: skip
        return [{"id": uuid4().hex, "item_id": item_id, **whose} for item_id in ids]


@dataclass(frozen=True)
class Waits:
    """The items that wait for who asks, within a transaction; each list is of ids, whose rows it locks.

    An item of which no language is known may be in any that they know.
    """

    connection: Connection
    by: Asking

    @property
    def task(self) -> Task:
        return self.by.task

    def second_looks(self, since: datetime, limit: int) -> list[str]:
        """Items that wait for a second look, oldest first: by somebody else than who had the first, or after ``since``
        by anybody."""
        first = corrections.c.id == item_tasks.c.correction_id
        own = exists().where(first, corrections.c.annotator == self.by.annotator)
        chosen = self._open("contested").where(or_(item_tasks.c.contested_at <= since, ~own))
        return self._first(chosen.order_by(item_tasks.c.contested_at, item_tasks.c.item_id), limit)

    def drawn(self, limit: int) -> list[str]:
        """Audit items, in the order of their draw."""
        return self._first(self.ranked(True, item_tasks.c.draw), limit)

    def others(self, by_draw: bool, limit: int) -> list[str]:
        """Those that were not drawn at random, in the order of their draw or the most doubtful first."""
        return self._first(self.ranked(False, item_tasks.c.draw if by_draw else item_tasks.c.priority.desc()), limit)

    def due(self, until: datetime, deadlines: Sequence[Deadline], limit: int) -> list[str]:
        """All those that are due before then, the earliest first, of those due together the most doubtful."""
        chosen = self._open("preannotated").where(has_deadline(deadlines, until))
        first = due_at(deadlines), item_tasks.c.priority.desc(), item_tasks.c.item_id
        return self._first(chosen.order_by(*first), limit)

    def known(
        self, among: ColumnElement[bool], limit: int, until: datetime | None, deadlines: Sequence[Deadline]
    ) -> list[str]:
        """Corrected items that this person can do and never had, in the order in which their labels came, and that are
        not due before ``until``; ``among`` says which corrections come into question. Nothing is locked."""
        had, own = leases.alias("had"), corrections.alias("own")
        held = exists().where(had.c.item_id == item_tasks.c.item_id, had.c.task == self.task,
                              had.c.annotator == self.by.annotator)  # fmt: skip
        # By item: SQLite would find all of a person's for each item, and PostgreSQL reads a long NOT IN as often.
        given = exists().where(own.c.item_id == item_tasks.c.item_id, own.c.task == self.task,
                               own.c.annotator.concat("") == self.by.annotator)  # fmt: skip
        shown = STANDING.is_not(None)
        # Also by item, for item_tasks has no index by its correction.
        counts = and_(corrections.c.id == item_tasks.c.correction_id, same_work(corrections, item_tasks))
        chosen = select(item_tasks.c.item_id).join(corrections, counts)
        chosen = chosen.where(corrections.c.task == self.task, item_tasks.c.state == "corrected", among, shown)
        chosen = chosen.where(~held, ~given, *self._in_their_languages())
        if until is not None:
            chosen = chosen.where(case((has_deadline(deadlines, until), 1), else_=0) == 0)
        return self._first(chosen.order_by(corrections.c.id), limit)

    def ranked(self, audit: bool, ranking: Any) -> Select[Any]:
        """The ids of audit items, or of the others, in an order that an index has."""
        chosen = self._open("preannotated").where(item_tasks.c.audit == audit)
        return chosen.order_by(ranking, item_tasks.c.item_id)

    def _open(self, state: str) -> Select[Any]:
        chosen = select(item_tasks.c.item_id).where(item_tasks.c.task == self.task, item_tasks.c.state == state)
        return chosen.where(~self._given_back(), *self._in_their_languages()).with_for_update(skip_locked=True)

    def _given_back(self) -> ColumnElement[bool]:
        """Whether the person ended the lease of an item without a word on it, and its time has not come yet."""
        of_item = and_(leases.c.item_id == item_tasks.c.item_id, leases.c.task == self.task)
        wordless = and_(leases.c.correction_id.is_(None), leases.c.unfit_id.is_(None))
        ended = and_(leases.c.ended_at.is_not(None), wordless, leases.c.expires_at > self.by.now)
        return exists().where(of_item, leases.c.annotator == self.by.annotator, ended)

    def _in_their_languages(self) -> list[ColumnElement[bool]]:
        if self.by.able.languages is None:
            return []
        foreign = and_(items.c.language.is_not(None), items.c.language.not_in(self.by.able.languages))
        return [~exists().where(items.c.id == item_tasks.c.item_id, foreign)]

    def _first(self, chosen: Select[Any], limit: int) -> list[str]:
        if self.by.able.categories is None:
            return list(self.connection.execute(chosen.limit(limit)).scalars())
        found, offset = list[str](), 0
        while len(found) < limit:
            page = self.connection.execute(chosen.limit(PAGE).offset(offset)).scalars().all()
            if not page:
                break
            named = self._categories(page)
            found += [item_id for item_id in page if named[item_id] <= set(self.by.able.categories)]
            offset += PAGE
        return found[:limit]

    def _categories(self, ids: Sequence[str]) -> dict[str, set[str]]:
        """The categories of the boxes that a version saw, of each item."""
        said = select(preannotations.c.item_id, preannotations.c.label)
        said = said.select_from(item_tasks).join(preannotations, preannotations.c.id == STANDING)
        rows = self.connection.execute(said.where(item_tasks.c.task == self.task, item_tasks.c.item_id.in_(ids))).all()
        return {row.item_id: {box["category"] for box in row.label.get("boxes", ())} for row in rows}
