"""Annotates many media into one JSON-lines file, without a store; stopped at any moment, it goes on where it was."""

import json
import stat
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeAlias

from rich.console import Console

from models.errors import InvalidInput, PrelabelError, TooLarge, UnreadableMedia
from models.journal import append, open_journal, written_lines
from models.progress import progress_bar
from models.recordings import cut, stretch
from models.records import Task
from serving.media_files import content_id
from serving.sources import Entry, find_media

Answering: TypeAlias = Callable[[bytes, str], Mapping[str, Any]]

_MOST_BYTES = 1 << 30  # no medium within the limits of models.media needs more
_WORKERS = 2  # one reads and decodes while the other's model runs


@dataclass(frozen=True)
class Counts:
    """What became of the media of one run.

    ``annotated`` are new lines, ``known`` were there before, ``repeated`` hold the same bytes as another file, and
    ``failed`` are listed with their reasons in ``errors``.
    """

    annotated: int
    known: int
    repeated: int
    failed: int
    out: Path
    errors: Path

    @property
    def exit_code(self) -> int:
        return 1 if self.failed else 0

    def __str__(self) -> str:
        """One line for a person."""
        parts = [f"{self.annotated} annotated", f"{self.known} known already"]
        parts += [f"{self.repeated} the same as another file"] * bool(self.repeated)
        parts += [f"{self.failed} failed: see {self.errors}"] * bool(self.failed)
        return f"{self.out}: {', '.join(parts)}"


@dataclass(frozen=True)
class _Line:
    """The outcome for one entry: a line to write, or the reason why there is none."""

    entry: Entry
    item_id: str
    values: Mapping[str, Any] | None
    reason: str = ""


def annotate(task: Task, source: str, out: Path, answer: Answering, *, console: Console | None = None) -> Counts:
    """Appends a line to ``out`` for every medium that ``source`` names and that has none there yet.

    ``answer(data, name)`` gives ``task``, ``model_version``, ``label``, ``uncertainty`` and ``route``; the line adds
    ``uri`` (``group`` and ``language``) and ``item_id``, the SHA-256 of the bytes. Lines keep the order of
    ``find_media``, and each is written whole before the next. Media that cannot be read are listed with their reason
    beside ``out``, in ``*.errors.jsonl``; that file tells of the last run only, which tried all of them again.

    Raises:
        NotFound: the source is not there.
        InvalidInput: the manifest or ``out`` holds something else, or another run is writing ``out``.
    """
    entries = find_media(task, source)
    errors = out.with_suffix(".errors.jsonl")
    with open_journal(out) as lines:
        known_uris, item_ids = _continue(lines, out, task)
        entries_left = [entry for entry in entries if entry.uri not in known_uris]
        annotated = failed = 0
        with errors.open("wb") as reasons, progress_bar(console or Console(stderr=True)) as progress:
            bar = progress.add_task(f"annotate {task}", total=len(entries), completed=len(entries) - len(entries_left))
            for line in _in_order(lambda entry: _line(entry, answer), entries_left):
                if line.values is None:
                    failed += 1
                    append(reasons, {"uri": line.entry.uri, "reason": line.reason})
                elif line.item_id not in item_ids:
                    annotated += 1
                    item_ids.add(line.item_id)
                    append(lines, line.values)
                progress.advance(bar)
    if not failed:
        errors.unlink()
    repeated = len(entries_left) - annotated - failed
    return Counts(annotated, len(entries) - len(entries_left), repeated, failed, out, errors)


def _continue(lines: IO[bytes], out: Path, task: Task) -> tuple[set[str], set[str]]:
    """The uris and item ids that ``out`` holds already."""
    uris, item_ids = set[str](), set[str]()
    for number, line in enumerate(written_lines(lines), 1):
        uri, item_id = _written(f"{out}:{number}", line, task)
        uris.add(uri)
        item_ids.add(item_id)
    return uris, item_ids


def _written(where: str, line: bytes, task: Task) -> tuple[str, str]:
    try:
        values = json.loads(line)
        uri, item_id, found = values["uri"], values["item_id"], values["task"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InvalidInput(f"{where}: expected a line that this command wrote, got {line[:100]!r}") from error
    if found != task:
        raise InvalidInput(f"{where}: expected lines of task {task!r}, got {found!r}: choose another file")
    return str(uri), str(item_id)


def _line(entry: Entry, answer: Answering) -> _Line:
    try:
        data = _bytes(entry)
        item_id = content_id(data)
        said = answer(data, entry.uri)
    except PrelabelError as error:
        return _Line(entry, "", None, str(error))
    except OSError as error:
        return _Line(entry, "", None, f"{entry.uri}: expected a readable file, got {error.strerror or error}")
    told = {"group": entry.group, "language": entry.language}
    known = {key: value for key, value in told.items() if value is not None}
    return _Line(entry, item_id, {"item_id": item_id, "uri": entry.uri, **known, **said})


def _bytes(entry: Entry) -> bytes:
    if found := stretch(str(entry.path)):
        return cut(found)
    about = entry.path.stat()
    if not stat.S_ISREG(about.st_mode):
        raise UnreadableMedia(f"{entry.uri}: expected a file, got a folder or a device")
    if about.st_size > _MOST_BYTES:
        raise TooLarge(f"{entry.uri}: expected at most {_MOST_BYTES >> 20} MiB, got {about.st_size >> 20} MiB")
    return entry.path.read_bytes()


def _in_order(work: Callable[[Entry], _Line], entries: Iterable[Entry]) -> Iterator[_Line]:
    """Results in the order of the entries, a few of them being worked on ahead."""
    with ThreadPoolExecutor(_WORKERS, "annotate") as pool:
        ahead: deque[Future[_Line]] = deque()
        try:
            for entry in entries:
                ahead.append(pool.submit(work, entry))
                if len(ahead) > 2 * _WORKERS:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)
