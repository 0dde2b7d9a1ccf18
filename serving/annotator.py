"""From the bytes of a medium to the answer on it: decode, predict, record; the same for posts and registered items."""

from pathlib import Path

from models.errors import InvalidInput, NotFound
from models.media import SAMPLE_RATE, Limits, read
from models.records import Item, Prediction, Seconds, Task
from serving.fetch import Fetched
from serving.live import Live
from serving.loop import Actor, Answer, Loop
from serving.media_files import content_id


class Annotator:
    """Asks the version that serves, and keeps what it says. Safe to call from several threads."""

    def __init__(self, loop: Loop, live: Live, limits: Limits) -> None:
        self._loop = loop
        self._live = live
        self._limits = limits

    def posted(self, task: Task, data: bytes, name: str, actor: Actor, group: str | None = None) -> Answer:
        """The answer on bytes that came with a request; ``name`` is what errors call them.

        Raises:
            UnreadableMedia, TooLarge: the bytes are no medium of the task, or beyond the limits.
            Unavailable: no version serves.
        """
        item_id = content_id(data)
        return self._answer(task, Item(item_id, f"posted:{item_id}", group), data, data, name, actor)

    def fetched(self, task: Task, medium: Fetched, actor: Actor, group: str | None = None) -> Answer:
        """The answer on what a uri named; files of this machine are not copied."""
        item = Item(content_id(medium.data), medium.uri, group)
        return self._answer(task, item, medium.data, None if medium.path else medium.data, medium.uri, actor)

    def registered(self, task: Task, item: Item, actor: Actor) -> Answer:
        """The answer on an item of the store; from now on it is the one that counts for its task, unless somebody holds
        the item, to whom it was not shown.

        Raises:
            NotFound: its medium is gone.
            InvalidInput: the file was changed since it was registered.
        """
        known = self._loop.answered(item.id, task, self._live.version(task))
        if known is None:
            return self._answer(task, item, self.bytes_of(item), None, item.uri, actor)
        said = known.preannotation
        again = Prediction(said.label, said.uncertainty.score, said.features, said.embedding)
        duration_s = said.features.get("duration_s")  # what the recogniser heard
        return self._loop.record(task, item, None, again, said.model_version, duration_s, actor)

    def bytes_of(self, item: Item) -> bytes:
        """The bytes of an item of the store, as they were when it came.

        Raises:
            NotFound, InvalidInput: as ``registered``.
        """
        path = self._loop.path(item)
        data = _read(path)
        if content_id(data) != item.id:
            raise InvalidInput(f"{path}: expected the bytes with SHA-256 {item.id}, got others; the file was changed")
        return data

    def prediction(self, task: Task, data: bytes, name: str) -> tuple[str, Prediction, Seconds | None]:
        """The version that serves, what it says about a medium, and how long a sound is; kept nowhere."""
        media = read(task, data, name, self._limits)
        version, prediction = self._live.predict(task, media)
        return version, prediction, len(media) / SAMPLE_RATE if task == "asr" else None

    def _answer(self, task: Task, item: Item, data: bytes, keep: bytes | None, name: str, actor: Actor) -> Answer:
        known = self._loop.answered(item.id, task, self._live.version(task))
        if known is not None:
            return known
        version, prediction, duration_s = self.prediction(task, data, name)
        return self._loop.record(task, item, keep, prediction, version, duration_s, actor)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise NotFound(f"{path}: expected a medium, got {error.strerror}") from error
