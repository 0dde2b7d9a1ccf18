"""A journal: a JSON-lines file that is only appended to, by one writer at a time, and whole whatever kills it."""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from models.errors import InvalidInput
from models.room import room


def open_journal(path: Path) -> IO[bytes]:
    """The journal to read and append to, held by this run alone until it is closed.

    Raises:
        InvalidInput: no file can be written there, or another run is writing it.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and not path.is_file():  # what /dev/full says when read never ends
            raise InvalidInput(f"{path}: expected a file to write to, got a folder or a device")
        journal = path.open("a+b")
    except OSError as error:
        raise InvalidInput(f"{path}: expected a file to write to, got {error.strerror}") from error
    try:
        fcntl.flock(journal, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        journal.close()
        raise InvalidInput(f"{path}: expected to be its only writer, got another run that is writing it") from error
    return journal


def written_lines(journal: IO[bytes]) -> Iterator[bytes]:
    """Every line that was written before; at the end, a last one that was cut off is removed."""
    journal.seek(0)
    whole = 0
    for line in journal:
        if not line.endswith(b"\n"):
            break
        whole += len(line)
        yield line
    journal.truncate(whole)


def append(journal: IO[bytes], values: Mapping[str, Any]) -> None:
    """Hands one line to the system, after which a killed process loses nothing of it.

    Raises:
        InvalidInput: the disk takes no more; the lines before stay.
    """
    text = json.dumps(values, ensure_ascii=False, allow_nan=False) + "\n"
    line = text.encode(errors="backslashreplace")  # a path that is no UTF-8 becomes JSON's own \udcxx
    with room(Path(journal.name), "a line", "those before are kept, and the same command goes on from them"):
        while line:  # past Python's buffer, which would try again what the disk has refused
            line = line[os.write(journal.fileno(), line) :]
