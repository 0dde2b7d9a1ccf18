"""Versions, which of them serves, and what was learnt about each."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, bindparam, case, func, or_, select, update

from models.errors import NotFound, Refused, Stale
from models.records import Task
from serving.store.database import PAGE, Database, distinct, in_pages, log
from serving.store.outbox import tell
from serving.store.queue import requeue
from serving.store.records import Actor, Calibration, Comparison, Promotion, StoredVersion, Withdrawal
from serving.store.rows import pending_of, standing
from serving.store.tables import calibrations, item_tasks, promotions, trained_items, versions

_WITHDRAWN = "its parts were promised by what is withdrawn"  # why what was seen in parts is seen again
_MOST = 1000  # versions of a task

_FITTING = and_(calibrations.c.alpha == bindparam("of_alpha"), calibrations.c.delta == bindparam("of_delta"))
_OTHERS = calibrations.alias("others")
_SINCE = select(func.max(_OTHERS.c.checks_from)).where(_OTHERS.c.version == bindparam("of_version")).scalar_subquery()
_CALIBRATION = (  # built once: every answered request executes it
    select(calibrations, _SINCE.label("since"))
    .where(calibrations.c.version == bindparam("of_version"))
    .order_by(case((_FITTING, 0), else_=1), calibrations.c.id.desc())
    .limit(1)
)


class Versions:
    """Keeps versions, the append-only log of switches between them, and their calibrations."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, version: StoredVersion, training_ids: Iterable[str], actor: Actor, now: datetime) -> StoredVersion:
        """Adds a version and the items it was trained on; one that is known only gets its folder, should it have moved.

        Raises:
            Refused: a version of that name with another ONNX file is known.
        """
        values = {"name": version.name, "task": version.task, "folder": str(version.folder), "parent": version.parent,
                  "onnx_sha256": version.onnx_sha256, "metrics": dict(version.metrics), "state": version.state,
                  "created_at": version.created_at, "added_at": now, "actor": actor}  # fmt: skip
        insert = self._database.insert(versions).on_conflict_do_nothing().returning(versions.c.name)
        with self._database.writing() as connection:
            new = connection.execute(insert, values).scalar() is not None
            known = _version(connection, version.name)
            if known.onnx_sha256 != version.onnx_sha256:
                raise Refused(f"version {version.name}: expected the ONNX file with SHA-256 {known.onnx_sha256}, "
                              f"got {version.onnx_sha256}; versions never change")  # fmt: skip
            if new:
                rows = [{"version": version.name, "item_id": item_id} for item_id in sorted(set(training_ids))]
                if rows:
                    connection.execute(trained_items.insert(), rows)
                log(connection, now, actor, "add-version", version.name, {"task": version.task, "items": len(rows)})
            elif known.folder != version.folder:
                moved = update(versions).where(versions.c.name == version.name)
                connection.execute(moved.values(folder=str(version.folder)))
                log(connection, now, actor, "move-version", version.name, {"folder": str(version.folder)})
            return _version(connection, version.name)

    def get(self, name: str) -> StoredVersion:
        """The version of that name.

        Raises:
            NotFound: there is none.
        """
        with self._database.reading() as connection:
            return _version(connection, name)

    def all(self) -> list[StoredVersion]:
        """Every version, by task and age."""
        chosen = select(versions).order_by(versions.c.task, versions.c.created_at, versions.c.name)
        return [_stored(row) for row in self._database.rows(chosen)]

    def serving(self, task: Task) -> StoredVersion | None:
        """The version that answers for a task now."""
        with self._database.reading() as connection:
            return _serving(connection, task)

    def relied_on(self, task: Task, in_parts: bool) -> list[StoredVersion]:
        """The version that answers for a task now, and those whose labels stand that nobody has looked at; with
        ``in_parts`` those as well of which people may have looked at some words, boxes or lines alone."""
        states = ("accepted", "corrected") if in_parts else ("accepted",)
        with self._database.reading() as connection:
            serving = _serving(connection, task)
            names = {serving.name} if serving else set()
            for state in states:
                of_state = item_tasks.c.task == task, item_tasks.c.state == state
                names.update(distinct(connection, item_tasks.c.version, _MOST, *of_state))
            return [_version(connection, name) for name in sorted(names)]

    def ancestry(self, name: str) -> tuple[list[str], str | None]:
        """The version and the known versions it descends from, then the first ancestor that is not known, if any."""
        parents = {row.name: row.parent for row in self._database.rows(select(versions.c.name, versions.c.parent))}
        found: list[str] = []
        current: str | None = name
        while current is not None and current in parents and current not in found:
            found.append(current)
            current = parents[current]
        return found, current if current not in found else None

    def trained_on(self, names: Iterable[str]) -> frozenset[str]:
        """The ids of all items that any of these versions was trained on."""
        chosen = select(trained_items.c.item_id).where(trained_items.c.version.in_(list(names)))
        return frozenset(self._database.column(chosen))

    def promote(
        self,
        name: str,
        replaces: str | None,
        comparison: Comparison,
        actor: Actor,
        now: datetime,
        forced: bool = False,
    ) -> Promotion:
        """Makes a version serve in place of ``replaces``; a version that already serves stays, with its last entry.

        Raises:
            Stale: another version began to serve since ``replaces`` was looked up.
        """
        with self._database.writing() as connection:
            version = _version(connection, name)
            self._database.lock(connection, f"switch {version.task}")
            serving = _serving(connection, version.task)
            current = serving.name if serving else None
            if current == name:
                return _last(connection, version.task)
            if current != replaces:
                raise Stale(f"promote {name}: compared with {replaces}, but {current} serves by now; promote again")
            return _switch(connection, version, current, "promote", forced, comparison, actor, now)

    def promote_first(self, name: str, actor: Actor, now: datetime) -> None:
        """Makes a version serve if none of its task ever did."""
        with self._database.writing() as connection:
            version = _version(connection, name)
            self._database.lock(connection, f"switch {version.task}")
            earlier = select(func.count()).select_from(promotions).where(promotions.c.task == version.task)
            if connection.execute(earlier).scalar_one() == 0:
                _switch(connection, version, None, "promote", False, Comparison(note="the first"), actor, now)

    def rollback(self, task: Task, actor: Actor, now: datetime) -> Promotion:
        """Makes the version serve that did so before the present one, leaving out those that failed.

        Raises:
            Refused: there is none.
        """
        with self._database.writing() as connection:
            self._database.lock(connection, f"switch {task}")
            before = _before(connection, task)
            if before is None:
                raise Refused(f"rollback {task}: expected a version that served before, got none")
            serving = _serving(connection, task)
            name = serving.name if serving else None
            return _switch(connection, before, name, "rollback", False, Comparison(), actor, now)

    def before(self, task: Task) -> StoredVersion | None:
        """The version that a rollback would let serve again, if there is one."""
        with self._database.reading() as connection:
            return _before(connection, task)

    def fail(self, name: str, why: str, actor: Actor, now: datetime) -> None:
        """Marks a version as broken; if it serves, the version before it serves again or, where a rollback brought it
        and there is none before it, the one that was rolled back. Doing so twice changes nothing.

        Raises:
            NotFound: there is no version of that name.
        """
        with self._database.writing() as connection:
            version = _version(connection, name)
            self._database.lock(connection, f"switch {version.task}")
            version = _version(connection, name)
            if version.state == "failed":
                return
            instead = _instead(connection, version.task) if version.state == "serving" else None
            connection.execute(update(versions).where(versions.c.name == name).values(state="failed", failure=why))
            log(connection, now, actor, "fail-version", name, {"why": why})
            if instead is not None:
                note = Comparison(note=f"{name} failed: {why}")
                _switch(connection, instead[0], name, instead[1], False, note, actor, now)

    def changes(self) -> int:
        """A number that rises with every switch."""
        return int(self._database.value(select(func.max(promotions.c.id))) or 0)

    def promotions(self, task: Task) -> list[Promotion]:
        """The log of switches of a task, oldest first."""
        with self._database.reading() as connection:
            return [_promotion(row) for row in _log_of(connection, task)]

    def calibrate(
        self,
        version: StoredVersion,
        calibrator: Mapping[str, Any],
        promise: Mapping[str, Any],
        alpha: float,
        delta: float,
        audited: int,
        actor: Actor,
        now: datetime,
        checks_from: datetime | None,
        withdrawal: Withdrawal | None,
        newest: int | None,
    ) -> int | None:
        """Keeps what was learnt for a version, beside what was learnt before, and returns its id; None, and keeps
        nothing, where what was learnt last by now is not the ``newest`` that it rests on.

        By a ``withdrawal`` what rests on that promise is queued again, and told, both or neither.
        """
        values = {"task": version.task, "version": version.name, "calibrator": dict(calibrator),
                  "promise": dict(promise), "alpha": alpha, "delta": delta, "audited": audited, "at": now,
                  "checks_from": checks_from, "actor": actor}  # fmt: skip
        with self._database.writing() as connection:
            self._database.lock(connection, f"calibrate {version.name}")
            last = select(func.max(calibrations.c.id)).where(calibrations.c.version == version.name)
            if connection.execute(last).scalar() != newest:
                return None
            added = connection.execute(calibrations.insert().values(**values).returning(calibrations.c.id)).scalar_one()
            detail: dict[str, Any] = {"calibration": added, "audited": audited}
            if withdrawal is None:
                log(connection, now, actor, "calibrate", version.name, detail)
            else:
                detail |= {"kind": withdrawal.kind} if withdrawal.kind else {}
                detail["queued_again"] = _queue_again(connection, version, withdrawal, actor, now)
                log(connection, now, actor, "withdraw", version.name, detail)
                told = {"task": version.task, "model_version": version.name, "kind": withdrawal.kind,
                        "reason": withdrawal.why, "promise": dict(promise)}  # fmt: skip
                tell(connection, "promise.withdrawn", version.task, told, now)
        return int(added)

    def calibration(self, name: str, alpha: float | None = None, delta: float | None = None) -> Calibration | None:
        """What was last learnt for a version, with a promise for these terms or, where there is none, for others."""
        row = self._database.row(_CALIBRATION, {"of_version": name, "of_alpha": alpha, "of_delta": delta})
        return replace(_calibration(row), outlived=row.checks_from != row.since) if row else None

    def calibrations(self, name: str) -> list[Calibration]:
        """All that was learnt for a version, oldest first."""
        chosen = select(calibrations).where(calibrations.c.version == name).order_by(calibrations.c.id)
        return [_calibration(row) for row in self._database.rows(chosen)]


def _queue_again(
    connection: Connection, version: StoredVersion, withdrawal: Withdrawal, actor: Actor, now: datetime
) -> int:
    since = item_tasks.c.updated_at >= withdrawal.since
    which = list(_resting(connection, version, withdrawal))
    return sum(requeue(connection, one, _WITHDRAWN, actor, now, since) for one in which)


def _resting(connection: Connection, version: StoredVersion, withdrawal: Withdrawal) -> Iterator[ColumnElement[bool]]:
    """Which items of a version rest on what is withdrawn; of a kind by their ids, for only their labels tell it."""
    of_version = and_(item_tasks.c.task == version.task, item_tasks.c.version == version.name)
    if withdrawal.covers is None:
        yield of_version
        return
    since = or_(item_tasks.c.updated_at >= withdrawal.since, item_tasks.c.state == "leased")
    at_stake = and_(of_version, since, item_tasks.c.state.in_(["accepted", "corrected", "leased"]))
    rows = connection.execute(standing(version.task, at_stake).execution_options(yield_per=PAGE))
    ids = sorted(row.item_id for row in rows if withdrawal.covers(pending_of(row)))
    for page in in_pages(ids):
        yield and_(of_version, item_tasks.c.item_id.in_(page))


def _calibration(row: Row[Any]) -> Calibration:
    terms = row.alpha, row.delta
    return Calibration(row.id, *terms, row.calibrator, row.promise, row.audited, row.checks_from, row.at)


def _version(connection: Connection, name: str) -> StoredVersion:
    row = connection.execute(select(versions).where(versions.c.name == name)).one_or_none()
    if row is None:
        raise NotFound(f"version: expected the name of a known version, got {name!r}")
    return _stored(row)


def _serving(connection: Connection, task: Task) -> StoredVersion | None:
    chosen = select(versions).where(versions.c.task == task, versions.c.state == "serving")
    row = connection.execute(chosen).one_or_none()
    return _stored(row) if row else None


def _before(connection: Connection, task: Task) -> StoredVersion | None:
    """The version to fall back on: a rollback undoes promotions one by one, as if they were stacked."""
    stack: list[str] = []
    for row in _log_of(connection, task):
        if row.kind == "promote":
            stack.append(row.version)
        else:
            stack.pop()
            while stack[-1] != row.version:
                stack.pop()
    while len(stack) > 1:
        stack.pop()
        version = _version(connection, stack[-1])
        if version.state != "failed":
            return version
    return None


def _instead(connection: Connection, task: Task) -> tuple[StoredVersion, str] | None:
    """Which version can serve in place of the present one, and what to call that in the log of switches."""
    before = _before(connection, task)
    if before is not None:
        return before, "rollback"
    left = _last(connection, task).previous
    version = _version(connection, left) if left else None
    return (version, "promote") if version is not None and version.state != "failed" else None


def _switch(
    connection: Connection,
    version: StoredVersion,
    previous: str | None,
    kind: str,
    forced: bool,
    comparison: Comparison,
    actor: Actor,
    now: datetime,
) -> Promotion:
    of_task = update(versions).where(versions.c.task == version.task, versions.c.state == "serving")
    connection.execute(of_task.values(state="retired"))
    serve = update(versions).where(versions.c.name == version.name)
    connection.execute(serve.values(state="serving", failure=None))
    values = {"task": version.task, "version": version.name, "previous": previous, "kind": kind, "forced": forced,
              "quality": comparison.quality, "previous_quality": comparison.previous_quality,
              "gold_items": comparison.gold_items, "note": comparison.note, "at": now, "actor": actor}  # fmt: skip
    connection.execute(promotions.insert().values(**values))
    log(connection, now, actor, kind, version.name, {"task": version.task, "previous": previous, "forced": forced})
    told = {"task": version.task, "model_version": version.name, "previous": previous, "by": kind}
    tell(connection, "model.promoted", version.task, told, now)
    return _last(connection, version.task)


def _log_of(connection: Connection, task: Task) -> list[Row[Any]]:
    chosen = select(promotions).where(promotions.c.task == task).order_by(promotions.c.id)
    return list(connection.execute(chosen).all())


def _last(connection: Connection, task: Task) -> Promotion:
    return _promotion(_log_of(connection, task)[-1])


def _stored(row: Row[Any]) -> StoredVersion:
    return StoredVersion(
        name=row.name,
        task=row.task,
        folder=Path(row.folder),
        parent=row.parent,
        onnx_sha256=row.onnx_sha256,
        metrics=row.metrics,
        created_at=row.created_at,
        state=row.state,
        failure=row.failure,
    )


def _promotion(row: Row[Any]) -> Promotion:
    return Promotion(
        id=row.id,
        task=row.task,
        version=row.version,
        previous=row.previous,
        kind=row.kind,
        forced=row.forced,
        comparison=Comparison(row.quality, row.previous_quality, row.gold_items, row.note),
        at=row.at,
        actor=row.actor,
    )
