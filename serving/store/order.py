"""Which of the items that wait come next: by rank, as a strategy chooses, and as far as a person's seconds reach."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Row, Select, select

from models.arrays import Floats
from models.records import Item, Label, Seconds, Task
from selection.queueing import Deadline
from serving.store.rows import label_of, with_answers
from serving.store.tables import corrections, item_tasks, items, preannotations
from serving.store.waiting import Waits

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
    p_error: Floats
    seconds: Floats
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


def next_of(waits: Waits, limit: int, order: Order) -> list[str]:
    """The ids of the next items in an order; anybody may take the second looks that wait for as long as a lease is."""
    if order.until is not None:
        return _fitting(waits, waits.due(order.until, order.deadlines, limit), (), limit, order.seconds)
    by = waits.by
    audits = [*waits.second_looks(by.now - (by.until - by.now), limit), *waits.drawn(limit)]
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
