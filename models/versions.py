"""A model version: one folder that never changes, named after the hash of its ONNX file.

The folder holds ``model.onnx`` (serving), ``checkpoint.safetensors`` (further training; matrices in 16 bits),
``version.json`` (where it came from), ``training-ids.txt`` (the SHA-256 of each medium it has seen) and ``README.md``
(the model card).
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from models.errors import InvalidInput, NotFound
from models.records import Task
from models.room import room
from models.tasks import parse_task

ONNX = "model.onnx"
CHECKPOINT = "checkpoint.safetensors"
MANIFEST = "version.json"
TRAINING_IDS = "training-ids.txt"
CARD = "README.md"

STARTERS = Path(__file__).parent / "weights"


@dataclass(frozen=True)
class Version:
    """What is known of one trained model.

    ``data`` names the sources it was trained on, ``training_ids_sha256`` is the hash of the sorted ids (each the
    SHA-256 of a medium's bytes, as in the store), one a line; ``metrics`` were measured with the exported ONNX on
    items held out of training. ``calibration`` is what such items taught about its doubt, as ``selection.calibration``
    writes it; None where they were too few.
    """

    name: str
    task: Task
    folder: Path
    parent: str | None
    created_at: datetime
    onnx_sha256: str
    data: tuple[str, ...]
    training_ids_sha256: str
    settings: Mapping[str, Any]
    training: Mapping[str, Any]
    metrics: Mapping[str, Any]
    calibration: Mapping[str, Any] | None = None

    @property
    def onnx(self) -> Path:
        return self.folder / ONNX

    @property
    def checkpoint(self) -> Path:
        return self.folder / CHECKPOINT

    def training_ids(self) -> frozenset[str]:
        """The SHA-256 of each medium this version was trained on."""
        return frozenset((self.folder / TRAINING_IDS).read_text(encoding="utf-8").splitlines())


def read_version(folder: Path, name: str | None = None) -> Version:
    """The version in ``folder``, its ONNX file checked against the hash written beside it.

    Raises:
        NotFound: there is no version in that folder.
        InvalidInput: a file of it is damaged or was changed; it is another one than ``name``.
    """
    manifest = folder / MANIFEST
    try:
        values = json.loads(manifest.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise NotFound(f"{folder}: expected a model version ({MANIFEST}), got nothing of that name") from error
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{manifest}: expected JSON, got {error}") from error
    if not isinstance(values, dict):
        raise InvalidInput(f"{manifest}: expected an object, got {values!r:.200}")
    try:
        version = Version(
            name=values["name"],
            task=parse_task(values["task"]),
            folder=folder,
            parent=values["parent"],
            created_at=datetime.fromisoformat(values["created_at"]),
            onnx_sha256=values["onnx_sha256"],
            data=tuple(values["data"]),
            training_ids_sha256=values["training_ids_sha256"],
            settings=values["settings"],
            training=values["training"],
            metrics=values["metrics"],
            calibration=values.get("calibration"),
        )
    except KeyError as error:
        raise InvalidInput(f"{manifest}: expected the key {error}, got {sorted(values)}") from error
    except InvalidInput:  # ours, and a ValueError
        raise
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"{manifest}: expected what a version tells of itself, got an error: {error}") from error
    if name not in (None, version.name):
        raise InvalidInput(f"{folder}: expected version {name}, got {version.name}, which took its place")
    _check_hash(version.onnx, version.onnx_sha256)
    return version


def beginning(folder: Path) -> str:
    """What a version comes from that is no version here: the model that was imported, or that training started from.

    Nothing where it comes from none, or where its folder does not tell.
    """
    try:
        training = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["training"]
    except (OSError, ValueError, KeyError):
        return ""
    return str(training.get("imported") or training.get("start") or "")


def write_manifest(version: Version, training_ids: Iterable[str]) -> None:
    """Writes ``version.json`` and the training ids into the version's folder."""
    (version.folder / TRAINING_IDS).write_text(_lines(training_ids), encoding="utf-8")
    values = {
        "name": version.name,
        "task": version.task,
        "parent": version.parent,
        "created_at": version.created_at.isoformat(),
        "onnx_sha256": version.onnx_sha256,
        "data": list(version.data),
        "training_ids_sha256": version.training_ids_sha256,
        "settings": dict(version.settings),
        "training": dict(version.training),
        "metrics": dict(version.metrics),
        "calibration": version.calibration,
    }
    text = json.dumps(values, indent=2, ensure_ascii=False)
    (version.folder / MANIFEST).write_text(text + "\n", encoding="utf-8")


@contextmanager
def unfinished(versions_dir: Path, kept: str = "nothing of it is left there") -> Iterator[Path]:
    """A hidden folder in which a version is made; what is still there at the end goes.

    Raises:
        InvalidInput: the disk is full; ``kept`` says what was not lost.
    """
    with room(versions_dir, "a version", kept):
        versions_dir.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=".unfinished-", dir=versions_dir))
        try:
            yield work
        finally:
            shutil.rmtree(work, ignore_errors=True)


def copy_folder(source: Path, target: Path) -> None:
    """All files of a folder, those of its folders too; ``shutil.copytree`` would not say that a disk is full."""
    target.mkdir(exist_ok=True)
    for path in source.iterdir():
        if path.is_dir():
            copy_folder(path, target / path.name)
        else:
            shutil.copyfile(path, target / path.name)


def settle(work: Path, target: Path) -> Version:
    """Moves a finished version to its place; the same model published before, or meanwhile, stays as it is."""
    work.chmod(0o755)
    try:
        work.rename(target)
    except OSError:
        if not target.is_dir():
            raise
    return read_version(target)


def keep(version: Version, versions_dir: Path) -> Version:
    """The same version below ``versions_dir``, where nobody puts another one in its place: links to the same files, or
    copies where those cannot be."""
    target = versions_dir / version.name
    if target.exists():
        return read_version(target, version.name)
    with unfinished(versions_dir) as work:
        for path in version.folder.iterdir():
            _link_or_copy(path, work / path.name)
        return settle(work, target)


def version_name(task: Task, onnx_sha256: str) -> str:
    """The name of a version: its task and the first twelve digits of its ONNX file's hash."""
    return f"{task}-{onnx_sha256[:12]}"


def starters() -> Iterator[Version]:
    """The versions that come with the product, one a task."""
    for manifest in sorted(STARTERS.glob(f"*/{MANIFEST}")):
        yield read_version(manifest.parent)


def ids_sha256(ids: Iterable[str]) -> str:
    """The hash of the sorted ids, one a line."""
    return hashlib.sha256(_lines(ids).encode()).hexdigest()


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        shutil.copyfile(source, target)


def _lines(ids: Iterable[str]) -> str:
    return "".join(f"{item_id}\n" for item_id in sorted(ids))


def _check_hash(path: Path, expected: str) -> None:
    if not path.is_file():
        raise NotFound(f"{path}: expected the model's file, got nothing of that name")
    actual = file_sha256(path)
    if actual != expected:
        raise InvalidInput(f"{path}: expected SHA-256 {expected}, got {actual}; the file was changed or is damaged")
