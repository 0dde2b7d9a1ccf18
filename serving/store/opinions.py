"""What several people said about the same items: of each person the newest label that was not taken back."""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Row, func, select

from models.records import Task
from serving.store.database import Database
from serving.store.records import Opinion, Opinions
from serving.store.rows import item_of, label_of
from serving.store.tables import corrections, item_tasks, items

BATCH = 500


class Said:
    """Reads corrections by item and person."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, task: Task) -> Iterator[Opinions]:
        """Every corrected item with what each person said of it, in the order of item ids."""
        last = ""
        while True:
            page = self._page(task, items.c.id > last)
            yield from page
            if len(page) < BATCH:
                return
            last = page[-1].item.id

    def about(self, task: Task, item_id: str) -> Opinions | None:
        """What each person said of one item, if it is corrected."""
        return next(iter(self._page(task, items.c.id == item_id)), None)

    def _page(self, task: Task, which: ColumnElement[bool]) -> list[Opinions]:
        chosen = select(items, item_tasks.c.correction_id).join(item_tasks, item_tasks.c.item_id == items.c.id)
        chosen = chosen.where(item_tasks.c.task == task, item_tasks.c.state == "corrected", which)
        with self._database.reading() as connection:
            page = connection.execute(chosen.order_by(items.c.id).limit(BATCH)).all()
            given = select(corrections).where(
                corrections.c.task == task,
                corrections.c.item_id.in_([row.id for row in page]),
                corrections.c.withdrawn_at.is_(None),
            )
            oldest_first = given.order_by(corrections.c.counted_at, corrections.c.id)
            found = connection.execute(oldest_first).all() if page else []
        said: dict[str, dict[str, list[Row[Any]]]] = {row.id: {} for row in page}
        for row in found:
            said[row.item_id].setdefault(row.annotator, []).append(row)
        return [
            Opinions(item_of(row), tuple(_opinion(task, given, row.correction_id) for given in said[row.id].values()))
            for row in page
        ]

    def changes(self, task: Task) -> tuple[int, int]:
        """Numbers that change with every correction and every withdrawal of one; cheap to ask."""
        chosen = select(func.max(corrections.c.id), func.count(corrections.c.withdrawn_at))
        with self._database.reading() as connection:
            newest, withdrawn = connection.execute(chosen.where(corrections.c.task == task)).one()
        return int(newest or 0), int(withdrawn)


def _opinion(task: Task, given: Sequence[Row[Any]], counts: int) -> Opinion:
    """What a person said, from all their corrections of an item, oldest first: each has the seconds that it added."""
    newest, seconds = given[-1], sum(one.seconds for one in given)
    is_counted = newest.id == counts
    return Opinion(newest.annotator, label_of(task, newest.label), seconds, is_counted, newest.planted, newest.known)
