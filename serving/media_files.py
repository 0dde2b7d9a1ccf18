"""Posted media on disk, by content: the name of a file is the SHA-256 of its bytes."""

import contextlib
import hashlib
import os
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

from models.errors import InvalidInput, NotFound
from models.records import Item
from models.versions import file_sha256
from serving.errors import StoreAway


class MediaFiles:
    """A folder of media that never change. Several processes may write the same medium at once."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def save(self, data: bytes) -> str:
        """Keeps the bytes and returns their id; they appear whole under their name or not at all.

        The file is not forced to the disk: a killed process loses nothing, a power cut may lose the last moments, here
        as in the store. A file that a power cut left short is written again.

        Raises:
            StoreAway: the disk takes nothing more.
        """
        item_id = content_id(data)
        folder = f"{self._root}/{item_id[:2]}"
        path, unfinished = f"{folder}/{item_id}", f"{folder}/.{uuid4().hex}"
        with contextlib.suppress(OSError):
            if os.stat(path).st_size == len(data):
                return item_id
        try:
            os.makedirs(folder, exist_ok=True)
            with open(unfinished, "wb") as file:
                file.write(data)
            os.replace(unfinished, path)
        except OSError as error:
            with contextlib.suppress(OSError):
                Path(unfinished).unlink(missing_ok=True)
            raise StoreAway(f"{self._root}: {error.strerror or error}") from error
        return item_id

    def path(self, item: Item) -> Path:
        """The file with an item's bytes: the one kept here, or the one that its uri names.

        Raises:
            NotFound: neither is there.
        """
        kept, named = self._path(item.id), Path(item.uri)
        if kept.is_file():
            return kept
        if not named.is_file():
            raise NotFound(f"item {item.id}: expected its medium at {item.uri}, got no such file")
        return named.absolute()

    def unchanged(self, item: Item) -> Item:
        """The item with the path of its file as uri, after a look that the bytes are still the ones it is named after.

        Raises:
            NotFound: its file is gone.
            InvalidInput: its file was changed.
        """
        path = self.path(item)
        if content_id(path) != item.id:
            raise InvalidInput(f"{path}: expected the bytes with SHA-256 {item.id}, got others; the file was changed")
        return replace(item, uri=str(path))

    def _path(self, item_id: str) -> Path:
        return self._root / item_id[:2] / item_id


def content_id(data: bytes | Path) -> str:
    """The id of a medium: the SHA-256 of its bytes, in hexadecimal."""
    return file_sha256(data) if isinstance(data, Path) else hashlib.sha256(data).hexdigest()
