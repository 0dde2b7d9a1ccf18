"""Media that come in to be labelled: each becomes one item, named by its bytes."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path

from models.errors import InvalidInput, NotFound, TooLarge, UnreadableMedia
from models.recordings import Stretch, cut
from models.records import Item, Task
from serving.media_files import MediaFiles, content_id
from serving.store import Store
from serving.store.records import Actor, is_storable, storable, storable_name, storable_time

BATCH = 500  # items a transaction


@dataclass(frozen=True)
class Registration:
    """A medium to be labelled: its bytes, which are then kept here, or the file that holds them.

    A stretch of a recording becomes a sound of its own, which is kept here too.
    """

    uri: str
    task: Task
    data: bytes | Path | Stretch
    group: str | None = None
    language: str | None = None
    due: datetime | None = None  # with its zone


@dataclass(frozen=True)
class Registered:
    """How many (item, task) were new and known, and the uris that could not be read, with the reason."""

    new: int
    known: int
    failed: tuple[tuple[str, str], ...]


def parse_due(text: str) -> datetime:
    """When a label is needed, from ISO 8601.

    Raises:
        InvalidInput: it is no time, has no zone, or lies beyond the years of UTC.
    """
    try:
        due = datetime.fromisoformat(text)
    except ValueError:
        due = None
    if due is None or due.tzinfo is None:
        raise InvalidInput(f"due: expected a time with its zone such as 2026-12-01T12:00Z, got {text!r}")
    return storable_time(due, "due")


class Intake:
    """Registers media; ``draw`` gives each item the random number that it keeps."""

    def __init__(self, store: Store, files: MediaFiles, draw: Callable[[str], float]) -> None:
        self._store = store
        self._files = files
        self._draw = draw

    def register(self, entries: Iterable[Registration], actor: Actor, now: datetime) -> Registered:
        """Registers media for labelling, batch by batch; files that cannot be read or named fail alone.

        Raises:
            InvalidInput: a group or language, or a uri that came with its bytes, that cannot be stored.
        """
        new = seen = 0
        failed: list[tuple[str, str]] = []
        rest = iter(entries)
        while batch := list(islice(rest, BATCH)):
            readable = []
            for entry in batch:
                if not isinstance(entry.data, bytes) and not is_storable(entry.uri):
                    failed.append((entry.uri, f"{entry.uri!r:.500}: expected a name in UTF-8 without NUL"))
                    continue
                try:
                    readable.append((self._kept(entry), entry))
                except OSError as error:
                    failed.append((entry.uri, f"{entry.data!s:.500}: {error.strerror or error}"))
                except (NotFound, UnreadableMedia, TooLarge) as error:
                    failed.append((entry.uri, str(error)))
            seen += len(readable)
            drawn = [(item, entry.task, self._draw(item.id)) for item, entry in readable]
            new += self._store.items.register(drawn, actor, now)
            if due := [(item.id, entry.task, entry.due) for item, entry in readable if entry.due is not None]:
                self._store.deadlines.tell(due, actor, now)
        return Registered(new=new, known=seen - new, failed=tuple(failed))

    def _kept(self, entry: Registration) -> Item:
        uri = storable(entry.uri, "uri")
        group = None if entry.group is None else storable_name(entry.group, "group")
        language = None if entry.language is None else storable(entry.language, "language")
        data = cut(entry.data) if isinstance(entry.data, Stretch) else entry.data
        item_id = self._files.save(data) if isinstance(data, bytes) else content_id(data)
        return Item(item_id, uri, group, language)
