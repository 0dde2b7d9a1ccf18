"""Items whose answers are known, handed to people who are not told: how good and how fast they are.

Such a lease holds nothing: the item stays corrected, and several people may have it at once. What they say of it never
becomes its label (``Queue.correct``).
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Row, exists, func, select

from models.records import Label, Seconds, Task
from serving.store.database import Database
from serving.store.order import Order
from serving.store.records import Actor, Leased
from serving.store.rows import about_of, label_of, leased_of, same_work, with_answers
from serving.store.tables import corrections, item_tasks, leases
from serving.store.waiting import Asking, Waits

PAGE = 500  # corrected items that are looked at for gold ones


@dataclass(frozen=True)
class Measured:
    """What a person said of a planted item, and its known answer: each a correction with its label."""

    given_id: int
    known_id: int
    annotator: str
    given: Label
    known: Label


class Planting:
    """Hands such items out and reads what became of them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def lease(
        self, by: Asking, limit: int, is_gold: Callable[[str], bool], chance: float, order: Order
    ) -> list[Leased]:
        """Up to ``limit`` gold items whose label somebody else gave and that who asks can do and never had.

        ``chance``, uniform in [0, 1), says where the search among all labels begins. Of the ``order`` count the seconds
        into which they have to fit, and what is due ``until`` then: were such an item open, it would have come first.
        """
        with self._database.writing() as connection:
            self._database.lock(connection, f"lease {by.task}")
            waits, of_task = Waits(connection, by), corrections.c.task == by.task
            newest = connection.execute(select(func.max(corrections.c.id)).where(of_task)).scalar()
            begin = math.ceil(chance * (newest or 0))
            found = list[str]()
            for among in (corrections.c.id >= begin, corrections.c.id < begin):
                if len(found) < limit:
                    found += filter(is_gold, waits.known(among, PAGE, order.until, order.deadlines))
            rows = {row.item_id: row for row in connection.execute(with_answers(by.task, found[:limit])).all()}
            planted = _fitting([rows[item_id] for item_id in found[:limit]], order.seconds)
            held = by.leases([row.item_id for row in planted], planted=True)
            if held:
                connection.execute(leases.insert(), held)
        leased = zip(planted, held, strict=True)
        return [replace(leased_of(row, lease["id"], by.until), planted=about_of(row)) for row, lease in leased]

    def owed(self, task: Task, asker: Actor) -> frozenset[str]:
        """The items that are planted for somebody who asks, and that they have not answered yet, in time or not."""
        theirs = corrections.c.annotator == leases.c.annotator, corrections.c.planted
        given = exists().where(same_work(corrections, leases), *theirs)
        chosen = select(leases.c.item_id).where(leases.c.task == task, leases.c.planted, leases.c.actor == asker)
        return frozenset(self._database.column(chosen.where(leases.c.unfit_id.is_(None), ~given)))

    def handed_out(self, task: Task) -> int:
        """How many were handed to people so far."""
        chosen = select(func.count()).select_from(leases).where(leases.c.task == task, leases.c.planted)
        return int(self._database.value(chosen))

    def seconds(self, task: Task) -> Seconds:
        """What people needed for their answers."""
        chosen = select(func.sum(corrections.c.seconds)).where(corrections.c.task == task, corrections.c.planted)
        return float(self._database.value(chosen) or 0)

    def measured(self, task: Task) -> Iterator[Measured]:
        """The answers to items whose answer is still known, by their id."""
        known = corrections.alias("known")
        chosen = select(corrections, known.c.id.label("known_id"), known.c.label.label("known_label"))
        chosen = chosen.join(item_tasks, same_work(item_tasks, corrections))
        chosen = chosen.join(known, known.c.id == item_tasks.c.correction_id)
        chosen = chosen.where(corrections.c.task == task, corrections.c.planted, corrections.c.withdrawn_at.is_(None))
        last = 0
        while True:
            page = chosen.where(corrections.c.id > last).order_by(corrections.c.id).limit(PAGE)
            rows = self._database.rows(page)
            for row in rows:
                labels = label_of(task, row.label), label_of(task, row.known_label)
                yield Measured(row.id, row.known_id, row.annotator, *labels)
            if len(rows) < PAGE:
                return
            last = rows[-1].id


def _fitting(rows: list[Row[Any]], seconds: Seconds | None) -> list[Row[Any]]:
    """Those that fit into the seconds one after the other."""
    fitting, left = list[Row[Any]](), math.inf if seconds is None else seconds
    for row in rows:
        if row.seconds <= left:
            fitting.append(row)
            left -= row.seconds
    return fitting
