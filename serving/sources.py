"""Which media a person means: a folder, a glob, one file, or a JSON-lines manifest."""

import glob
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from models.datasets.layout import PICTURES
from models.errors import InvalidInput, NotFound
from models.media import HEAD_BYTES, media_type
from models.records import Task
from serving.intake import parse_due

_KINDS: dict[Task, str] = {"asr": "audio", "detection": "image", "lane": "image"}
_SOUNDS = (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".m4a", ".aac", ".wma", ".amr", ".aif", ".aiff", ".caf")
_SUFFIXES = {
    **dict.fromkeys(PICTURES, "image"),
    **dict.fromkeys(_SOUNDS, "audio"),
}  # of what is not read too: it is told


@dataclass(frozen=True)
class Entry:
    """One medium: ``uri`` is its absolute path, or what the manifest calls it; ``path`` is where it lies, behind which
    a manifest may name a stretch of it as ``models.recordings`` does."""

    uri: str
    path: Path
    group: str | None = None
    language: str | None = None
    due: datetime | None = None  # with its zone


def find_media(task: Task, source: str) -> list[Entry]:
    """The media that ``source`` names, each path once, in an order that depends on names alone.

    A folder gives, at any depth, the files that are media of the task by suffix or first bytes, hidden ones left out;
    a glob (``**`` for any depth) every file that it matches; a media file itself; any other file is a manifest, whose
    lines ``{"uri": path, "group": .., "language": .., "due": ..}`` are relative to it and keep their order.

    Raises:
        NotFound: nothing is there.
        InvalidInput: a line of the manifest is broken, as ``file:line: expected .., got ..``.
    """
    path = Path(source).absolute()
    if path.is_dir():
        found = [Entry(str(file), file) for file in _files_below(path) if _kind(file) == _KINDS[task]]
    elif path.is_file():
        found = [Entry(str(path), path)] if _kind(path) else list(_manifest(path))
    elif glob.has_magic(source):
        matches = map(Path, sorted(glob.glob(str(path), recursive=True)))
        found = [Entry(str(file), file) for file in matches if _may_be_read(file)]
    else:
        raise NotFound(f"{source}: expected a folder, a file, a glob or a manifest, got no such path")
    if not found:
        raise NotFound(f"{source}: expected media for {task}, got none")
    unique: dict[str, Entry] = {}
    for entry in found:
        unique.setdefault(entry.uri, entry)
    return list(unique.values())


def _files_below(folder: Path) -> Iterator[Path]:
    for root, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        paths = (Path(root, name) for name in sorted(files) if not name.startswith("."))
        yield from filter(_may_be_read, paths)


def _may_be_read(path: Path) -> bool:
    """Not a folder, nor a pipe, which would never end; a link to nothing is kept, to be reported."""
    return path.is_file() or not path.exists()


def _kind(path: Path) -> str | None:
    """``image`` or ``audio``: by suffix, so that a broken file is reported and not passed over; else by first bytes."""
    if path.suffix.lower() in _SUFFIXES:
        return _SUFFIXES[path.suffix.lower()]
    try:
        with path.open("rb") as file:
            kind = media_type(file.read(HEAD_BYTES))
    except OSError:
        return None
    return kind.split("/")[0] if kind else None


def _manifest(path: Path) -> Iterator[Entry]:
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                yield _entry(f"{path}:{number}", line, path.parent)


def _entry(where: str, line: bytes, folder: Path) -> Entry:
    try:
        values = json.loads(line)
    except (ValueError, RecursionError) as error:  # the latter of lists in lists without end
        raise InvalidInput(f"{where}: expected a JSON object, got {line[:100]!r} ({error})") from error
    if not isinstance(values, dict) or not values.keys() <= {"uri", "group", "language", "due"}:
        keys = "'uri' and perhaps 'group', 'language' and 'due'"
        raise InvalidInput(f"{where}: expected an object with {keys}, got {values!r:.200}")
    uri = values.get("uri")
    if not isinstance(uri, str) or not uri or "://" in uri or not _may_be_a_path(uri):
        raise InvalidInput(f"{where}: expected a path under 'uri', got {uri!r:.200}")
    group, language = (_text(where, values, key) for key in ("group", "language"))
    return Entry(uri, folder / uri, group, language, _due(where, values.get("due")))


def _text(where: str, values: Mapping[str, Any], key: str) -> str | None:
    text = values.get(key)
    if text is not None and not isinstance(text, str):
        raise InvalidInput(f"{where}: expected a string under {key!r}, got {text!r:.200}")
    return text


def _due(where: str, due: object) -> datetime | None:
    if due is None:
        return None
    try:
        return parse_due(str(due))
    except InvalidInput as error:
        raise InvalidInput(f"{where}: {error}") from error


def _may_be_a_path(text: str) -> bool:
    """Whether a file could be called so; half of a surrogate pair stands only for a byte that is no UTF-8."""
    try:
        return b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        return False
