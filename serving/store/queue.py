"""The queue and what comes back from it: leases, corrections, and what corrections teach."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    and_,
    bindparam,
    case,
    delete,
    exists,
    func,
    or_,
    select,
    true,
    update,
)

from models.errors import NotFound, Stale
from models.records import Correction, Item, Label, Task, to_json
from serving.store.database import Database, log
from serving.store.order import Order, next_of
from serving.store.records import Actor, Answer, Leased, Receipt, Spent, Unfit, Worked
from serving.store.rows import NEWEST, STANDING, item_of, label_of, leased_of, locked, of_task, same_work, with_answers
from serving.store.tables import corrections, item_tasks, items, leases, preannotations, unfit
from serving.store.waiting import Asking, Waits

_BACK = {  # what becomes of an item that nobody holds any more
    "state": case((item_tasks.c.contested_at.is_not(None), "contested"), else_="preannotated"),
    "lease_id": None,
    "lease_until": None,
}
# What a version had said of what was corrected.
_SAID = and_(same_work(preannotations, corrections), preannotations.c.version == corrections.c.model_version)
_WORK = ~corrections.c.planted, ~corrections.c.known  # what people gave because a label was wanted


class Queue:
    """Hands out items under leases and takes corrections."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def lease(self, by: Asking, limit: int, order: Order) -> list[Leased]:
        """Up to ``limit`` items that nobody holds and that who asks can do, most useful first, which they hold then.

        What they gave back is kept from them until the lease of it would have ended.
        """
        with self._database.writing() as connection:
            self._database.lock(connection, f"lease {by.task}")
            _end_leases(connection, by.task, by.now)
            ids = next_of(Waits(connection, by), limit, order)
            held = by.leases(ids)
            _hold(connection, held)
            found = {row.item_id: row for row in connection.execute(with_answers(by.task, ids)).all()}
        return [leased_of(found[lease["item_id"]], lease["id"], by.until) for lease in held]

    def show(self, leased: Leased, answer: Answer) -> None:
        """Notes that who holds an item sees a newer answer than the one with which it was handed out."""
        said = answer.preannotation
        newer = select(preannotations.c.id).where(
            preannotations.c.item_id == said.item_id,
            preannotations.c.task == said.task,
            preannotations.c.version == said.model_version,
        )
        held = and_(of_task(said.item_id, said.task), item_tasks.c.lease_id == leased.lease_id)
        change = {"preannotation_id": newer.scalar_subquery(), "version": said.model_version,
                  "priority": said.uncertainty.score}  # fmt: skip
        with self._database.writing() as connection:
            connection.execute(update(item_tasks).where(held).values(**change))

    def shown(self, item_id: str, task: Task, lease_id: str) -> str | None:
        """The version whose answer the person sees who holds an item; of a planted one that is the newest."""
        planted = exists().where(leases.c.id == lease_id, leases.c.planted)
        seen = preannotations.c.id == case((planted, NEWEST), else_=STANDING)
        chosen = select(preannotations.c.version).select_from(item_tasks).join(preannotations, seen)
        version: str | None = self._database.value(chosen.where(of_task(item_id, task)))
        return version

    def correct(
        self,
        correction: Correction,
        lease_id: str | None,
        actor: Actor,
        now: datetime,
        of_gold: bool = False,
        timed: bool = True,
    ) -> Receipt:
        """Adds a correction; the item is done for that task, and the newest correction counts.

        One that is not ``timed`` by its sender is the same as the newest one, if it says the same.

        What somebody says of an item that was planted for them changes nothing of the item; nor, ``of_gold``, of one
        that is chosen as gold and has its label from somebody else: it was planted then.

        Raises:
            NotFound: the item is not registered for the task, or the lease is not of this item.
            Stale: the lease is over, or someone else's correction ended it.
        """
        item_id, task, key = correction.item_id, correction.task, correction_key(correction)
        with self._database.writing() as connection:
            current = locked(connection, item_id, task)
            known = connection.execute(select(corrections.c.id).where(corrections.c.key == key)).scalar()
            if known is None and not timed:
                known = _said_just_before(connection, correction, lease_id)
            if known is not None:
                return Receipt(item_id, known, repeated=True)
            if lease_id is not None:
                check_lease(connection, item_id, task, lease_id, now)
            values = _columns(correction, key) | {"received_at": now, "lease_id": lease_id, "actor": actor}
            values["counted_at"] = min(correction.created_at, now)
            planted = planted_leases(connection, correction, lease_id)
            if not planted and of_gold and _label_is_of_others(connection, current, correction.annotator):
                planted = [_plant(connection, correction, actor, now)]
            values["planted"] = bool(planted)
            added = connection.execute(corrections.insert().values(**values).returning(corrections.c.id)).scalar_one()
            if planted:
                ended = update(leases).where(leases.c.id.in_(planted), leases.c.ended_at.is_(None))
                connection.execute(ended.values(ended_at=now, correction_id=added))
                log(connection, now, actor, "correct", item_id, {"task": task, "correction": added, "planted": True})
                return Receipt(item_id, added, repeated=False)
            settle(connection, current, added, actor, now)
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
            held = item_tasks.c.state == "leased", item_tasks.c.lease_id == lease_id
            back = update(item_tasks).where(of_task(lease.item_id, lease.task), *held)
            back = back.values(**_BACK, updated_at=now, actor=actor)
            planted = lease.planted and lease.ended_at is None
            if planted or connection.execute(back).rowcount:
                connection.execute(update(leases).where(leases.c.id == lease_id).values(ended_at=now))
                log(connection, now, actor, "release", lease.item_id, {"task": lease.task, "lease": lease_id})

    def take_back(self, lease_ids: Sequence[str]) -> None:
        """Lets items be as if they had not been handed out: whoever asked for them left before they were told."""
        with self._database.writing() as connection:
            connection.execute(update(item_tasks).where(item_tasks.c.lease_id.in_(lease_ids)).values(**_BACK))
            connection.execute(delete(leases).where(leases.c.id.in_(lease_ids)))

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
            of_item = of_task(given.item_id, given.task)
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
        chosen = chosen.join(preannotations, _SAID)
        chosen = chosen.where(corrections.c.task == task, corrections.c.model_version == version,
                              corrections.c.seconds > 0, preannotations.c.parts.is_(None))  # fmt: skip
        rows = self._database.rows(chosen.order_by(corrections.c.id.desc()).limit(limit))
        return [Worked(None if row.decision == "annotate" else label_of(task, row.label), label_of(task, row.given),
                       row.seconds, row.duration_s) for row in rows]  # fmt: skip

    def seconds(self, task: Task) -> list[Spent]:
        """One line for each version that people corrected; planted items are told apart (``planting``), and labels that
        came with gold items are nobody's work."""
        version, seconds = corrections.c.model_version, corrections.c.seconds
        labelled = func.count(case((item_tasks.c.state == "corrected", corrections.c.item_id)).distinct())
        chosen = select(version, func.count(), labelled, func.sum(seconds), func.sum(case((seconds == 0, 1), else_=0)))
        chosen = chosen.join(item_tasks, same_work(item_tasks, corrections))
        chosen = chosen.where(corrections.c.task == task, *_WORK)
        rows = self._database.rows(chosen.group_by(version))
        lines = (Spent(name, n, of, float(told), int(untold)) for name, n, of, told, untold in rows)
        return sorted(lines, key=lambda line: line.version or "")

    def seconds_since(self, task: Task, since: datetime) -> float:
        """Human seconds that came from then on."""
        chosen = select(func.sum(corrections.c.seconds)).where(
            corrections.c.task == task, corrections.c.received_at >= since
        )
        return float(self._database.value(chosen) or 0.0)

    def last_given(self, task: Task, limit: int) -> list[tuple[Label, float | None]]:
        """What people gave last, and how long the sounds are that it belongs to."""
        chosen = select(corrections.c.label, preannotations.c.duration_s).outerjoin(preannotations, _SAID)
        chosen = chosen.where(corrections.c.task == task, corrections.c.withdrawn_at.is_(None), *_WORK)
        rows = self._database.rows(chosen.order_by(corrections.c.id.desc()).limit(limit))
        return [(label_of(task, row.label), row.duration_s) for row in rows]


def settle(connection: Connection, current: Row[Any], added: int, actor: Actor, now: datetime) -> None:
    """Lets an item, of which the row of ``item_tasks`` is given, be corrected after a correction was added."""
    state = "preannotated" if _withdrawn_meanwhile(connection, current.lease_id) else "corrected"
    counts = newest_correction(connection, current.item_id, current.task)
    done = {"state": state, "correction_id": counts, "lease_id": None, "lease_until": None, "failure": None,
            "updated_at": now, "actor": actor}  # fmt: skip
    connection.execute(update(item_tasks).where(of_task(current.item_id, current.task)).values(**done))
    if current.lease_id is not None:
        ended = update(leases).where(leases.c.id == current.lease_id)
        connection.execute(ended.values(ended_at=now, correction_id=added))
    end_word(connection, current.item_id, current.task, now)


def requeue(
    connection: Connection,
    which: ColumnElement[bool],
    why: str,
    actor: Actor,
    now: datetime,
    since: ColumnElement[bool] | None = None,
) -> int:
    """Queues again what nobody looked at (``since`` then), or only in parts, and returns how many items that are.

    What somebody holds in parts is queued again once they are done with it, then as a whole: their lease has an end.
    """
    in_parts = exists().where(preannotations.c.id == item_tasks.c.preannotation_id, preannotations.c.parts.is_not(None))
    unseen = or_(item_tasks.c.state == "accepted", and_(in_parts, item_tasks.c.state == "corrected"))
    unseen = and_(unseen, true() if since is None else since)
    touched = or_(unseen, and_(in_parts, item_tasks.c.state == "leased"))
    rows = select(item_tasks.c.item_id).where(which, touched).order_by(item_tasks.c.item_id).with_for_update()
    connection.execute(rows).all()  # locks them in one order for all: no deadlock
    change = update(item_tasks).where(which, unseen)
    back = connection.execute(change.values(state="preannotated", updated_at=now, actor=actor)).rowcount
    held = select(item_tasks.c.lease_id, item_tasks.c.preannotation_id)
    held = held.where(which, in_parts, item_tasks.c.state == "leased").with_for_update()
    for row in connection.execute(held).all():
        connection.execute(update(leases).where(leases.c.id == row.lease_id).values(ended_at=now))
        answer = update(preannotations).where(preannotations.c.id == row.preannotation_id)
        connection.execute(answer.values(decision="review", reason=why, parts=None))
        back += 1
    return back


def correction_key(correction: Correction) -> str:
    """What makes two corrections the same one: who said what about which item, with which tool, and when."""
    same = {name: value for name, value in to_json(correction).items() if name not in ("seconds", "model_version")}
    same["created_at"] = correction.created_at.astimezone(UTC).isoformat()
    return hashlib.sha256(json.dumps(same, sort_keys=True).encode()).hexdigest()


def _said_just_before(connection: Connection, correction: Correction, lease_id: str | None) -> int | None:
    """The newest correction of an item, if it says the same: a client without a clock sent it twice."""
    chosen = select(corrections).where(
        corrections.c.item_id == correction.item_id, corrections.c.task == correction.task
    )
    newest = connection.execute(chosen.order_by(corrections.c.id.desc()).limit(1)).one_or_none()
    if newest is None:
        return None
    said = to_json(correction.label), correction.annotator, correction.tool, lease_id
    return newest.id if said == (newest.label, newest.annotator, newest.tool, newest.lease_id) else None


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
        "known": False,
    }


def _end_leases(connection: Connection, task: Task, now: datetime) -> None:
    """Puts items back whose lease has ended by its time."""
    ended = select(item_tasks.c.item_id).where(item_tasks.c.task == task, item_tasks.c.state == "leased")
    ended = ended.where(item_tasks.c.lease_until <= now).with_for_update(skip_locked=True)
    back = [{"of_item": item_id} for item_id in connection.execute(ended).scalars().all()]
    if back:
        where = and_(item_tasks.c.item_id == bindparam("of_item"), item_tasks.c.task == task)
        connection.execute(update(item_tasks).where(where).values(**_BACK), back)


def _hold(connection: Connection, held: Sequence[dict[str, Any]]) -> None:
    if not held:
        return
    connection.execute(leases.insert(), list(held))
    where = and_(item_tasks.c.item_id == bindparam("of_item"), item_tasks.c.task == bindparam("of_task"))
    change = {"state": "leased", "lease_id": bindparam("by"), "lease_until": bindparam("until"),
              "updated_at": bindparam("since"), "actor": bindparam("whose")}  # fmt: skip
    rows = [{"of_item": lease["item_id"], "of_task": lease["task"], "by": lease["id"], "until": lease["expires_at"],
             "since": lease["leased_at"], "whose": lease["actor"]} for lease in held]  # fmt: skip
    connection.execute(update(item_tasks).where(where).values(**change), rows)


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


def _label_is_of_others(connection: Connection, row: Row[Any], annotator: str) -> bool:
    """Whether an item is chosen as gold, and somebody else gave the label that counts."""
    giver = connection.execute(select(corrections.c.annotator).where(corrections.c.id == row.correction_id)).scalar()
    return row.gold_at is not None and row.state == "corrected" and giver != annotator


def _plant(connection: Connection, said: Correction, actor: Actor, now: datetime) -> str:
    """A lease by which an item was planted for somebody who had it from elsewhere."""
    lease = {"id": uuid4().hex, "item_id": said.item_id, "task": said.task, "annotator": said.annotator,
             "leased_at": now, "expires_at": now, "planted": True, "actor": actor}  # fmt: skip
    connection.execute(leases.insert(), lease)
    return str(lease["id"])


def _withdrawn_meanwhile(connection: Connection, lease_id: str | None) -> bool:
    """Whether the person saw parts of an item, and the promise of the others was withdrawn while they held it."""
    chosen = select(leases.c.id).where(leases.c.id == lease_id, leases.c.ended_at.is_not(None))
    return lease_id is not None and connection.execute(chosen).first() is not None
