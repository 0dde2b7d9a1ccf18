"""What is known of Label Studio: the projects that are attached, their tasks, annotations, and events to work on."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, and_, delete, func, select, update

from models.records import Seconds, Task
from serving.store.database import Database, log
from serving.store.records import Actor
from serving.store.tables import studio_annotations, studio_events, studio_projects, studio_tasks


@dataclass(frozen=True)
class Project:
    """An attached project; the predictions of ``version`` order its queue, None before any did."""

    task: Task
    project: int
    version: str | None


@dataclass(frozen=True)
class Annotation:
    """What came of one annotation: the newest state that was seen, the seconds counted, the corrections it gave."""

    task: Task
    annotation: int
    project: int | None = None
    studio_task: int | None = None
    changed_at: datetime | None = None
    seconds: Seconds = 0.0
    corrections: tuple[int, ...] = ()
    gone: bool = False


@dataclass(frozen=True)
class Event:
    """What a webhook said; ``attempts`` to work on it have failed."""

    id: int
    task: Task
    body: Mapping[str, Any]
    attempts: int


class Studio:
    """Keeps them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # -- projects

    def attach(self, task: Task, project: int, actor: Actor, now: datetime) -> None:
        """Remembers a project; one that is known stays as it is."""
        values = {"task": task, "project": project, "attached_at": now, "actor": actor}
        with self._database.writing() as connection:
            added = connection.execute(
                self._database.insert(studio_projects).on_conflict_do_nothing().returning(studio_projects.c.task),
                values,
            ).scalar()
            if added is not None:
                log(connection, now, actor, "attach", f"label-studio {project}", {"task": task})

    def projects(self) -> list[Project]:
        """Every attached project."""
        chosen = select(studio_projects).order_by(studio_projects.c.task, studio_projects.c.project)
        with self._database.reading() as connection:
            return [Project(row.task, row.project, row.version) for row in connection.execute(chosen).all()]

    def in_step(self, project: Project, version: str) -> None:
        """Notes that the project shows a version's predictions now."""
        where = and_(studio_projects.c.task == project.task, studio_projects.c.project == project.project)
        with self._database.writing() as connection:
            connection.execute(update(studio_projects).where(where).values(version=version))

    # -- tasks

    def item_of(self, task: Task, studio_task: int, uri: str | None = None) -> str | None:
        """The item of a task of Label Studio, unless it names another medium by now."""
        where = and_(studio_tasks.c.task == task, studio_tasks.c.studio_task == studio_task)
        with self._database.reading() as connection:
            row = connection.execute(select(studio_tasks).where(where)).one_or_none()
        return None if row is None or uri not in (None, row.uri) else str(row.item_id)

    def remember(self, task: Task, studio_task: int, uri: str, item_id: str) -> None:
        """Notes which item a task of Label Studio is about."""
        add = self._database.insert(studio_tasks)
        add = add.on_conflict_do_update(
            index_elements=["task", "studio_task"], set_={"uri": add.excluded.uri, "item_id": add.excluded.item_id}
        )
        values = {"task": task, "studio_task": studio_task, "uri": uri, "item_id": item_id}
        with self._database.writing() as connection:
            connection.execute(add, values)

    # -- annotations

    def annotation(self, task: Task, annotation: int) -> Annotation:
        """What is known of an annotation: nothing but its id, if it is new."""
        where = and_(studio_annotations.c.task == task, studio_annotations.c.annotation == annotation)
        with self._database.reading() as connection:
            row = connection.execute(select(studio_annotations).where(where)).one_or_none()
        return Annotation(task, annotation) if row is None else _annotation(row)

    def keep(self, known: Annotation) -> None:
        """Writes down what is known of an annotation now."""
        add = self._database.insert(studio_annotations)
        changing = ("project", "studio_task", "changed_at", "seconds", "corrections", "gone")
        add = add.on_conflict_do_update(
            index_elements=["task", "annotation"], set_={name: add.excluded[name] for name in changing}
        )
        values = vars(known) | {"corrections": list(known.corrections)}
        with self._database.writing() as connection:
            connection.execute(add, values)

    def annotations(self, task: Task, project: int) -> list[Annotation]:
        """The annotations of a project that are there, as far as is known."""
        columns = studio_annotations.c
        chosen = select(studio_annotations).where(columns.task == task, columns.project == project, ~columns.gone)
        with self._database.reading() as connection:
            return [_annotation(row) for row in connection.execute(chosen.order_by(columns.annotation)).all()]

    # -- events

    def receive(self, task: Task, body: Mapping[str, Any], now: datetime) -> None:
        """Keeps an event until somebody has worked on it."""
        values = {"task": task, "body": dict(body), "received_at": now, "due_at": now, "attempts": 0, "dead": False}
        with self._database.writing() as connection:
            connection.execute(studio_events.insert().values(**values))

    def due(self, now: datetime, limit: int) -> list[Event]:
        """Events to work on, oldest first."""
        columns = studio_events.c
        chosen = select(studio_events).where(~columns.dead, columns.due_at <= now).order_by(columns.id).limit(limit)
        with self._database.reading() as connection:
            return [Event(row.id, row.task, row.body, row.attempts) for row in connection.execute(chosen).all()]

    def done(self, event: Event) -> None:
        """Forgets an event that was worked on."""
        with self._database.writing() as connection:
            connection.execute(delete(studio_events).where(studio_events.c.id == event.id))

    def put_off(self, event: Event, why: str, until: datetime) -> None:
        """Keeps an event for later, as what it needs is not there now."""
        self._failed(event, {"failure": why, "attempts": event.attempts + 1, "due_at": until})

    def bury(self, event: Event, why: str) -> None:
        """Keeps an event that cannot be worked on, with the reason, for people to look at."""
        self._failed(event, {"failure": why, "attempts": event.attempts + 1, "dead": True})

    def _failed(self, event: Event, change: Mapping[str, Any]) -> None:
        with self._database.writing() as connection:
            connection.execute(update(studio_events).where(studio_events.c.id == event.id).values(**change))

    def counts(self) -> tuple[int, int]:
        """(events that wait, events that cannot be worked on)."""
        chosen = select(studio_events.c.dead, func.count()).group_by(studio_events.c.dead)
        with self._database.reading() as connection:
            counted = {bool(dead): n for dead, n in connection.execute(chosen).all()}
        return counted.get(False, 0), counted.get(True, 0)


def _annotation(row: Row[Any]) -> Annotation:
    return Annotation(**{**row._mapping, "corrections": tuple(row.corrections)})


def later(now: datetime, attempts: int) -> datetime:
    """When to try again what has failed so often: after two seconds, then twice as long, at most ten minutes."""
    return now + timedelta(seconds=min(600, 2.0 ** (attempts + 1)))
