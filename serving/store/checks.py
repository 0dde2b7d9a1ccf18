"""What people found on audit items, drawn at random: all that calibrations and promises may rest on."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import chain
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, exists, func, or_, select, true, update

from models.records import Item, Task
from serving.store.database import Database, in_pages, log
from serving.store.records import Actor, Audited, OpenCheck, Place
from serving.store.rows import about_of, item_of, label_of, of_task, preannotation_of, same_work
from serving.store.tables import corrections, events, item_tasks, items, leases, preannotations, trained_items, unfit

_FIRST = corrections.alias("first_given")  # what an item's first person said, whatever became of it
# While a check waits for a second look, what the first one found counts.
_WAITS = and_(item_tasks.c.contested_at.is_not(None), item_tasks.c.state.not_in(["corrected", "unfit"]))
_OPEN = and_(item_tasks.c.state.in_(["preannotated", "leased"]), item_tasks.c.contested_at.is_(None))
_CORRECTED = item_tasks.c.state == "corrected"
_CHECKED = or_(_CORRECTED, _WAITS)


class Checks:
    """Reads corrected audit items beside what a version said of them, and puts some up for a second look."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def audited(
        self, task: Task, version: str, ancestry: Sequence[str], since: datetime | None = None
    ) -> Iterator[Audited]:
        """What ``version`` said about audit items, corrected after ``since``, that no version of ``ancestry`` was
        trained on, in the order of their ids."""
        return self.among(task, version, ancestry, sorted(self.counting(task, version, ancestry, since)))

    def counting(
        self, task: Task, version: str, ancestry: Sequence[str], since: datetime | None = None
    ) -> dict[str, int]:
        """Which items these are, each with the correction that counts."""
        chosen = select(item_tasks.c.item_id, item_tasks.c.correction_id)
        chosen = chosen.join(preannotations, same_work(preannotations, item_tasks))
        chosen = chosen.where(preannotations.c.version == version, *_fresh(task, ancestry))
        if since is not None:
            chosen = chosen.join(corrections, corrections.c.id == item_tasks.c.correction_id)
            chosen = chosen.where(corrections.c.received_at > since)
        return {row[0]: row[1] for row in self._database.rows(chosen)}

    def among(self, task: Task, version: str, ancestry: Sequence[str], ids: Sequence[str]) -> Iterator[Audited]:
        """The same of some of these items, in the order given."""
        for page in in_pages(ids):
            chosen = _audited(task, version, ancestry).where(item_tasks.c.item_id.in_(page))
            found = {row.item_id: row for row in self._database.rows(chosen)}
            yield from (_audit(found[item_id]) for item_id in page if item_id in found)

    def after(self, task: Task, version: str, ancestry: Sequence[str], last: int) -> list[Audited]:
        """The same audit items, of corrections after the ``last`` one, in the order in which these came; those that
        wait for a second look come with that."""
        new = item_tasks.c.correction_id > last  # of the item, which is looked at before all that is joined to it
        chosen = _audited(task, version, ancestry).where(new, item_tasks.c.state == "corrected")
        chosen = chosen.order_by(corrections.c.id)
        return [_audit(row) for row in self._database.rows(chosen)]

    def unanswered(self, task: Task, version: str, ancestry: Sequence[str]) -> Iterator[Item]:
        """The same audit items where ``version`` has not been asked yet."""
        answered = exists().where(
            preannotations.c.item_id == items.c.id,
            preannotations.c.task == task,
            preannotations.c.version == version,
        )
        chosen = select(items).join(item_tasks, item_tasks.c.item_id == items.c.id)
        chosen = chosen.where(~answered, *_fresh(task, ancestry))
        for row in self._database.pages(chosen, items.c.id):
            yield item_of(row)

    def count(self, task: Task) -> int:
        """How many audit items of the task are corrected: each of the two kinds by an index of its own."""
        chosen = select(func.count()).select_from(item_tasks).where(item_tasks.c.task == task, item_tasks.c.audit)
        with self._database.reading() as connection:
            each = (connection.execute(chosen.where(one)).scalar_one() for one in (_CORRECTED, _WAITS))
            return sum(map(int, each))

    def unsettled(self, task: Task, ancestry: Sequence[str], now: datetime) -> Place | None:
        """The place of the first check, in the order of handing out, that a person holds or that waits for a second
        look; None where all that were handed out are settled."""
        places = item_tasks.c.draw, item_tasks.c.item_id
        held = select(leases.c.leased_at.label("handed_at"), *places)
        held = held.join(item_tasks, item_tasks.c.lease_id == leases.c.id)
        held = held.where(
            item_tasks.c.state == "leased", item_tasks.c.contested_at.is_(None), leases.c.expires_at > now
        )
        return min(filter(None, (self._first(held, task, ancestry), self.contested(task, ancestry))), default=None)

    def contested(self, task: Task, ancestry: Sequence[str], since: datetime | None = None) -> Place | None:
        """The place of the first check, in the order of handing out, that waits for a second look (``since`` then), if
        one does."""
        chosen = select(_handed_at(), item_tasks.c.draw, item_tasks.c.item_id).select_from(item_tasks)
        lately = true() if since is None else item_tasks.c.contested_at > since
        return self._first(_with_first(chosen).where(_WAITS, lately), task, ancestry)

    def _first(self, chosen: Select[Any], task: Task, ancestry: Sequence[str]) -> Place | None:
        rows = self._database.rows(chosen.where(*_audit_items(task, ancestry)))
        return min(((row.handed_at, row.draw, row.item_id) for row in rows), default=None)

    def open(self, task: Task, ancestry: Sequence[str]) -> list[OpenCheck]:
        """The audit items that wait for their first person or are with one, in the order of their draw."""
        said = preannotations.alias("said_first")
        since = select(func.min(said.c.created_at)).where(said.c.item_id == item_tasks.c.item_id, said.c.task == task)
        since_then = since.correlate(item_tasks).scalar_subquery().label("since")
        chosen = select(item_tasks.c.item_id, item_tasks.c.draw, since_then)
        chosen = chosen.where(_OPEN, *_audit_items(task, ancestry)).order_by(item_tasks.c.draw, item_tasks.c.item_id)
        with self._database.reading() as connection:
            again = _back_since(connection, task)
            rows = connection.execute(chosen).all()
        return [OpenCheck(row.item_id, row.draw, max(row.since, again.get(row.item_id, row.since))) for row in rows]

    def is_open(self, task: Task, item_id: str) -> bool:
        """Whether an item is one of these."""
        chosen = select(item_tasks.c.item_id).where(_OPEN, of_task(item_id, task), item_tasks.c.audit)
        return self._database.value(chosen) is not None

    def contest(self, item_id: str, task: Task, correction_id: int, actor: Actor, now: datetime) -> bool:
        """Puts a checked audit item up for a second look, and returns whether it was; only once in its life.

        Until somebody has looked, the correction counts as the truth of the check.
        """
        where = and_(of_task(item_id, task), item_tasks.c.state == "corrected", item_tasks.c.audit,
                     item_tasks.c.correction_id == correction_id, item_tasks.c.contested_at.is_(None))  # fmt: skip
        change = {"state": "contested", "contested_at": now, "updated_at": now, "actor": actor}
        with self._database.writing() as connection:
            contested = connection.execute(update(item_tasks).where(where).values(**change)).rowcount > 0
            if contested:
                log(connection, now, actor, "contest", item_id, {"task": task, "correction": correction_id})
        return contested


def _back_since(connection: Connection, task: Task) -> dict[str, datetime]:
    """Since when items wait again that had left the queue: a correction, or a word that they are unfit, was taken back,
    or their media, which could not be read, were tried again."""
    gone, tried = corrections.c.withdrawn_at, events.c.verb == "retry"
    left = select(corrections.c.item_id, gone).where(
        corrections.c.task == task, gone.is_not(None), ~corrections.c.planted
    )
    word = select(unfit.c.item_id, unfit.c.withdrawn_at).where(unfit.c.task == task, unfit.c.withdrawn_at.is_not(None))
    failed = select(events.c.subject, events.c.at).where(tried, events.c.detail["task"].as_string() == task)
    back: dict[str, datetime] = {}
    for item_id, at in chain.from_iterable(connection.execute(chosen).all() for chosen in (left, word, failed)):
        back[item_id] = max(at, back.get(item_id, at))
    return back


def _audited(task: Task, version: str, ancestry: Sequence[str]) -> Select[Any]:
    checked = corrections.c.id.label("correction_id"), corrections.c.received_at, corrections.c.label.label("truth")
    leased = _FIRST.c.lease_id.is_not(None).label("leased")
    about = items.c.item_group, items.c.language, item_tasks.c.gold_at, item_tasks.c.draw.label("item_draw")
    chosen = select(preannotations, *about, items.c.registered_at, _handed_at(), leased, *checked)
    chosen = chosen.join(item_tasks, same_work(item_tasks, preannotations))
    chosen = chosen.join(items, items.c.id == item_tasks.c.item_id)
    chosen = chosen.join(corrections, corrections.c.id == item_tasks.c.correction_id)
    return _with_first(chosen).where(preannotations.c.version == version, *_fresh(task, ancestry))


def _with_first(chosen: Select[Any]) -> Select[Any]:
    """With the first correction of each item and the lease under which it came, if it came under one."""
    given = corrections.alias("given")
    first = select(func.min(given.c.id)).where(same_work(given, item_tasks))
    first = first.where(given.c.withdrawn_at.is_(None), ~given.c.planted).correlate(item_tasks)
    chosen = chosen.join(_FIRST, same_work(_FIRST, item_tasks)).outerjoin(leases, leases.c.id == _FIRST.c.lease_id)
    return chosen.where(_FIRST.c.id == first.scalar_subquery())


def _handed_at() -> ColumnElement[datetime]:
    """When its first person was handed an item; where they took it from elsewhere, when they had done it."""
    return func.coalesce(leases.c.leased_at, _FIRST.c.received_at).label("handed_at")


def _audit(row: Row[Any]) -> Audited:
    said, truth = preannotation_of(row), label_of(row.task, row.truth)
    times = row.created_at, row.received_at, row.handed_at, row.registered_at
    return Audited(row.item_id, about_of(row), row.item_draw, said, truth, row.correction_id, *times, row.leased)


def _fresh(task: Task, ancestry: Sequence[str]) -> tuple[Any, ...]:
    return *_audit_items(task, ancestry), _CHECKED


def _audit_items(task: Task, ancestry: Sequence[str]) -> tuple[Any, ...]:
    trained_on = exists().where(
        trained_items.c.item_id == item_tasks.c.item_id, trained_items.c.version.in_(list(ancestry))
    )
    return item_tasks.c.task == task, item_tasks.c.audit, ~trained_on
