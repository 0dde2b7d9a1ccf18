"""One import command: a model that others made becomes a candidate version of the store."""

from pathlib import Path
from typing import Any

from models.declaring import read_declaration
from models.importing import import_onnx, import_whisper, is_pretrained, is_whisper
from models.records import Task
from models.versions import Version
from serving.loop import Actor, Loop, utc_now
from serving.settings import Settings
from serving.store.records import storable


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
    where: dict[str, Any] = {
        "note": storable(note, "name"),
        "versions_dir": settings.data_dir / "models",
        "now": utc_now(),
    }
    if is_pretrained(source):
        from models.pretrained import import_checkpoint  # torch is loaded for checkpoints alone

        version = import_checkpoint(task, source, given, **where)
    elif task == "asr" and is_whisper(source):
        version = import_whisper(source, given, **where)
    else:
        version = import_onnx(task, Path(source), given, **where)
    loop.versions.add(version.folder, actor)
    return version
