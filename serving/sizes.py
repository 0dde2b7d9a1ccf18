"""How large the picture of an item is: a label of another size is one of another picture."""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias

from models.errors import InvalidInput, NotFound
from models.media import image_size
from models.records import Label, Transcript, require_size
from serving.media_files import MediaFiles
from serving.store import Store

Size: TypeAlias = tuple[int, int]  # width, height in pixels


class Sizes:
    """Tells sizes; each is looked up once, for the bytes of an item never change. Safe to call from several threads."""

    def __init__(self, store: Store, files: MediaFiles) -> None:
        self._store = store
        self._files = files
        self._known = lru_cache(maxsize=4096)(self._found)  # keeps no failure

    def of(self, item_id: str) -> Size:
        """The size in which a version saw an item or, where none was asked about it, that of its medium.

        Raises:
            NotFound: no such item, or no version saw it and its medium is gone.
            InvalidInput: no version saw it, and its medium was changed or is no picture.
        """
        return self._known(item_id)

    def require(self, item_id: str, label: Label) -> None:
        """Refuses a label that is not of an item's picture, as ``require_fit``."""
        require_fit(label, f"item {item_id}", lambda: self.of(item_id))

    def _found(self, item_id: str) -> Size:
        seen = self._store.items.picture_size(item_id)
        return seen or image_size(Path(self._files.unchanged(self._store.items.item(item_id)).uri))


def size_of(label: Label) -> Size | None:
    """That of the picture which a label was given for; a transcript has none."""
    return None if isinstance(label, Transcript) else (label.width, label.height)


def require_fit(label: Label, where: str, size: Callable[[], Size]) -> None:
    """Lets a label pass that has the size of its picture, and where nobody can tell that any more, any.

    Raises:
        InvalidInput: it has another.
    """
    if isinstance(label, Transcript):
        return
    try:
        width, height = size()
    except (NotFound, InvalidInput, OSError):
        return
    require_size(where, label, width, height)
