"""One import command: a model that others made becomes a candidate version of the store."""

from pathlib import Path

from models.declaring import read_declaration
from models.importing import import_onnx
from models.records import Task
from models.versions import Version
from serving.loop import Actor, Loop, utc_now
from serving.settings import Settings


def import_candidate(
    task: Task, source: str, declaration: Path | None, note: str, loop: Loop, settings: Settings, actor: Actor
) -> Version:
    """Makes a version of the model and a candidate of the version.

    Raises:
        NotFound: a file is not there.
        InvalidInput: not such a model, or a declaration that does not fit it.
        Refused: its answers cannot be used.
    """
    given = read_declaration(declaration) if declaration else {}
    versions_dir = settings.data_dir / "models"
    version = import_onnx(task, Path(source), given, note=note, versions_dir=versions_dir, now=utc_now())
    loop.add_version(version.folder, actor)
    return version
