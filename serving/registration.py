"""Many media registered at once: JSON lines or a JSON list in, counts out."""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from anyio import create_task_group
from anyio.to_thread import run_sync

from models.errors import InvalidInput, NotFound, PrelabelError, TooLarge
from serving import answers
from serving.bodies import ItemLine, parse
from serving.fetch import Fetcher
from serving.http_errors import error_detail
from serving.loop import Actor, Loop, Registered, Registration
from serving.store.records import storable, storable_name, storable_time

MOST_LINES = 10_000
AT_ONCE = 4  # media downloaded at the same time


@dataclass(frozen=True)
class Line:
    """One line of the body, or one entry of its list, counted from 1."""

    number: int
    item: ItemLine


def parse_lines(body: bytes) -> list[Line]:
    """The lines of a body, or the entries of the list that it is; empty lines are passed over.

    Raises:
        InvalidInput: a line or entry is no ``{"uri": .., "task": .., "group": ..}``; nothing is registered then.
        TooLarge: more lines than one request may have.
    """
    lines: list[Line] = []
    for number, text in enumerate(_texts(body), 1):
        if text.strip():
            if len(lines) == MOST_LINES:  # looking at all of them would keep others waiting
                raise TooLarge(f"body: expected at most {MOST_LINES} lines, got more; send them in parts")
            item: ItemLine = parse(ItemLine, text, f"line {number}")
            storable(item.uri, f"line {number}: uri")
            storable_name(item.group or "", f"line {number}: group")
            storable(item.language or "", f"line {number}: language")
            if item.due is not None:
                storable_time(item.due, f"line {number}: due")
            lines.append(Line(number, item))
    if not lines:
        raise InvalidInput('body: expected JSON lines {"uri": .., "task": ..}, got none')
    return lines


def _texts(body: bytes) -> Iterable[bytes | str]:
    """One JSON object each."""
    if not body.lstrip().startswith(b"["):
        return body.splitlines()
    try:
        return map(json.dumps, json.loads(body))
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"body: expected a JSON list or JSON lines, got an error: {error}") from error


async def register(loop: Loop, fetcher: Fetcher, lines: Sequence[Line], actor: Actor) -> answers.Registered:
    """Registers what can be read; a line that fails does not stop the others. Files stay where they are."""
    tally = _Tally()
    remote: list[Line] = []
    files: dict[str, Line] = {}
    registrations: list[Registration] = []
    for line in lines:
        with tally.noting(line):
            path = await fetcher.locate(line.item.uri)
            if path is None:
                remote.append(line)
            else:
                files.setdefault(str(path), line)
                registrations.append(_registration(line, str(path), path))
    registered = await run_sync(loop.register, registrations, actor)
    tally.add(registered)
    for uri, why in registered.failed:
        tally.failed(files[uri], NotFound(why))
    waiting = iter(remote)
    async with create_task_group() as group:
        for _ in range(AT_ONCE):
            group.start_soon(_download, loop, fetcher, waiting, tally, actor)
    return tally.told()


async def _download(loop: Loop, fetcher: Fetcher, lines: Iterator[Line], tally: "_Tally", actor: Actor) -> None:
    """Registers one line after the other, so that no more than one medium is held in memory here."""
    for line in lines:
        with tally.noting(line):
            medium = await fetcher.fetch(line.item.uri)
            entry = _registration(line, medium.uri, medium.data)
            tally.add(await run_sync(loop.register, [entry], actor))


def _registration(line: Line, uri: str, data: bytes | Path) -> Registration:
    return Registration(uri, line.item.task, data, line.item.group, line.item.language, line.item.due)


class _Tally:
    """What became of the lines so far."""

    def __init__(self) -> None:
        self._new = 0
        self._known = 0
        self._failures: list[answers.EntryFailure] = []

    @contextmanager
    def noting(self, line: Line) -> Iterator[None]:
        """Notes a failure of this line, and goes on."""
        try:
            yield
        except PrelabelError as error:
            self.failed(line, error)

    def add(self, registered: Registered) -> None:
        """Counts items."""
        self._new += registered.new
        self._known += registered.known

    def failed(self, line: Line, error: PrelabelError) -> None:
        """Notes why a line was not registered."""
        self._failures.append(answers.EntryFailure(line.number, line.item.uri, error_detail(error)))

    def told(self) -> answers.Registered:
        """The answer; failures in the order of the lines."""
        failures = sorted(self._failures, key=lambda failure: failure.line)
        return answers.Registered(self._new, self._known, len(failures), tuple(failures))
