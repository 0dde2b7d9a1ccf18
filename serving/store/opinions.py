"""What several people said about the same items: of each person the newest label that was not taken back."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import Row, and_, func, or_, select

from models.records import Task
from serving.store.database import Database, in_pages
from serving.store.records import Opinion, Opinions, SaidChanges, SaidState
from serving.store.rows import item_of, label_of
from serving.store.tables import corrections, events, item_tasks, items

_CHANGING = "withdraw", "contest", "unfit", "fit", "gold", "ungold"  # beside corrections


class Said:
    """Reads corrections by item and person."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, task: Task) -> Iterator[Opinions]:
        """Every corrected item with what each person said of it, in the order of item ids."""
        ids = select(item_tasks.c.item_id).where(item_tasks.c.task == task, item_tasks.c.state == "corrected")
        return self.among(task, sorted(self._database.column(ids)))

    def about(self, task: Task, item_id: str) -> Opinions | None:
        """What each person said of one item, if it is corrected."""
        return next(self.among(task, [item_id]), None)

    def among(self, task: Task, ids: Iterable[str]) -> Iterator[Opinions]:
        """The same of those of some items that are corrected."""
        for page in in_pages([*ids]):
            yield from self._page(task, page)

    def counting(self, task: Task, ids: Sequence[str]) -> dict[str, int]:
        """The correction that counts of each of those of some items that are corrected."""
        chosen = select(item_tasks.c.item_id, item_tasks.c.correction_id)
        of_some = item_tasks.c.item_id.in_(ids), item_tasks.c.task == task, item_tasks.c.state == "corrected"
        return {row[0]: row[1] for row in self._database.rows(chosen.where(*of_some))}

    def states(self, task: Task) -> dict[str, SaidState]:
        """The state of what people said of each corrected item, without reading it."""
        given = and_(corrections.c.item_id == item_tasks.c.item_id, corrections.c.task == item_tasks.c.task)
        counts = func.count(), func.count(corrections.c.withdrawn_at)
        chosen = select(item_tasks.c.item_id, item_tasks.c.correction_id, *counts).join(corrections, given)
        chosen = chosen.where(item_tasks.c.task == task, item_tasks.c.state == "corrected")
        chosen = chosen.group_by(item_tasks.c.item_id, item_tasks.c.correction_id)
        return {row[0]: SaidState(*row[1:]) for row in self._database.rows(chosen)}

    def since(self, task: Task, newest: int, n: int) -> set[str] | None:
        """The items of the corrections that came after the ``newest`` of ``n``; None where another came only later that
        was begun before it, as may be in PostgreSQL."""
        of_task = select(corrections.c.item_id).where(corrections.c.task == task)
        with self._database.reading() as connection:
            before = select(func.count()).where(corrections.c.task == task, corrections.c.id <= newest)
            if connection.execute(before).scalar_one() != n:
                return None
            return set(connection.execute(of_task.where(corrections.c.id > newest)).scalars())

    def _page(self, task: Task, ids: Sequence[str]) -> list[Opinions]:
        chosen = select(items, item_tasks.c.correction_id).join(item_tasks, item_tasks.c.item_id == items.c.id)
        chosen = chosen.where(item_tasks.c.task == task, item_tasks.c.state == "corrected", items.c.id.in_(ids))
        with self._database.reading() as connection:
            page = connection.execute(chosen.order_by(items.c.id)).all()
            given = select(corrections).where(
                corrections.c.task == task,
                corrections.c.item_id.in_([row.id for row in page]),
            )
            oldest_first = given.order_by(corrections.c.counted_at, corrections.c.id)
            found = connection.execute(oldest_first).all() if page else []
        said: dict[str, list[Row[Any]]] = {row.id: [] for row in page}
        for row in found:
            said[row.item_id].append(row)
        return [Opinions(item_of(row), *_opinions(task, said[row.id], row.correction_id)) for row in page]

    def changes(self, task: Task) -> SaidChanges:
        """What is another one whenever other labels of people count than before, or others are gold; cheap to ask."""
        given = select(func.max(corrections.c.id), func.count()).where(corrections.c.task == task)
        of_task = events.c.detail["task"].as_string()  # what was withdrawn with a promise names none
        done = select(func.count()).where(events.c.verb.in_(_CHANGING), or_(of_task == task, of_task.is_(None)))
        with self._database.reading() as connection:
            newest, n = connection.execute(given).one()
            return SaidChanges(int(newest or 0), int(n), int(connection.execute(done).scalar_one()))


def _opinions(task: Task, given: Sequence[Row[Any]], counts: int) -> tuple[tuple[Opinion, ...], SaidState]:
    """What each person said of an item, from all its corrections, oldest first; and the state of that."""
    by_person = dict[str, list[Row[Any]]]()
    for one in given:
        if one.withdrawn_at is None:
            by_person.setdefault(one.annotator, []).append(one)
    withdrawn = sum(one.withdrawn_at is not None for one in given)
    said = tuple(_opinion(task, own, counts) for own in by_person.values())
    return said, SaidState(counts, len(given), withdrawn)


def _opinion(task: Task, given: Sequence[Row[Any]], counts: int) -> Opinion:
    """What a person said, from all their corrections of an item, oldest first: each has the seconds that it added."""
    newest, seconds = given[-1], sum(one.seconds for one in given)
    newest = next((one for one in given if one.id == counts), newest)  # planted, a later one is no label
    is_counted = newest.id == counts
    return Opinion(newest.annotator, label_of(task, newest.label), seconds, is_counted, newest.planted, newest.known)
