"""What other programs are told: kept in the transaction of what it tells, until it was heard."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile
from typing import Any, Literal, TypeAlias, get_args
from uuid import uuid4

from sqlalchemy import Connection, bindparam, delete, or_, select, update

from models.errors import InvalidInput, NotFound
from models.records import Task
from serving.store.columns import LARGEST_ID
from serving.store.database import Database, log
from serving.store.records import Actor
from serving.store.tables import outbox, webhooks

Kind: TypeAlias = Literal["item.routed", "model.promoted", "promise.withdrawn"]
KINDS: tuple[Kind, ...] = get_args(Kind)

_WANTED = (
    select(webhooks.c.id, webhooks.c.kinds)
    .where(or_(webhooks.c.task.is_(None), webhooks.c.task == bindparam("of_task")))
    .with_for_update(read=True, key_share=True)
)  # it is there until what it is told is written

_QUEUE = (
    select(outbox.c.id, outbox.c.due_at)
    .where(outbox.c.webhook == bindparam("of_webhook"), ~outbox.c.dead)
    .order_by(outbox.c.id)
    .limit(bindparam("at_most"))
)


@dataclass(frozen=True)
class Webhook:
    """An address that is told of some kinds of events, of one task or of all."""

    id: str
    url: str
    kinds: tuple[Kind, ...]
    task: Task | None
    secret: str
    made_at: datetime
    actor: Actor


@dataclass(frozen=True)
class Delivery:
    """A message to a webhook; ``attempts`` to deliver it have failed, the last one for ``failure``."""

    id: int
    webhook: str
    url: str
    secret: str
    message: str
    kind: Kind
    body: str
    told_at: datetime
    attempts: int
    failure: str | None


class Outbox:
    """Keeps webhooks, and what they are still to be told."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, webhook: Webhook) -> None:
        """Adds a webhook; from now on it is told.

        Raises:
            InvalidInput: a kind of event that there is not, or none.
        """
        if not webhook.kinds or set(webhook.kinds) - set(KINDS):
            got = ", ".join(webhook.kinds) or "none"
            raise InvalidInput(f"webhook: expected events out of {', '.join(KINDS)}, got {got}")
        values = {**webhook.__dict__, "kinds": list(webhook.kinds)}
        with self._database.writing() as connection:
            connection.execute(webhooks.insert().values(**values))
            detail = {"url": webhook.url, "kinds": list(webhook.kinds), "task": webhook.task}
            log(connection, webhook.made_at, webhook.actor, "add-webhook", webhook.id, detail)

    def webhooks(self) -> list[Webhook]:
        """Every webhook, oldest first."""
        rows = self._database.rows(select(webhooks).order_by(webhooks.c.made_at, webhooks.c.id))
        return [Webhook(**{**row._mapping, "kinds": tuple(row.kinds)}) for row in rows]

    def remove(self, webhook_id: str, actor: Actor, now: datetime) -> None:
        """Ends a webhook, with what it was still to be told.

        Raises:
            NotFound: there is none of that id.
        """
        this = webhooks.c.id == webhook_id
        with self._database.writing() as connection:
            if connection.execute(select(webhooks.c.id).where(this).with_for_update()).scalar() is None:
                raise NotFound(f"webhook: expected the id of one, got {webhook_id!r}")
            connection.execute(delete(outbox).where(outbox.c.webhook == webhook_id))
            connection.execute(delete(webhooks).where(this))
            log(connection, now, actor, "remove-webhook", webhook_id)

    def claim(self, now: datetime, until: datetime, limit: int) -> list[Delivery]:
        """Up to ``limit`` messages of each webhook, oldest first, as far as no older one of the same waits.

        Nobody else gets them before ``until``, when they are due again unless they were heard.
        """
        with self._database.writing() as connection:
            self._database.lock(connection, "outbox")
            ids: list[int] = []
            for webhook in connection.execute(select(webhooks.c.id)).scalars().all():
                queue = connection.execute(_QUEUE, {"of_webhook": webhook, "at_most": limit}).all()
                ids += [row.id for row in takewhile(lambda row: row.due_at <= now, queue)]
            if not ids:
                return []
            connection.execute(update(outbox).where(outbox.c.id.in_(ids)).values(due_at=until))
            return _deliveries(connection, outbox.c.id.in_(ids))

    def heard(self, delivery: Delivery) -> None:
        """Forgets a message that was heard."""
        with self._database.writing() as connection:
            connection.execute(delete(outbox).where(outbox.c.id == delivery.id))

    def put_off(self, deliveries: Sequence[Delivery], until: datetime) -> None:
        """Lets messages wait that nobody tried to deliver."""
        self._change([one.id for one in deliveries], {"due_at": until})

    def failed(self, delivery: Delivery, why: str, until: datetime | None) -> None:
        """Keeps a message that was not heard: for another attempt then or, without one, for people to look at."""
        again = {"dead": True} if until is None else {"due_at": until}
        self._change([delivery.id], {"failure": why, "attempts": delivery.attempts + 1, **again})

    def _change(self, ids: Sequence[int], values: Mapping[str, Any]) -> None:
        with self._database.writing() as connection:
            connection.execute(update(outbox).where(outbox.c.id.in_(ids)).values(**values))

    def dead(self) -> list[Delivery]:
        """Messages that nobody would hear, oldest first."""
        with self._database.reading() as connection:
            return _deliveries(connection, outbox.c.dead)

    def retry(self, delivery_id: int, actor: Actor, now: datetime) -> bool:
        """Lets a message that nobody would hear be told again; one that waits already stays as it is, and is False.

        Raises:
            NotFound: there is none of that id.
        """
        with self._database.writing() as connection:
            where = outbox.c.id == delivery_id
            known = select(outbox.c.dead, outbox.c.message).where(where)
            row = connection.execute(known).one_or_none() if abs(delivery_id) <= LARGEST_ID else None
            if row is None:
                raise NotFound(f"delivery: expected the id of one in the outbox, got {delivery_id}")
            if row.dead:
                again = update(outbox).where(where).values(dead=False, attempts=0, due_at=now, failure=None)
                connection.execute(again)
                log(connection, now, actor, "retry", row.message)
            return bool(row.dead)


def tell(connection: Connection, kind: Kind, task: Task, data: Mapping[str, Any], now: datetime) -> None:
    """Puts an event into the outbox for each webhook that wants it, in the transaction of what it tells."""
    rows = connection.execute(_WANTED, {"of_task": task}).all()
    wanted = [row.id for row in rows if kind in row.kinds]
    if wanted:
        body = json.dumps({"type": kind, "timestamp": now.isoformat(), "data": dict(data)}, ensure_ascii=False)
        same = {"kind": kind, "body": body, "told_at": now, "due_at": now, "attempts": 0, "dead": False}
        messages = [{"webhook": webhook, "message": f"msg_{uuid4().hex}", **same} for webhook in wanted]
        connection.execute(outbox.insert(), messages)


def _deliveries(connection: Connection, which: Any) -> list[Delivery]:
    columns = [outbox.c[name] for name in Delivery.__dataclass_fields__ if name in outbox.c]
    chosen = select(*columns, webhooks.c.url, webhooks.c.secret).join(webhooks, webhooks.c.id == outbox.c.webhook)
    rows = connection.execute(chosen.where(which).order_by(outbox.c.id)).all()
    return [Delivery(**row._mapping) for row in rows]
