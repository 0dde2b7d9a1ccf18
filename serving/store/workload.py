"""How much work there is, and how much of it people did."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func, select

from models.records import Seconds, Task
from serving.store.database import Database
from serving.store.tables import corrections, item_tasks, leases, preannotations, unfit


class Workload:
    """Adds up seconds of people."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def waiting(self, task: Task) -> int:
        """How many items of a task wait for a person, a second one included."""
        chosen = select(func.count()).where(
            item_tasks.c.task == task, item_tasks.c.state.in_(("preannotated", "contested"))
        )
        return int(self._database.value(chosen))

    def new(self, task: Task) -> int:
        """How many items of a task no version has seen."""
        chosen = select(func.count()).where(item_tasks.c.task == task, item_tasks.c.state == "registered")
        return int(self._database.value(chosen))

    def held_by_others(self, task: Task, annotator: str, now: datetime) -> int:
        """How many items of a task others than this person hold: planted ones, too, or who compares would know them."""
        lives = leases.c.task == task, leases.c.ended_at.is_(None), leases.c.expires_at > now
        return int(self._database.value(select(func.count()).where(*lives, leases.c.annotator != annotator)))

    def handed_out(self, task: Task) -> int:
        """How many items of a task people have or had."""
        had = item_tasks.c.state.in_(("leased", "corrected", "contested", "unfit"))
        chosen = select(func.count()).where(item_tasks.c.task == task, had)
        return int(self._database.value(chosen))

    def began(self, task: Task) -> datetime | None:
        """When people had something of a task for the first time, as far as that is known; None: never."""
        firsts = [
            select(func.min(leases.c.leased_at)).where(leases.c.task == task),
            select(func.min(corrections.c.received_at)).where(corrections.c.task == task, ~corrections.c.known),
            select(func.min(unfit.c.received_at)).where(unfit.c.task == task),
        ]
        with self._database.reading() as connection:
            return min(filter(None, (connection.execute(first).scalar() for first in firsts)), default=None)

    def open_seconds(self, tasks: Sequence[Task]) -> Seconds:
        """What people are expected to need for all that waits."""
        chosen = select(func.sum(preannotations.c.seconds))
        chosen = chosen.join(item_tasks, item_tasks.c.preannotation_id == preannotations.c.id)
        chosen = chosen.where(item_tasks.c.task.in_(tasks), item_tasks.c.state == "preannotated")
        return float(self._database.value(chosen) or 0)

    def worked_seconds(self, tasks: Sequence[Task], since: datetime) -> Seconds:
        """What people needed since then for their corrections, and to find items unfit."""
        sums = [select(func.sum(given.c.seconds)).where(given.c.task.in_(tasks), given.c.received_at >= since)
                for given in (corrections, unfit)]  # fmt: skip
        with self._database.reading() as connection:
            return sum(float(connection.execute(chosen).scalar() or 0) for chosen in sums)
