"""What is known of Label Studio: the projects that are attached, their tasks and annotations."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, and_, delete, exists, select, update

from models.errors import NotFound
from models.records import Seconds, Task
from serving.store.database import Database, log
from serving.store.records import Actor
from serving.store.rows import same_work
from serving.store.tables import item_tasks, studio_annotations, studio_films, studio_projects, studio_tasks


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
class Film:
    """The video of a task, looked at with so many frames a second: how many that makes in all, and of each still its
    number, from 1, and its item."""

    uri: str
    frames_per_s: float
    frames: int
    duration_s: Seconds
    stills: tuple[tuple[int, str], ...]


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

    def detach(self, task: Task, project: int, actor: Actor, now: datetime) -> None:
        """Forgets a project; the labels that came of it stay.

        Raises:
            NotFound: it is not attached.
        """
        where = and_(studio_projects.c.task == task, studio_projects.c.project == project)
        with self._database.writing() as connection:
            if not connection.execute(delete(studio_projects).where(where)).rowcount:
                raise NotFound(f"label-studio {task} {project}: expected an attached project, got none")
            log(connection, now, actor, "detach", f"label-studio {project}", {"task": task})

    def projects(self) -> list[Project]:
        """Every attached project."""
        chosen = select(studio_projects).order_by(studio_projects.c.task, studio_projects.c.project)
        return [Project(row.task, row.project, row.version) for row in self._database.rows(chosen)]

    def in_step(self, project: Project, version: str) -> None:
        """Notes that the project shows a version's predictions now."""
        where = and_(studio_projects.c.task == project.task, studio_projects.c.project == project.project)
        with self._database.writing() as connection:
            connection.execute(update(studio_projects).where(where).values(version=version))

    # -- tasks

    def item_of(self, task: Task, studio_task: int, uri: str | None = None) -> str | None:
        """The item of a task of Label Studio, unless it names another medium by now."""
        where = and_(studio_tasks.c.task == task, studio_tasks.c.studio_task == studio_task)
        row = self._database.row(select(studio_tasks).where(where))
        return None if row is None or uri not in (None, row.uri) else str(row.item_id)

    def items_of(self, task: Task, studio_task: int) -> tuple[str, ...]:
        """The items of a task of Label Studio: one, or the stills of its video."""
        one, stills = studio_tasks.c, studio_films.c
        chosen = select(one.item_id).where(one.task == task, one.studio_task == studio_task)
        film = select(stills.stills).where(stills.task == task, stills.studio_task == studio_task)
        with self._database.reading() as connection:
            item_id = connection.execute(chosen).scalar()
            found = connection.execute(film).scalar() if item_id is None else None
        return (str(item_id),) if item_id is not None else tuple(item for _, item in found or ())

    def is_task(self, task: Task, item_id: str) -> bool:
        """Whether a task of Label Studio is or was about an item itself."""
        chosen = select(exists().where(studio_tasks.c.task == task, studio_tasks.c.item_id == item_id))
        return bool(self._database.value(chosen))

    def of_gold(self, task: Task) -> frozenset[int]:
        """The tasks of Label Studio that are about chosen gold items with a label."""
        chosen = select(studio_tasks.c.studio_task).join(item_tasks, same_work(item_tasks, studio_tasks))
        chosen = chosen.where(studio_tasks.c.task == task)
        chosen = chosen.where(item_tasks.c.gold_at.is_not(None), item_tasks.c.state == "corrected")
        return frozenset(self._database.column(chosen))

    def remember(self, task: Task, studio_task: int, uri: str, item_id: str) -> None:
        """Notes which item a task of Label Studio is about."""
        add = self._database.insert(studio_tasks)
        add = add.on_conflict_do_update(
            index_elements=["task", "studio_task"], set_={"uri": add.excluded.uri, "item_id": add.excluded.item_id}
        )
        values = {"task": task, "studio_task": studio_task, "uri": uri, "item_id": item_id}
        with self._database.writing() as connection:
            connection.execute(add, values)

    def film(self, task: Task, studio_task: int, uri: str, frames_per_s: float) -> Film | None:
        """The stills of a task's video, unless it names another by now or is looked at otherwise."""
        where = and_(studio_films.c.task == task, studio_films.c.studio_task == studio_task)
        row = self._database.row(select(studio_films).where(where))
        if row is None or (row.uri, row.frames_per_s) != (uri, frames_per_s):
            return None
        return Film(uri, frames_per_s, row.frames, row.duration_s, tuple((number, item) for number, item in row.stills))

    def keep_film(self, task: Task, studio_task: int, film: Film) -> None:
        """Notes which items the stills of a task's video are."""
        add = self._database.insert(studio_films)
        changing = {name: add.excluded[name] for name in vars(film)}
        add = add.on_conflict_do_update(index_elements=["task", "studio_task"], set_=changing)
        with self._database.writing() as connection:
            connection.execute(add, {"task": task, "studio_task": studio_task, **vars(film)})

    # -- annotations

    def annotation(self, task: Task, annotation: int) -> Annotation:
        """What is known of an annotation: nothing but its id, if it is new."""
        where = and_(studio_annotations.c.task == task, studio_annotations.c.annotation == annotation)
        row = self._database.row(select(studio_annotations).where(where))
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

    def annotated(self, task: Task, studio_tasks: Sequence[int]) -> frozenset[int]:
        """Which of some tasks of Label Studio have an annotation that is there, as far as is known."""
        columns = studio_annotations.c
        chosen = select(columns.studio_task).where(columns.task == task, columns.studio_task.in_(studio_tasks))
        return frozenset(self._database.column(chosen.where(~columns.gone)))

    def annotations(self, task: Task, project: int) -> list[Annotation]:
        """The annotations of a project that are there, as far as is known."""
        columns = studio_annotations.c
        chosen = select(studio_annotations).where(columns.task == task, columns.project == project, ~columns.gone)
        return [_annotation(row) for row in self._database.rows(chosen.order_by(columns.annotation))]


def _annotation(row: Row[Any]) -> Annotation:
    return Annotation(**{**row._mapping, "corrections": tuple(row.corrections)})
