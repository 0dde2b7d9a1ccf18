"""What is known of CVAT: which item a frame is, by its pixels, and how much of a job's time was counted."""

from dataclasses import dataclass

from sqlalchemy import select

from models.records import Seconds, Task
from serving.store.database import Database
from serving.store.tables import cvat_frames, cvat_jobs


@dataclass(frozen=True)
class Shown:
    """The item of a frame, and the version whose shapes CVAT was given last."""

    item_id: str
    version: str


class Cvat:
    """Keeps it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def show(self, task: Task, pixels: str, shown: Shown) -> None:
        """Notes what CVAT was given for a frame with these pixels."""
        add = self._database.insert(cvat_frames)
        add = add.on_conflict_do_update(
            index_elements=["task", "pixels"], set_={"item_id": add.excluded.item_id, "version": add.excluded.version}
        )
        with self._database.writing() as connection:
            connection.execute(add, {"task": task, "pixels": pixels, **vars(shown)})

    def shown(self, task: Task, pixels: str) -> Shown | None:
        """What CVAT was given for a frame with these pixels, if anything."""
        where = cvat_frames.c.task == task, cvat_frames.c.pixels == pixels
        row = self._database.row(select(cvat_frames).where(*where))
        return None if row is None else Shown(row.item_id, row.version)

    def counted(self, job: int, annotator: str) -> Seconds:
        """The seconds of a person's work on a job that corrections carry."""
        where = cvat_jobs.c.job == job, cvat_jobs.c.annotator == annotator
        return float(self._database.value(select(cvat_jobs.c.seconds).where(*where)) or 0.0)

    def count(self, job: int, annotator: str, seconds: Seconds) -> None:
        """Notes that corrections carry so many now."""
        add = self._database.insert(cvat_jobs)
        add = add.on_conflict_do_update(index_elements=["job", "annotator"], set_={"seconds": add.excluded.seconds})
        with self._database.writing() as connection:
            connection.execute(add, {"job": job, "annotator": annotator, "seconds": seconds})
