"""JSON documents larger than memory, read one entry after the other."""

import json
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any, NoReturn, TextIO

from models.datasets.layout import broken

_CHUNK = 1 << 14  # characters
_SPLIT_TOKEN = 16  # characters: no word or number of JSON that a chunk may cut is longer, but for strings
_SPACE = " \t\r\n"


def lists_of(path: Path, *names: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(name, where, entry) for every object in the named lists of ``{"name": [..], ..}``, in the order of the file.

    Raises:
        InvalidDataset: not such a document, a named list that is missing, or an entry that is no object.
    """
    missing = set(names)
    with path.open(encoding="utf-8-sig") as text:
        document = _Document(path, text)
        document.begin("{", "a JSON object")
        for _ in document.parts("}"):
            name = document.name()
            if document.peek() == "[":
                missing.discard(name)
                for where, entry in document.entries(f"{path}:{name}"):
                    if name in names:
                        yield name, where, _object(where, entry)
            elif name in names:
                broken(document.where, f"a list under {name!r}", document.value())
            else:
                document.value()
        document.finish()
    if missing:
        broken(f"{path}:1", f"a list under {min(missing)!r}", None)


def list_of(path: Path, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """(where, entry) for every object of ``[..]``, or of the named list of ``{"name": [..], ..}``.

    Raises:
        InvalidDataset: not such a document, or an entry that is no object.
    """
    with path.open(encoding="utf-8-sig") as text:
        document = _Document(path, text)
        if document.peek() == "[":
            for where, entry in document.entries(f"{path}:"):
                yield where, _object(where, entry)
            document.finish()
            return
        if document.peek() != "{":
            broken(document.where, f"a JSON list, or one under {name!r}", document.ahead)
    yield from ((where, entry) for _, where, entry in lists_of(path, name))


def _object(where: str, entry: Any) -> dict[str, Any]:
    if not isinstance(entry, dict):
        broken(where, "an object", entry)
    return entry


class _Document:
    """A window on the text, from ``_at`` on; what lies before it is forgotten, but for the number of its lines."""

    def __init__(self, path: Path, text: TextIO) -> None:
        self._path, self._text = path, text
        self._window, self._at, self._ended = "", 0, False
        self._lines_passed = self._columns_passed = 0
        self._decoder = json.JSONDecoder()

    @property
    def where(self) -> str:
        return f"{self._path}:{self._line(self._at)}"

    @property
    def ahead(self) -> str:
        """What comes next, for an error."""
        return self._window[self._at : self._at + 50]

    def begin(self, bracket: str, expected: str) -> None:
        if self.peek() != bracket:
            broken(self.where, expected, self.ahead)
        self._at += 1

    def parts(self, closing: str) -> Iterator[int]:
        """Counts the parts up to the closing bracket; the caller takes each before it asks for the next."""
        if self.peek() == closing:
            self._at += 1
            return
        for number in count():
            yield number
            mark = self.peek()
            if not mark or mark not in f",{closing}":
                self._fail(f"Expecting ',' or '{closing}'", self._at)
            self._at += 1
            if mark == closing:
                return

    def entries(self, where: str) -> Iterator[tuple[str, Any]]:
        """The entries of a list, each behind its place."""
        self._at += 1
        for index in self.parts("]"):
            yield f"{where}[{index}]", self.value()

    def name(self) -> str:
        if self.peek() != '"':
            self._fail("Expecting property name enclosed in double quotes", self._at)
        name: str = self.value()
        if self.peek() != ":":
            self._fail("Expecting ':' delimiter", self._at)
        self._at += 1
        return name

    def value(self) -> Any:
        self.peek()
        while True:
            try:
                value, end = self._decoder.raw_decode(self._window, self._at)
            except json.JSONDecodeError as error:
                cut = error.msg.startswith("Unterminated string") or error.pos > len(self._window) - _SPLIT_TOKEN
                if self._ended or not cut:
                    self._fail(error.msg, error.pos)
            except (ValueError, RecursionError) as error:  # a number of thousands of digits; lists in lists without end
                broken(self.where, "JSON", str(error))
            else:
                follows = self._window[end : end + _SPLIT_TOKEN]  # of 0.5 the window may show "0" or "0." so far
                if self._ended or len(follows) == _SPLIT_TOKEN or follows[:1] in (",", "]", "}"):
                    self._at = end
                    return value
            self._read_on()

    def peek(self) -> str:
        """The next character that is no space; nothing at the end."""
        while True:
            while self._at < len(self._window) and self._window[self._at] in _SPACE:
                self._at += 1
            if self._at < len(self._window) or self._ended:
                return self._window[self._at : self._at + 1]
            self._read_on()

    def finish(self) -> None:
        if self.peek():
            self._fail("Extra data", self._at)

    def _read_on(self) -> None:
        """Moves the window; it doubles while one value does not fit in."""
        self._lines_passed, self._columns_passed = self._line(self._at) - 1, self._column(self._at) - 1
        self._window, self._at = self._window[self._at :], 0
        try:
            more = self._text.read(max(_CHUNK, len(self._window)))
        except UnicodeDecodeError as error:
            broken(self.where, "UTF-8 text", error.object[error.start : error.start + 10])
        self._window += more
        self._ended = not more

    def _line(self, position: int) -> int:
        return self._lines_passed + self._window.count("\n", 0, position) + 1

    def _column(self, position: int) -> int:
        newline = self._window.rfind("\n", 0, position)
        return position - newline if newline >= 0 else self._columns_passed + position + 1

    def _fail(self, message: str, position: int) -> NoReturn:
        broken(f"{self._path}:{self._line(position)}", "JSON", f"{message} at column {self._column(position)}")
