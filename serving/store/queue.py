"""The queue and what comes back from it: leases, corrections, and what corrections teach."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Row, Select, and_, bindparam, case, func, or_, select, update

from models.errors import NotFound, Stale
from models.records import Correction, Item, Label, Seconds, Task, to_json
from selection.queueing import Deadline, Skills
from serving.store.database import Database, log
from serving.store.items import answer_of, item_of, label_of
from serving.store.records import Actor, Leased, Receipt, Unfit, Worked
from serving.store.tables import corrections, item_tasks, items, leases, preannotations, unfit
from serving.store.waiting import Waits

_BACK = {  # what becomes of an item that nobody holds any more
    "state": case((item_tasks.c.contested_at.is_not(None), "contested"), else_="preannotated"),
    "lease_id": None,
    "lease_until": None,
}
ANYTHING = Skills()
KNOWN = 512  # items that people had last, which a strategy is told of


@dataclass(frozen=True, eq=False)
class Waiting:
    """What a strategy chooses from: items of a task that wait, in the order of their ids, and what people already have.

    ``items`` (n,), ``p_error`` (n,) in [0, 1], ``seconds`` (n,) expected of a person, ``embeddings`` (n, d). ``had``
    are the items that are held or were corrected last, ``known`` (m, d) the embeddings of those where they are as wide.
    ``labels`` is what a version said of each of all these, by id, where the order reads them.
    """

    task: Task
    items: Sequence[Item]
    p_error: NDArray[np.float64]
    seconds: NDArray[np.float64]
    embeddings: NDArray[np.float32]
    had: Sequence[Item]
    known: NDArray[np.float32]
    labels: Mapping[str, Label]


Choose: TypeAlias = Callable[[Waiting, int], Sequence[int]]  # (what waits, budget) -> indices


@dataclass(frozen=True)
class Order:
    """Which items come first: by ``priority`` (the raw doubt), by their random ``draw``, or ``audit`` items alone.

    Audit items come in the order of their draw, and else only where nothing else is left: whom people look at to keep
    the promise honest must not depend on any score.
    Where ``choose(waiting, budget) -> indices`` is given, it picks among the first ``window``, and sees their labels if
    it ``reads_labels``. Where it is of what is due ``until`` a time, by ``deadlines`` of groups or its own, only that
    comes, the earliest first.
    Where there are ``seconds``, items are taken as long as they fit into them together, by the seconds that a person is
    expected to need.
    """

    by: Literal["priority", "draw", "audit"]
    window: int = 0
    choose: Choose | None = None
    reads_labels: bool = False
    until: datetime | None = None
    deadlines: Sequence[Deadline] = ()
    seconds: Seconds | None = None


class Queue:
    """Hands out items under leases and takes corrections."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def lease(
        self,
        task: Task,
        limit: int,
        order: Order,
        annotator: str,
        actor: Actor,
        now: datetime,
        until: datetime,
        able: Skills = ANYTHING,
    ) -> list[Leased]:
        """Up to ``limit`` items that nobody holds, most useful first, held by ``annotator`` until ``until``.

        ``able`` is what they can do; an item of which no language is known may be in any. What they gave back is kept
        from them until the lease of it would have ended.
        """
        with self._database.writing() as connection:
            self._database.lock(connection, f"lease {task}")
            _end_leases(connection, task, now)
            ids = _next(Waits(connection, task, annotator, able, now), limit, order, now - (until - now))
            whose = {"task": task, "annotator": annotator, "leased_at": now, "expires_at": until, "planted": False,
                     "actor": actor}  # fmt: skip
            held: list[dict[str, Any]] = [{"id": uuid4().hex, "item_id": item_id, **whose} for item_id in ids]
            _hold(connection, held)
            found = {row.item_id: row for row in connection.execute(with_answers(task, ids)).all()}
        return [leased_of(found[lease["item_id"]], lease["id"], until) for lease in held]

    def correct(self, correction: Correction, lease_id: str | None, actor: Actor, now: datetime) -> Receipt:
        """Adds a correction; the item is done for that task, and the newest correction counts.

        What somebody says of an item that was planted for them changes nothing of the item.

        Raises:
            NotFound: the item is not registered for the task, or the lease is not of this item.
            Stale: the lease is over, or someone else's correction ended it.
        """
        item_id, task, key = correction.item_id, correction.task, correction_key(correction)
        where = and_(item_tasks.c.item_id == item_id, item_tasks.c.task == task)
        with self._database.writing() as connection:
            current = connection.execute(select(item_tasks).where(where).with_for_update()).one_or_none()
            if current is None:
                raise NotFound(f"item: expected one registered for task {task}, got {item_id!r}")
            known = connection.execute(select(corrections.c.id).where(corrections.c.key == key)).scalar()
            if known is not None:
                return Receipt(item_id, known, repeated=True)
            if lease_id is not None:
                check_lease(connection, item_id, task, lease_id, now)
            values = _columns(correction, key) | {"received_at": now, "lease_id": lease_id, "actor": actor}
            values["counted_at"] = min(correction.created_at, now)
            values["planted"] = bool(planted := planted_leases(connection, correction, lease_id))
            added = connection.execute(corrections.insert().values(**values).returning(corrections.c.id)).scalar_one()
            if planted:
                ended = update(leases).where(leases.c.id.in_(planted), leases.c.ended_at.is_(None))
                connection.execute(ended.values(ended_at=now, correction_id=added))
                log(connection, now, actor, "correct", item_id, {"task": task, "correction": added, "planted": True})
                return Receipt(item_id, added, repeated=False)
            state = "preannotated" if _withdrawn_meanwhile(connection, current.lease_id) else "corrected"
            counts = newest_correction(connection, item_id, task)
            done = {"state": state, "correction_id": counts, "lease_id": None, "lease_until": None, "failure": None,
                    "updated_at": now, "actor": actor}  # fmt: skip
            connection.execute(update(item_tasks).where(where).values(**done))
            if current.lease_id is not None:
                ended = update(leases).where(leases.c.id == current.lease_id)
                connection.execute(ended.values(ended_at=now, correction_id=added))
            end_word(connection, item_id, task, now)
            log(connection, now, actor, "correct", item_id, {"task": task, "correction": added})
        return Receipt(item_id, added, repeated=False)

    def release(self, lease_id: str, actor: Actor, now: datetime) -> None:
        """Puts an item back that its person does not want to work on; a lease that is over already stays as it is.

        Raises:
            NotFound: there is no such lease.
        """
        with self._database.writing() as connection:
            lease = connection.execute(select(leases).where(leases.c.id == lease_id)).one_or_none()
            if lease is None:
                raise NotFound(f"lease: expected the id of one, got {lease_id!r}")
            held = and_(item_tasks.c.item_id == lease.item_id, item_tasks.c.task == lease.task,
                        item_tasks.c.state == "leased", item_tasks.c.lease_id == lease_id)  # fmt: skip
            back = update(item_tasks).where(held).values(**_BACK, updated_at=now, actor=actor)
            planted = lease.planted and lease.ended_at is None
            if planted or connection.execute(back).rowcount:
                connection.execute(update(leases).where(leases.c.id == lease_id).values(ended_at=now))
                log(connection, now, actor, "release", lease.item_id, {"task": lease.task, "lease": lease_id})

    def withdraw(self, correction_id: int, actor: Actor, now: datetime) -> None:
        """Lets a correction count no longer; the newest other one does, or else the item is open again.

        Raises:
            NotFound: there is no such correction.
        """
        with self._database.writing() as connection:
            where = corrections.c.id == correction_id
            given = connection.execute(select(corrections).where(where).with_for_update()).one_or_none()
            if given is None:
                raise NotFound(f"correction: expected the id of one, got {correction_id}")
            if given.withdrawn_at is not None:
                return
            connection.execute(update(corrections).where(where).values(withdrawn_at=now))
            of_item = and_(item_tasks.c.item_id == given.item_id, item_tasks.c.task == given.task)
            current = connection.execute(select(item_tasks).where(of_item).with_for_update()).one()
            if current.correction_id == correction_id:
                newest = newest_correction(connection, given.item_id, given.task)
                opened = "preannotated" if current.preannotation_id is not None else "registered"
                state = current.state if newest is not None else opened
                change = {"state": state, "correction_id": newest, "updated_at": now, "actor": actor}
                connection.execute(update(item_tasks).where(of_item).values(**change))
            log(connection, now, actor, "withdraw", given.item_id, {"task": given.task, "correction": correction_id})

    def corrected(self, task: Task) -> Iterator[tuple[Item, Label]]:
        """Every corrected item with the label that counts, in the order of item ids."""
        chosen = select(items, corrections.c.label).join(item_tasks, item_tasks.c.item_id == items.c.id)
        chosen = chosen.join(corrections, corrections.c.id == item_tasks.c.correction_id)
        chosen = chosen.where(item_tasks.c.task == task, item_tasks.c.state == "corrected")
        for row in self._database.pages(chosen, items.c.id):
            yield item_of(row), label_of(task, row.label)

    def accepted(self, task: Task) -> Iterator[tuple[Item, Label]]:
        """Every item that was accepted unseen, with the label that was, in the order of item ids."""
        chosen = select(items, preannotations.c.label).join(item_tasks, item_tasks.c.item_id == items.c.id)
        chosen = chosen.join(preannotations, preannotations.c.id == item_tasks.c.preannotation_id)
        chosen = chosen.where(item_tasks.c.task == task, item_tasks.c.state == "accepted")
        for row in self._database.pages(chosen, items.c.id):
            yield item_of(row), label_of(task, row.label)

    def worked(self, task: Task, version: str, limit: int) -> list[Worked]:
        """The last corrections of what a version said, as far as people saw all of it or began from nothing."""
        chosen = select(corrections.c.label.label("given"), corrections.c.seconds, preannotations.c.label,
                        preannotations.c.decision, preannotations.c.duration_s)  # fmt: skip
        chosen = chosen.join(preannotations, and_(preannotations.c.item_id == corrections.c.item_id,
                                                  preannotations.c.task == corrections.c.task,
                                                  preannotations.c.version == corrections.c.model_version))  # fmt: skip
        chosen = chosen.where(corrections.c.task == task, corrections.c.model_version == version,
                              corrections.c.seconds > 0, preannotations.c.parts.is_(None))  # fmt: skip
        with self._database.reading() as connection:
            rows = connection.execute(chosen.order_by(corrections.c.id.desc()).limit(limit)).all()
        return [Worked(None if row.decision == "annotate" else label_of(task, row.label), label_of(task, row.given),
                       row.seconds, row.duration_s) for row in rows]  # fmt: skip

    def seconds(self, task: Task) -> list[tuple[str | None, int, float]]:
        """(model version, corrections, human seconds), one line for each version that people corrected; planted items
        are told apart (``planting``)."""
        version = corrections.c.model_version
        chosen = select(version, func.count(), func.sum(corrections.c.seconds))
        chosen = chosen.where(corrections.c.task == task, ~corrections.c.planted)
        with self._database.reading() as connection:
            rows = connection.execute(chosen.group_by(version)).all()
        return sorted(((name, n, float(seconds)) for name, n, seconds in rows), key=lambda line: line[0] or "")

    def without_seconds(self, task: Task) -> int:
        """How many corrections came from a tool that told no seconds."""
        chosen = select(func.count()).where(corrections.c.task == task, corrections.c.seconds == 0)
        chosen = chosen.where(~corrections.c.planted)
        with self._database.reading() as connection:
            return int(connection.execute(chosen).scalar_one())

    def seconds_since(self, task: Task, since: datetime) -> float:
        """Human seconds that came from then on."""
        chosen = select(func.sum(corrections.c.seconds)).where(
            corrections.c.task == task, corrections.c.received_at >= since
        )
        with self._database.reading() as connection:
            return float(connection.execute(chosen).scalar() or 0.0)

    def last_given(self, task: Task, limit: int) -> list[tuple[Label, float | None]]:
        """What people gave last, and how long the sounds are that it belongs to."""
        said = and_(preannotations.c.item_id == corrections.c.item_id, preannotations.c.task == corrections.c.task,
                    preannotations.c.version == corrections.c.model_version)  # fmt: skip
        chosen = select(corrections.c.label, preannotations.c.duration_s).outerjoin(preannotations, said)
        chosen = chosen.where(corrections.c.task == task, corrections.c.withdrawn_at.is_(None), ~corrections.c.planted)
        with self._database.reading() as connection:
            rows = connection.execute(chosen.order_by(corrections.c.id.desc()).limit(limit)).all()
        return [(label_of(task, row.label), row.duration_s) for row in rows]


def correction_key(correction: Correction) -> str:
    """What makes two corrections the same one: who said what about which item, with which tool, and when."""
    same = {name: value for name, value in to_json(correction).items() if name not in ("seconds", "model_version")}
    same["created_at"] = correction.created_at.astimezone(UTC).isoformat()
    return hashlib.sha256(json.dumps(same, sort_keys=True).encode()).hexdigest()


def _columns(correction: Correction, key: str) -> dict[str, Any]:
    return {
        "key": key,
        "item_id": correction.item_id,
        "task": correction.task,
        "label": to_json(correction.label),
        "annotator": correction.annotator,
        "seconds": correction.seconds,
        "tool": correction.tool,
        "created_at": correction.created_at,
        "model_version": correction.model_version,
    }


def _next(waits: Waits, limit: int, order: Order, since: datetime) -> list[str]:
    """The ids of the next items in an order; second looks by anybody are for those that wait since then."""
    if order.until is not None:
        return _fitting(waits, waits.due(order.until, order.deadlines, limit), (), limit, order.seconds)
    audits = [*waits.second_looks(since, limit), *waits.drawn(limit)]
    if order.by == "audit":
        return _fitting(waits, (), audits, limit, order.seconds)
    others = waits.others(order.by == "draw", max(limit, order.window))
    if order.choose is not None:
        others = _chosen(waits.connection, waits.task, others, order.choose, limit, order.reads_labels)
    return _fitting(waits, others, audits[: max(0, limit - len(others))], limit, order.seconds)


def _fitting(
    waits: Waits, others: Sequence[str], audits: Sequence[str], limit: int, seconds: Seconds | None
) -> list[str]:
    """First the others, as far as there are places and seconds, and then the audits. An audit item that does not fit
    ends them: how long one takes must not decide whether it comes before another."""
    if seconds is None:
        return [*others, *audits][:limit]
    rows = waits.connection.execute(with_answers(waits.task, [*others, *audits])).all()
    costs, left, taken = {row.item_id: row.seconds for row in rows}, seconds, list[str]()
    for one in others:
        if costs[one] <= left and len(taken) < limit:
            taken.append(one)
            left -= costs[one]
    fitting = np.searchsorted(np.cumsum([costs[one] for one in audits]), left, side="right")
    return [*taken, *audits[: int(fitting)]][:limit]


def _end_leases(connection: Connection, task: Task, now: datetime) -> None:
    """Puts items back whose lease has ended by its time."""
    ended = select(item_tasks.c.item_id).where(item_tasks.c.task == task, item_tasks.c.state == "leased")
    ended = ended.where(item_tasks.c.lease_until <= now).with_for_update(skip_locked=True)
    back = [{"of_item": item_id} for item_id in connection.execute(ended).scalars().all()]
    if back:
        where = and_(item_tasks.c.item_id == bindparam("of_item"), item_tasks.c.task == task)
        connection.execute(update(item_tasks).where(where).values(**_BACK), back)


def _chosen(
    connection: Connection, task: Task, ids: Sequence[str], choose: Choose, budget: int, labels: bool
) -> list[str]:
    """The strategy's picks first, then the others as they came.

    While a new version has not seen all of them, embeddings may have two widths: the strategy sees the more common one.
    """
    found = connection.execute(_outlines(task, ids, labels)).all()
    if not found:
        return []
    (width, _), *_ = Counter(len(row.embedding) for row in found).most_common()
    rows = [row for row in found if len(row.embedding) == width]
    had = connection.execute(_outlines(task, _had(connection, task), labels)).all()
    waiting = Waiting(
        task=task,
        items=_items(rows),
        p_error=np.array([row.p_error for row in rows], dtype=np.float64),
        seconds=np.array([row.seconds for row in rows], dtype=np.float64),
        embeddings=_embeddings(rows, width),
        had=_items(had),
        known=_embeddings(had, width),
        labels={row.item_id: label_of(task, row.label) for row in (*rows, *had)} if labels else {},
    )
    picks = [rows[index].item_id for index in choose(waiting, min(budget, len(rows)))]
    return list(dict.fromkeys([*picks, *ids]))


def _had(connection: Connection, task: Task) -> list[str]:
    """The items that people hold or corrected last."""
    held = select(item_tasks.c.item_id).where(item_tasks.c.task == task, item_tasks.c.state == "leased").limit(KNOWN)
    last = select(corrections.c.item_id).where(corrections.c.task == task).order_by(corrections.c.id.desc())
    return [item_id for some in (held, last.limit(KNOWN)) for item_id in connection.execute(some).scalars()]


def _outlines(task: Task, ids: Sequence[str], labels: bool) -> Select[Any]:
    """What strategies look at, in the order of ids, by which their ties break."""
    said = preannotations.c
    columns = [said.item_id, said.p_error, said.seconds, said.embedding, *([said.label] if labels else [])]
    chosen = with_answers(task, ids).with_only_columns(*columns, items.c.uri, items.c.item_group, items.c.language)
    return chosen.order_by(said.item_id)


def _items(rows: Sequence[Row[Any]]) -> list[Item]:
    return [Item(row.item_id, row.uri, row.item_group, row.language) for row in rows]


def _embeddings(rows: Sequence[Row[Any]], width: int) -> NDArray[np.float32]:
    """Those (n, width) of that width; other versions' may have another."""
    found = [row.embedding for row in rows if len(row.embedding) == width]
    return np.array(found, np.float32).reshape(-1, width)


def _hold(connection: Connection, held: Sequence[dict[str, Any]]) -> None:
    if not held:
        return
    connection.execute(leases.insert(), list(held))
    where = and_(item_tasks.c.item_id == bindparam("of_item"), item_tasks.c.task == bindparam("of_task"))
    change = {"state": "leased", "lease_id": bindparam("by"), "lease_until": bindparam("until")}
    rows = [{"of_item": lease["item_id"], "of_task": lease["task"], "by": lease["id"], "until": lease["expires_at"]}
            for lease in held]  # fmt: skip
    connection.execute(update(item_tasks).where(where).values(**change), rows)


def leased_of(row: Row[Any], lease_id: str, until: datetime) -> Leased:
    """A lease of the item in a row of ``with_answers``."""
    item = Item(id=row.item_id, uri=row.uri, group=row.item_group, language=row.language)
    return Leased(item, row.task, lease_id, until, answer_of(row), row.due_at)


def with_answers(task: Task, ids: Sequence[str]) -> Select[Any]:
    """Items with the pre-annotations that count."""
    chosen = select(preannotations, items.c.uri, items.c.item_group, items.c.language, item_tasks.c.due_at)
    chosen = chosen.join(item_tasks, item_tasks.c.preannotation_id == preannotations.c.id)
    chosen = chosen.join(items, items.c.id == item_tasks.c.item_id)
    return chosen.where(item_tasks.c.task == task, item_tasks.c.item_id.in_(ids))


def newest_correction(connection: Connection, item_id: str, task: Task) -> int | None:
    """The correction of an item that counts: the newest that was not withdrawn, of those who were asked for a label."""
    chosen = select(corrections.c.id).where(corrections.c.item_id == item_id, corrections.c.task == task)
    chosen = chosen.where(corrections.c.withdrawn_at.is_(None), ~corrections.c.planted)
    return connection.execute(
        chosen.order_by(corrections.c.counted_at.desc(), corrections.c.id.desc()).limit(1)
    ).scalar()


def end_word(connection: Connection, item_id: str, task: Task, now: datetime) -> None:
    """Lets the word that an item is unfit stand no longer, if there is one."""
    stands = and_(unfit.c.item_id == item_id, unfit.c.task == task, unfit.c.withdrawn_at.is_(None))
    connection.execute(update(unfit).where(stands).values(withdrawn_at=now))


def check_lease(connection: Connection, item_id: str, task: Task, lease_id: str, now: datetime) -> None:
    """Raises NotFound where a lease is not of that item, and Stale where it is over or someone else ended it."""
    lease = connection.execute(select(leases).where(leases.c.id == lease_id)).one_or_none()
    if lease is None or (lease.item_id, lease.task) != (item_id, task):
        raise NotFound(f"lease: expected one of item {item_id} and task {task}, got {lease_id!r}")
    if lease.correction_id is not None:
        ended_by = connection.execute(select(corrections).where(corrections.c.id == lease.correction_id)).one()
        if ended_by.lease_id != lease_id:
            raise Stale(f"lease {lease_id}: {ended_by.annotator!r} corrected item {item_id} "
                        f"at {ended_by.received_at:%Y-%m-%d %H:%M:%S} UTC")  # fmt: skip
    if lease.unfit_id is not None:
        word = connection.execute(select(unfit).where(unfit.c.id == lease.unfit_id)).one()
        if word.lease_id != lease_id:
            raise Stale(f"lease {lease_id}: {word.annotator!r} found item {item_id} unfit "
                        f"at {word.received_at:%Y-%m-%d %H:%M:%S} UTC")  # fmt: skip
    if now >= lease.expires_at:
        raise Stale(f"lease {lease_id} of item {item_id}: expected a correction before "
                    f"{lease.expires_at:%Y-%m-%d %H:%M:%S} UTC, got it at {now:%Y-%m-%d %H:%M:%S} UTC")  # fmt: skip


def planted_leases(connection: Connection, said: Correction | Unfit, lease_id: str | None) -> list[str]:
    """The leases by which the item was planted for this person, whether or not they name one."""
    chosen = select(leases.c.id).where(leases.c.item_id == said.item_id, leases.c.task == said.task)
    theirs = or_(leases.c.annotator == said.annotator, leases.c.id == lease_id)
    return list(connection.execute(chosen.where(leases.c.planted, theirs)).scalars())


def _withdrawn_meanwhile(connection: Connection, lease_id: str | None) -> bool:
    """Whether the person saw parts of an item, and the promise of the others was withdrawn while they held it."""
    chosen = select(leases.c.id).where(leases.c.id == lease_id, leases.c.ended_at.is_not(None))
    return lease_id is not None and connection.execute(chosen).first() is not None
