"""A model that others made becomes a version like any other: its ONNX file, which then carries its declaration.

Nothing here needs torch; checkpoints of torchvision and torchaudio are built and exported by ``models.pretrained``.
"""

import json
import shutil
import warnings
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from PIL import Image as Pictures

from models import tasks
from models.asr import whisper
from models.declaring import plain
from models.errors import InvalidInput, NotFound, Refused
from models.media import SAMPLE_RATE
from models.onnx_files import DESCRIPTION, description, metadata
from models.records import Prediction, Task
from models.versions import (
    CARD,
    MANIFEST,
    ONNX,
    Version,
    copy_folder,
    file_sha256,
    ids_sha256,
    read_version,
    settle,
    unfinished,
    version_name,
    write_manifest,
)

LIBRARIES: Mapping[str, tuple[Task, str]] = {  # the task of each and the module of the task where its models live
    "torchvision": ("detection", "torchvision_detector"),
    "torchaudio": ("asr", "wav2vec2"),
}
CHECKPOINTS = (".pth", ".pt", ".ckpt", ".safetensors")
UNKNOWN = "unknown: the model was imported"


def is_pretrained(source: str) -> bool:
    """Whether this names a model of a library, LIBRARY:MODEL[:FILE], or a checkpoint."""
    return source.split(":")[0] in LIBRARIES or Path(source).suffix in CHECKPOINTS


def is_whisper(source: str) -> bool:
    """Whether this names a Whisper model, ``whisper:SIZE`` or a folder with one."""
    return source.startswith("whisper:") or whisper.is_model(Path(source))


def import_onnx(
    task: Task, file: Path, given: Mapping[str, Any], *, note: str, versions_dir: Path, now: datetime
) -> Version:
    """Makes a version of an ONNX file, after it has answered a few media sanely.

    ``given`` completes what the file says of itself. A version's own folder, or the ONNX file in it, is taken as it is,
    with its checkpoint and the ids it was trained on.

    Raises:
        NotFound: a file is not there.
        InvalidInput: not an ONNX model of that task, or a declaration that does not fit it.
        Refused: its answers cannot be used.
    """
    folder = file if file.is_dir() else file.parent
    if (folder / MANIFEST).is_file() and file in (folder, folder / ONNX):
        return _import_version(task, folder, given, versions_dir)
    if file.is_dir():
        inside = ", ".join(sorted(path.name for path in file.iterdir())[:8]) or "nothing in it"
        raise InvalidInput(f"{file}: expected an ONNX file, a version's folder or, for asr, one of CTranslate2 with "
                           f"{', '.join(whisper.NEEDED)}, got a folder with {inside}")  # fmt: skip
    with unfinished(versions_dir) as work:
        if DESCRIPTION in metadata(file):
            _refuse_declaration(file, given)
            about = description(file, task)
            shutil.copyfile(file, work / ONNX)
            settings = about.get("declaration", about.get("settings", {}))
        else:
            settings = plain(tasks.declare(task, file, given))
            embed(file, work / ONNX, {"task": task, "declaration": settings})
        origin = {"imported": file.name, "sha256": file_sha256(file)}
        return _finished(task, work, settings, origin, note, versions_dir, now)


def import_whisper(source: str, given: Mapping[str, Any], *, note: str, versions_dir: Path, now: datetime) -> Version:
    """Makes a version of a CTranslate2 model of Whisper: a folder, or ``whisper:SIZE``, which faster-whisper downloads.

    Raises:
        NotFound: faster-whisper is not installed, or cannot download the model.
        InvalidInput: not such a model.
        Refused: its answers cannot be used.
    """
    size = source.removeprefix("whisper:") if source.startswith("whisper:") else ""
    with unfinished(versions_dir) as work:
        folder = work / whisper.FOLDER
        if size:
            _download_whisper(source, size, folder)
        else:
            whisper.declare(Path(source), given)  # before anything large is copied
            copy_folder(Path(source), folder)
        settings = plain(whisper.declare(folder, given))
        model = whisper.empty_graph()
        onnx.helper.set_model_props(model, {DESCRIPTION: json.dumps({"task": "asr", "declaration": settings})})
        onnx.save(model, work / ONNX)
        origin = {"imported": source if size else Path(source).name, "sha256": settings["files"]["model.bin"]}
        return _finished("asr", work, settings, origin, note, versions_dir, now)


def _download_whisper(source: str, size: str, folder: Path) -> None:
    library = whisper.library()
    from huggingface_hub.utils.tqdm import tqdm

    library.utils.disabled_tqdm = tqdm  # faster-whisper would show no progress
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of arguments that faster-whisper gives to another library
            library.download_model(size, output_dir=str(folder))
    except (OSError, RuntimeError, ValueError) as error:  # what was tried stands in their first line, advice below
        told = (str(error).splitlines() or [type(error).__name__])[0].removeprefix("Got: ")[:200]
        raise NotFound(f"{source}: expected to download it, got {told}; a folder with the model will do") from error


def _finished(
    task: Task, work: Path, settings: Mapping[str, Any], origin: Mapping[str, str], note: str, versions_dir: Path,
    now: datetime,
) -> Version:  # fmt: skip
    """The version whose model lies in ``work``, after it has answered a few media sanely, in its place."""
    check_sane(task, _runtime(task, work / ONNX, origin["imported"]), origin["imported"])
    digest = file_sha256(work / ONNX)
    version = Version(
        name=version_name(task, digest),
        task=task,
        folder=work,
        parent=None,
        created_at=now,
        onnx_sha256=digest,
        data=(UNKNOWN,),
        training_ids_sha256=ids_sha256([]),
        settings=settings,
        training=origin,
        metrics={"held_out": "nothing"},
    )
    write_manifest(version, [])
    (work / CARD).write_text(_card(version, note), encoding="utf-8")
    return settle(work, versions_dir / version.name)


def embed(file: Path, to: Path, about: Mapping[str, Any]) -> None:
    """Writes the model with its description in its metadata, and weights that lay beside it inside.

    Raises:
        InvalidInput: the model cannot be read, or is larger than one ONNX file may be.
    """
    try:
        model = onnx.load(file)
        entries = {entry.key: entry.value for entry in model.metadata_props}
        onnx.helper.set_model_props(model, {**entries, DESCRIPTION: json.dumps(about, ensure_ascii=False)})
        data = model.SerializeToString()
    except Exception as error:  # protobuf, onnx and the system each raise their own
        told = " ".join(str(error).split())[:300]
        raise InvalidInput(f"{file}: expected an ONNX model of at most 2 GB with its weights, got {told}") from error
    to.write_bytes(data)


def _runtime(task: Task, file: Path, name: str) -> tasks.Runtime:
    """What runs a file that somebody else may have described.

    Raises:
        InvalidInput: its description lacks what a version's says.
    """
    try:
        return tasks.load_runtime(task, file)
    except (KeyError, TypeError, AttributeError) as error:
        told = f"{type(error).__name__}: {error}"
        raise InvalidInput(f"{name}: expected the settings of a version for {task}, got an error: {told}") from error


def check_sane(task: Task, runtime: tasks.Runtime, name: str) -> None:
    """Whether the runtime's answers can be used: records of the right kind (which lie inside their picture and hold
    nothing but finite numbers), the same twice, with features and an embedding of one length.

    Raises:
        InvalidInput: the outputs are not what was declared.
        Refused: the answers vary.
    """
    lengths = set()
    for what, media in sample_media(task):
        try:
            first, second = runtime.predict(media), runtime.predict(media)
        except InvalidInput as error:
            raise InvalidInput(f"{name}: {what}: {error}") from error
        if not _same(first, second):
            raise Refused(f"{name}: {what}: expected the same answer twice, got two")
        lengths.add((tuple(first.features), len(first.embedding)))
    if len(lengths) > 1:
        raise Refused(f"{name}: expected features and embeddings of one length, got {sorted(map(str, lengths))}")


def sample_media(task: Task) -> Iterator[tuple[str, NDArray[Any]]]:
    """Media that are made here, the same ones every time, each with what it is."""
    rng = np.random.default_rng(0)
    if task == "asr":
        time_s = np.arange(2 * SAMPLE_RATE) / SAMPLE_RATE
        tones = 0.2 * np.sin(2 * np.pi * (300 + 200 * np.sin(3 * time_s)) * time_s)
        yield "2 s of tones", (tones + 0.01 * rng.standard_normal(len(tones))).astype(np.float32)
        yield "1 s of silence", np.zeros(SAMPLE_RATE, np.float32)
        yield "0.1 s of noise", (0.1 * rng.standard_normal(SAMPLE_RATE // 10)).astype(np.float32)
        return
    blots = Pictures.fromarray(rng.integers(0, 256, (9, 16, 3), np.uint8))
    wide = np.asarray(blots.resize((480, 270), Pictures.Resampling.BICUBIC))
    yield "a blurred picture of 480x270", wide
    yield "an upright cutting of it", np.ascontiguousarray(wide[:, 100:221])
    yield "a black picture of 64x48", np.zeros((48, 64, 3), np.uint8)
    yield "noise of 33x47", rng.integers(0, 256, (47, 33, 3), np.uint8)


def _import_version(task: Task, folder: Path, given: Mapping[str, Any], versions_dir: Path) -> Version:
    """A version of another deployment, whole.

    Raises:
        InvalidInput: another task, or a name that is not of its ONNX file.
        Refused: it is here already with less, as when its ONNX file was brought alone.
    """
    _refuse_declaration(folder, given)
    version = read_version(folder)
    if version.task != task:
        raise InvalidInput(f"{folder}: expected a model for {task}, got one for {version.task!r}")
    if version.name != (expected := version_name(task, version.onnx_sha256)):  # a name is a folder here
        raise InvalidInput(f"{folder / MANIFEST}: name: expected {expected}, as its ONNX file has it, "
                           f"got {version.name!r:.200}")  # fmt: skip
    check_sane(task, _runtime(task, version.onnx, version.name), version.name)
    with unfinished(versions_dir) as work:
        copy_folder(folder, work)
        found = settle(work, versions_dir / version.name)
    untrainable = version.checkpoint.is_file() and not found.checkpoint.is_file()
    if untrainable or version.training_ids() - found.training_ids():
        raise Refused(f"{folder}: expected to be the first to bring {version.name}, got one that is here already, "
                      "without its checkpoint or what it was trained on")  # fmt: skip
    return found


def _refuse_declaration(file: Path, given: Mapping[str, Any]) -> None:
    if given:
        raise InvalidInput(f"{file}: expected no declaration for a version's own file, got {', '.join(given)}")


def _same(first: Prediction, second: Prediction) -> bool:
    return first.label == second.label and dict(first.features) == dict(second.features)


def _card(version: Version, note: str) -> str:
    """The model card of an imported version."""
    settings = json.dumps(version.settings, indent=2, ensure_ascii=False)
    return f"""# {version.name}

A model for the task {version.task}, imported on {version.created_at:%Y-%m-%d} from `{version.training["imported"]}`
(SHA-256 {version.training["sha256"]}).

{note}

What it was trained on is not known here, and nothing has been measured yet. Its doubt is raw until people have checked
a random sample of its answers.

## Declaration

```json
{settings}
```
"""
