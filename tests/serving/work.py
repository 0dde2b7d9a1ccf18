"""Small makings of the store's and the loop's tests: items, answers, corrections, versions."""

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from models.records import Box, Boxes, Correction, Item, PreAnnotation, Prediction, Task, Uncertainty
from models.versions import ONNX, Version, file_sha256, ids_sha256, write_manifest
from selection.routing import Decision
from serving.loop import Loop
from serving.media_files import MediaFiles
from serving.settings import Settings
from serving.store import Store
from serving.store.records import Answer, StoredVersion

START = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def item_id(name: object) -> str:
    return hashlib.sha256(str(name).encode()).hexdigest()


def item(name: object, group: str | None = None) -> Item:
    return Item(item_id(name), f"file-{name}.jpg", group)


def boxes(*categories: str) -> Boxes:
    """One 10 x 10 box a category, side by side in an image of 640 x 480."""
    drawn = [Box((20.0 * i, 5.0, 20.0 * i + 10, 15.0), name) for i, name in enumerate(categories)]
    return Boxes(640, 480, tuple(drawn))


def answer(
    name: object, version: str = "v1", score: float = 0.5, decision: str = "review", label: Boxes | None = None
) -> Answer:
    said = PreAnnotation(
        item_id=item_id(name),
        task="detection",
        model_version=version,
        label=label or boxes("car"),
        uncertainty=Uncertainty(p_error=score, seconds=3.0, score=score),
        features={"boxes": 1.0},
        embedding=(score, 0.25),
    )
    return Answer(said, Decision(decision, "because"))  # type: ignore[arg-type]


def correction(name: object, *categories: str, annotator: str = "ann", at: float = 0.0) -> Correction:
    return Correction(
        item_id=item_id(name),
        task="detection",
        label=boxes(*categories),
        annotator=annotator,
        seconds=4.0,
        tool="test",
        created_at=after(at),
        model_version="v1",
    )


def add_version(
    store: Store, name: str = "v1", parent: str | None = None, training_ids: tuple[str, ...] = (), serves: bool = True
) -> StoredVersion:
    version = StoredVersion(
        name=name,
        task="detection",
        folder=Path(f"/versions/{name}"),
        parent=parent,
        onnx_sha256=item_id(name),
        metrics={"quality": 0.5},
        created_at=START,
        state="candidate",
        failure=None,
    )
    store.versions.add(version, training_ids, "tester", START)
    if serves:
        store.versions.promote_first(name, "tester", START)
    return store.versions.get(name)


def fill(store: Store, n: int, version: str = "v1", decision: str = "review") -> list[Item]:
    """n pre-annotated items, whose score and draw both rise with their number."""
    filled = [item(i) for i in range(n)]
    for i, one in enumerate(filled):
        store.items.save(one, answer(i, version, i / n, decision), i / n, None, "tester", START)
    return filled


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


def settings(data_dir: Path, **values: Any) -> Settings:
    """Settings that do not depend on the environment."""
    return Settings.model_validate({"data_dir": data_dir, **values})


def new_loop(folder: Path, clock: Callable[[], datetime] | None = None, **values: Any) -> Loop:
    """The loop over a SQLite store below a folder, by a clock of its own unless one is given; no version serves in a
    new store."""
    chosen = settings(folder / "data", database_url=f"sqlite:///{folder}/store.db", **values)
    return Loop(Store.open(chosen.database_url), MediaFiles(chosen.data_dir / "media"), chosen, clock or Clock())


def serve(loop: Loop, folder: Path, name: str = "v1") -> None:
    """Adds a version that only has a name, and lets it serve."""
    loop.versions.add(version_folder(folder / "versions", name), "tester")
    loop.versions.promote(name, "tester")


def prediction(score: float = 0.5, label: Boxes | None = None) -> Prediction:
    return Prediction(label or boxes("car"), score, {"expected_missed": 0.1}, (score, 0.25))


def version_folder(
    root: Path, name: str, parent: str | None = None, training_ids: tuple[str, ...] = (), task: Task = "detection"
) -> Path:
    """A version on disk whose ONNX file only has a hash."""
    folder = root / name
    folder.mkdir(parents=True)
    (folder / ONNX).write_text(name)
    version = Version(
        name=name,
        task=task,
        folder=folder,
        parent=parent,
        created_at=START,
        onnx_sha256=file_sha256(folder / ONNX),
        data=("test",),
        training_ids_sha256=ids_sha256(training_ids),
        settings={},
        training={},
        metrics={"quality": 0.5},
    )
    write_manifest(version, training_ids)
    return folder
