"""Rows put aside on disk: what a format wants sorted or looked up needs no memory, however much of it there is."""

import json
import os
import sqlite3
import weakref
from collections.abc import Iterable, Iterator
from typing import Any


class Shelf:
    """(key, value) rows in a temporary file that vanishes with the shelf; a key may come several times.

    Values are whatever JSON holds. SQLite keeps 2 MB of the file in memory, no more.
    """

    def __init__(self, rows: Iterable[tuple[str, Any]] = ()) -> None:
        self._rows = sqlite3.connect("", isolation_level=None, check_same_thread=False)  # "" is a file without a name
        weakref.finalize(self, self._rows.close)
        self._rows.execute("PRAGMA journal_mode=OFF")
        self._rows.execute("CREATE TABLE rows (place INTEGER PRIMARY KEY, key BLOB NOT NULL, value TEXT NOT NULL)")
        self._rows.execute("CREATE INDEX by_key ON rows (key, place)")
        self._rows.execute("BEGIN")
        for key, value in rows:
            self.add(key, value)

    def add(self, key: str, value: Any) -> None:
        self._rows.execute("INSERT INTO rows (key, value) VALUES (?, ?)", (os.fsencode(key), json.dumps(value)))

    def __contains__(self, key: object) -> bool:
        found = self._rows.execute("SELECT 1 FROM rows WHERE key = ?", (os.fsencode(str(key)),))
        return found.fetchone() is not None

    def values(self, key: str) -> list[Any]:
        """What was put under a key, in the order it came."""
        found = self._rows.execute("SELECT value FROM rows WHERE key = ? ORDER BY place", (os.fsencode(key),))
        return [json.loads(value) for (value,) in found]

    def as_added(self) -> Iterator[tuple[str, Any]]:
        """All rows in the order they came."""
        return self._all("place")

    def in_order(self) -> Iterator[tuple[str, Any]]:
        """All rows ordered by the bytes of their keys, then as they came."""
        return self._all("key, place")

    def _all(self, order: str) -> Iterator[tuple[str, Any]]:
        for key, value in self._rows.execute(f"SELECT key, value FROM rows ORDER BY {order}"):
            yield os.fsdecode(key), json.loads(value)
