"""Items, and what versions said about them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from itertools import chain
from typing import Any

import numpy as np
from sqlalchemy import ColumnElement, Connection, Row, and_, bindparam, exists, func, or_, select, true, update

from models.arrays import Floats
from models.counting import counted
from models.errors import NotFound
from models.records import Item, Seconds, Task, Transcript, to_json
from selection.routing import DRAWN, Decision
from selection.rules import About
from serving.store.database import PAGE, Database, in_pages, log
from serving.store.outbox import tell
from serving.store.records import Actor, Anew, Answer, ItemState, Pending
from serving.store.rows import STANDING, answer_of, item_of, locked, of_task, pending_of, standing
from serving.store.tables import corrections, item_tasks, items, leases, preannotations, trained_items, unfit, versions

SEARCHED = 500  # characters of a transcript, from its beginning, that a search looks at
_DECIDED = ("p_error", "seconds", "decision", "reason", "parts", "policy", "otherwise")  # by whoever routes anew
_TOLD_LATER = ("item_group", "language")  # which may be told after an item came in
_KEPT = ("corrected", "contested", "accepted", "unfit")  # states that another pre-annotation does not change
_ANSWERED = ("preannotated", "leased", *_KEPT)

# Built once: what every answered request and every rerouted item executes.
_OF_ITEM = and_(item_tasks.c.item_id == bindparam("of_item"), item_tasks.c.task == bindparam("of_task"))
_LOCK_TASK = select(item_tasks.c.state, item_tasks.c.version).where(_OF_ITEM).with_for_update()
_CHANGE_TASK = update(item_tasks).where(_OF_ITEM)
_CHANGE_OPEN = _CHANGE_TASK.where(
    item_tasks.c.preannotation_id == bindparam("of_answer"), item_tasks.c.state == "preannotated"
)
_CHANGE_ANSWER = update(preannotations).where(preannotations.c.id == bindparam("of_answer"))
_VERSIONS = select(versions.c.name, versions.c.state).where(versions.c.task == bindparam("of_task"))
_TRAINED = select(versions.c.name, versions.c.task).order_by(versions.c.created_at, versions.c.name)
_TRAINED = _TRAINED.where(
    exists().where(trained_items.c.version == versions.c.name, trained_items.c.item_id == bindparam("of_item"))
)
_ANSWER = select(preannotations).where(
    preannotations.c.item_id == bindparam("of_item"),
    preannotations.c.task == bindparam("of_task"),
    preannotations.c.version == bindparam("of_version"),
)


class Items:
    """Registers items, keeps their pre-annotations and tells their history."""

    def __init__(self, database: Database) -> None:
        self._database = database
        add = database.insert(items)
        self._add_item = add.on_conflict_do_update(
            index_elements=["id"],
            set_={name: func.coalesce(items.c[name], add.excluded[name]) for name in _TOLD_LATER},
            where=or_(*(and_(items.c[name].is_(None), add.excluded[name].is_not(None)) for name in _TOLD_LATER)),
        )
        self._add_task = database.insert(item_tasks).on_conflict_do_nothing().returning(item_tasks.c.item_id)
        self._add_answer = database.insert(preannotations).on_conflict_do_nothing().returning(preannotations.c.id)

    def register(self, entries: Iterable[tuple[Item, Task, float]], actor: Actor, now: datetime) -> int:
        """Adds (item, task, draw) where they are not known yet, and returns how many were new."""
        ordered = sorted(entries, key=lambda entry: (entry[0].id, entry[1]))  # one order for all: no deadlock
        if not ordered:
            return 0
        with self._database.writing() as connection:
            new = self._add(connection, ordered, actor, now)
            if new:
                log(connection, now, actor, "register", counted(new, "item"), {"of": len(ordered)})
        return new

    def _add(
        self, connection: Connection, entries: Sequence[tuple[Item, Task, float]], actor: Actor, now: datetime
    ) -> int:
        connection.execute(
            self._add_item,
            [
                {
                    "id": item.id,
                    "uri": item.uri,
                    "item_group": item.group,
                    "language": item.language,
                    "registered_at": now,
                    "actor": actor,
                }
                for item in _distinct(item for item, _, _ in entries)
            ],
        )
        rows = [
            {"item_id": item.id, "task": task, "state": "registered", "audit": False, "draw": draw, "priority": 0.0,
             "updated_at": now, "actor": actor}
            for item, task, draw in entries
        ]  # fmt: skip
        return len(connection.execute(self._add_task, rows).all())

    def save(
        self, item: Item, answer: Answer, draw: float, duration_s: Seconds | None, actor: Actor, now: datetime
    ) -> Answer:
        """Keeps a version's answer on an item, new or known; the first answer of a version stays.

        A corrected or accepted item keeps its state. A leased one keeps the answer with which it was handed out, which
        its person sees, and the decision, so that nobody's choice of work can turn it into a random one.

        Raises:
            NotFound: the version is not in the store.
        """
        said = answer.preannotation
        with self._database.writing() as connection:
            serving = _serving(connection, said.task, said.model_version)
            self._add(connection, [(item, said.task, draw)], actor, now)
            of_item = {"of_item": item.id, "of_task": said.task}
            current = connection.execute(_LOCK_TASK, of_item).one()
            values = {**_columns(answer), "duration_s": duration_s, "created_at": now, "actor": actor}
            preannotation_id = connection.execute(self._add_answer, values).scalar()
            if preannotation_id is None:
                known = connection.execute(_ANSWER, of_item | {"of_version": said.model_version}).one()
                preannotation_id, answer = known.id, answer_of(known)
            counts_already = current.version == said.model_version and current.state != "failed"
            newest = current.version is None or said.model_version == serving
            if current.state not in (*_KEPT, "leased") and newest and not counts_already:
                change = {"preannotation_id": preannotation_id, "version": said.model_version, "failure": None,
                          "priority": answer.preannotation.uncertainty.score, "updated_at": now,
                          "actor": actor, **_routed(answer.decision, draw)}  # fmt: skip
                connection.execute(_CHANGE_TASK, of_item | change)
                tell(connection, "item.routed", said.task, _told(answer), now)
        return answer

    def answer(self, item_id: str, task: Task, version: str) -> Answer | None:
        """What a version said about an item, if it was asked."""
        row = self._database.row(_ANSWER, {"of_item": item_id, "of_task": task, "of_version": version})
        return answer_of(row) if row else None

    def latest(self, limit: int) -> list[Answer]:
        """What versions said last, of all tasks, newest first."""
        chosen = select(preannotations).order_by(preannotations.c.id.desc()).limit(limit)
        return [answer_of(row) for row in self._database.rows(chosen)]

    def item(self, item_id: str) -> Item:
        """The item of that id.

        Raises:
            NotFound: there is none.
        """
        row = self._database.row(select(items).where(items.c.id == item_id))
        if row is None:
            raise NotFound(f"item: expected the id of a registered item, got {item_id!r}")
        return item_of(row)

    def picture_size(self, item_id: str) -> tuple[int, int] | None:
        """Width and height of an item's picture as a version saw it, in pixels; None where none has answered."""
        chosen = select(preannotations.c.label).order_by(preannotations.c.id).limit(1)
        chosen = chosen.where(preannotations.c.item_id == item_id, preannotations.c.task != "asr")
        label = self._database.value(chosen)
        return None if label is None else (label["width"], label["height"])

    def tell_group(self, item_id: str, group: str, actor: Actor, now: datetime) -> None:
        """Notes the group of an item of which none was known."""
        change = update(items).where(items.c.id == item_id, items.c.item_group.is_(None)).values(item_group=group)
        with self._database.writing() as connection:
            if connection.execute(change).rowcount:
                log(connection, now, actor, "group", item_id, {"group": group})

    def about(self, item: Item, task: Task, duration_s: Seconds | None) -> About:
        """What is known of an item by what it comes with, by what it was registered with before, and by choice."""
        chosen = and_(item_tasks.c.item_id == items.c.id, item_tasks.c.task == task)
        found = select(items, item_tasks.c.gold_at).outerjoin(item_tasks, chosen).where(items.c.id == item.id)
        row = self._database.row(found)
        known = item_of(row) if row else item
        is_chosen = row is not None and row.gold_at is not None
        return About(known.group or item.group, known.language or item.language, duration_s, is_chosen)

    def registered(self, task: Task, ids: Sequence[str]) -> frozenset[str]:
        """Those of some ids whose items are registered for the task."""
        chosen = select(item_tasks.c.item_id).where(item_tasks.c.task == task)
        found = (self._database.column(chosen.where(item_tasks.c.item_id.in_(page))) for page in in_pages(ids))
        return frozenset(chain.from_iterable(found))

    def pending(self, task: Task, serving: str, limit: int) -> list[Item]:
        """Items that the serving version has not seen: new ones in the order of their draw, then outdated ones, then
        chosen gold ones with a label that no version has seen, so that they can be planted."""
        state = item_tasks.c.state
        new = select(items).join(item_tasks).where(item_tasks.c.task == task, state == "registered")
        with self._database.reading() as connection:
            new = new.order_by(item_tasks.c.draw, item_tasks.c.item_id).limit(limit)
            found = list(connection.execute(new).all())
            others = select(versions.c.name).where(versions.c.task == task, versions.c.name != serving)
            for name in connection.execute(others.order_by(versions.c.name)).scalars().all():
                old = select(items).join(item_tasks).where(item_tasks.c.task == task, state == "preannotated")
                old = old.where(item_tasks.c.version == name)
                old = old.order_by(item_tasks.c.priority.desc(), item_tasks.c.item_id)
                found += connection.execute(old.limit(limit - len(found))).all()
            known = select(items).join(item_tasks).where(item_tasks.c.task == task, item_tasks.c.gold_at.is_not(None))
            known = known.where(state == "corrected", item_tasks.c.failure.is_(None), STANDING.is_(None))
            found += connection.execute(known.order_by(items.c.id).limit(limit - len(found))).all()
        return [item_of(row) for row in found]

    def fail(self, item_id: str, task: Task, why: str, actor: Actor, now: datetime) -> None:
        """Takes an item whose medium cannot be read out of the work; a later answer brings it back. One with a label
        stays as it is, and is not asked about again.

        Raises:
            NotFound: the item is not registered for the task.
        """
        where = and_(of_task(item_id, task), item_tasks.c.state.not_in(_KEPT))
        change = {"state": "failed", "failure": why, "lease_id": None, "lease_until": None, "updated_at": now,
                  "actor": actor}  # fmt: skip
        with self._database.writing() as connection:
            if connection.execute(update(item_tasks).where(where).values(**change)).rowcount == 0:
                labelled = item_tasks.c.state == "corrected", item_tasks.c.gold_at.is_not(None)
                of_gold = update(item_tasks).where(of_task(item_id, task), *labelled)
                if connection.execute(of_gold.values(failure=why)).rowcount:
                    return
                raise NotFound(f"item {item_id}: expected an open item of task {task}, got none")
            log(connection, now, actor, "fail", item_id, {"task": task, "why": why})

    def retry(self, item_id: str, task: Task, actor: Actor, now: datetime) -> None:
        """Brings an item back into the work whose medium could not be read; what is in it already stays as it is.

        Raises:
            NotFound: the item is not registered for the task.
        """
        change = {"state": "registered", "failure": None, "version": None, "preannotation_id": None,
                  "updated_at": now, "actor": actor}  # fmt: skip
        with self._database.writing() as connection:
            if locked(connection, item_id, task).state == "failed":
                connection.execute(update(item_tasks).where(of_task(item_id, task)).values(**change))
                log(connection, now, actor, "retry", item_id, {"task": task})

    def history(self, item_id: str) -> dict[str, Any]:
        """The item and, oldest first, everything that happened to it, as JSON values; embeddings are left out.

        Each task names the versions that were ``trained`` on it.

        Raises:
            NotFound: there is no such item.
        """
        told: dict[str, Any] = {"item": to_json(self.item(item_id))}
        hidden = {"embedding", "key", "preannotation_id", "draw", "text"}
        with self._database.reading() as connection:
            for table in (item_tasks, preannotations, corrections, unfit, leases):
                columns = [column for column in table.c if column.name not in hidden]
                order = [column for column in table.c if column.name in ("leased_at", "id")]
                rows = connection.execute(select(*columns).where(table.c.item_id == item_id).order_by(*order))
                told[table.name.removeprefix("item_")] = [_json(row) for row in rows.all()]
            trained = connection.execute(_TRAINED, {"of_item": item_id}).all()
        for line in told["tasks"]:
            line["trained"] = [version for version, task in trained if task == line["task"]]
        return told

    def open_answers(self, task: Task, version: str, page: int = PAGE) -> Iterator[list[Pending]]:
        """The version's answers on items that wait in the queue, in pages of ids that rise."""
        return self._answers(task, version, page, item_tasks.c.state == "preannotated")

    def answers(self, task: Task, version: str, page: int = PAGE) -> Iterator[list[Pending]]:
        """The version's answers that stand, whatever became of the items, in pages of ids that rise."""
        return self._answers(task, version, page, true())

    def open_among(self, task: Task, ids: Sequence[str]) -> Iterator[list[Pending]]:
        """The answers that stand on those of some items that wait in the queue, in pages."""
        waiting = standing(task, item_tasks.c.state == "preannotated")
        for page in in_pages(ids):
            yield [pending_of(row) for row in self._database.rows(waiting.where(item_tasks.c.item_id.in_(page)))]

    def _answers(self, task: Task, version: str, page: int, which: ColumnElement[bool]) -> Iterator[list[Pending]]:
        chosen, last = standing(task, and_(preannotations.c.version == version, which)), 0
        following = chosen.order_by(preannotations.c.id).limit(page)
        while rows := self._database.rows(following.where(preannotations.c.id > last)):
            last = rows[-1].id
            yield [pending_of(row) for row in rows]

    def reroute(self, changes: Sequence[Anew], actor: Actor, now: datetime) -> int:
        """Replaces doubt and decision of open answers.

        Whatever was leased or corrected meanwhile stays as it is. Returns how many were changed.
        """
        changed = 0
        ordered = sorted(changes, key=lambda change: change[1].preannotation.item_id)  # one order for all: no deadlock
        with self._database.writing() as connection:
            for preannotation_id, answer, draw in ordered:
                said = answer.preannotation
                open_one = {"of_item": said.item_id, "of_task": said.task, "of_answer": preannotation_id}
                values = {**_routed(answer.decision, draw), "updated_at": now, "actor": actor}
                if connection.execute(_CHANGE_OPEN, open_one | values).rowcount:
                    doubt = {name: _columns(answer)[name] for name in _DECIDED}
                    connection.execute(_CHANGE_ANSWER, {"of_answer": preannotation_id} | doubt)
                    tell(connection, "item.routed", said.task, _told(answer), now)
                    changed += 1
        return changed

    def scores(self, task: Task, version: str) -> Floats:
        """The raw doubt (n,) of the version's answers that stand, whatever became of the items."""
        chosen = select(item_tasks.c.priority)  # which is the score; an index has all that is asked here
        answered = item_tasks.c.state.in_(_ANSWERED)
        chosen = chosen.where(item_tasks.c.task == task, answered, item_tasks.c.version == version)
        return np.array(self._database.column(chosen), dtype=np.float64)

    def accepted(self, task: Task) -> dict[str, int]:
        """How many items were accepted unseen, by version."""
        chosen = select(item_tasks.c.version, func.count().label("n"))
        chosen = chosen.where(item_tasks.c.task == task, item_tasks.c.state == "accepted")
        return {row.version: row.n for row in self._database.rows(chosen.group_by(item_tasks.c.version))}

    def counts(self, task: Task, now: datetime) -> dict[ItemState, int]:
        """How many items of the task are in each state; a lease that has ended by its time does not count as one."""
        of_task = item_tasks.c.task == task
        by_state = select(item_tasks.c.state, func.count().label("n")).where(of_task).group_by(item_tasks.c.state)
        ended = select(func.count(), func.count(item_tasks.c.contested_at))
        ended = ended.where(of_task, item_tasks.c.state == "leased", item_tasks.c.lease_until <= now)
        with self._database.reading() as connection:
            counted: dict[ItemState, int] = {row.state: row.n for row in connection.execute(by_state).all()}
            back, contested = connection.execute(ended).one()
        back_to: dict[ItemState, int] = {"leased": -back, "contested": contested, "preannotated": back - contested}
        for state, n in back_to.items():
            counted[state] = counted.get(state, 0) + n
        return {state: n for state, n in sorted(counted.items()) if n}


def _distinct(found: Iterable[Item]) -> list[Item]:
    """One item an id: the first, with the first group and language that are named."""
    kept: dict[str, Item] = {}
    for item in found:
        first = kept.setdefault(item.id, item)
        kept[item.id] = replace(first, group=first.group or item.group, language=first.language or item.language)
    return list(kept.values())


def _serving(connection: Connection, task: Task, version: str) -> str | None:
    """The serving version of the task, after a look that ``version`` is one of its versions."""
    rows = connection.execute(_VERSIONS, {"of_task": task}).all()
    if version not in {row.name for row in rows}:
        raise NotFound(f"version: expected a version of task {task}, got {version!r}")
    return next((row.name for row in rows if row.state == "serving"), None)


def _columns(answer: Answer) -> dict[str, Any]:
    said = answer.preannotation
    return {
        "item_id": said.item_id,
        "task": said.task,
        "version": said.model_version,
        "label": to_json(said.label),
        "text": said.label.text[:SEARCHED] if isinstance(said.label, Transcript) else None,
        "score": said.uncertainty.score,
        "p_error": said.uncertainty.p_error,
        "seconds": said.uncertainty.seconds,
        "features": dict(said.features),
        "embedding": said.embedding,
        "decision": answer.decision.decision,
        "reason": answer.decision.reason,
        "policy": answer.decision.policy,
        "otherwise": answer.decision.otherwise,
        "parts": asdict(answer.decision.parts) if answer.decision.parts else None,
    }


def _told(answer: Answer) -> dict[str, Any]:
    said, decision = answer.preannotation, answer.decision
    return {
        "item_id": said.item_id,
        "task": said.task,
        "model_version": said.model_version,
        "p_error": said.uncertainty.p_error,
        "seconds": said.uncertainty.seconds,
        "decision": decision.decision,
        "reason": decision.reason,
    }


def _routed(decision: Decision, draw: float) -> dict[str, Any]:
    state = "accepted" if decision.decision == "accept" else "preannotated"
    return {"state": state, "audit": decision.decision in DRAWN, "draw": draw}


def _json(row: Row[Any]) -> dict[str, Any]:
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in row._mapping.items()}
