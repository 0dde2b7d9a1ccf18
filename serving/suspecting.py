"""The store's own labels, worst first, while the service runs: ranked in the background, handed out in pages."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TypeAlias

from models import media
from models.counting import counted
from models.errors import InvalidInput, NotFound, PrelabelError
from models.recordings import medium
from models.records import Item, Label, Task
from models.tasks import Runtime, load_runtime
from models.versions import ONNX
from serving.errors import Unavailable
from serving.loop import Loop, utc_now
from serving.server_log import log
from serving.store.records import SaidChanges
from serving.suspects import Suspect, rank

YIELD_S = 0.2  # after each medium while requests are at work
WAIT_S = 5.0  # for the first ranking that is being made, before the client is asked to come again
SOON_S = 0.3  # for a newer one, before the one before is answered

State: TypeAlias = tuple[str, SaidChanges]  # the version that is asked, and what the labels are


@dataclass(frozen=True)
class Unread:
    """An item whose label nothing is said of, and what is wrong with its medium."""

    item: Item
    failure: PrelabelError


@dataclass(frozen=True)
class Ranking:
    """The labels of a task, worst first, as ``version`` saw them at ``ranked_at``; by item id whose they are, and by
    which correction."""

    version: str
    ranked_at: datetime
    suspects: tuple[Suspect, ...]
    annotators: dict[str, str]
    corrections: dict[str, int]
    unread: tuple[Unread, ...]
    state: State


class _Work:
    """A ranking that is being made."""

    def __init__(self) -> None:
        self.done = threading.Event()
        self.asked = 0
        self.total = 0
        self.failure: PrelabelError | None = None


class Suspecting:
    """Ranks a task's labels when somebody asks and they or the serving version have changed; one task at a time."""

    def __init__(
        self, loop: Loop, is_busy: Callable[[], bool], load: Callable[[Task, Path, int], Runtime] = load_runtime
    ) -> None:
        self._loop, self._is_busy, self._load = loop, is_busy, load
        self._lock, self._one, self._stopped = threading.Lock(), threading.Lock(), threading.Event()
        self._rankings: dict[Task, Ranking] = {}
        self._work: dict[Task, _Work] = {}

    def ranking(self, task: Task) -> Ranking:
        """The newest ranking; while a newer one is being made the one before, if there is one.

        Raises:
            NotFound: no version of the task serves.
            Unavailable: the first ranking takes a while.
        """
        serving = self._loop.versions.serving(task)
        if serving is None:
            raise NotFound(f"suspects {task}: expected a serving version, got none")
        state = serving.name, self._loop.labelled.changes(task)
        with self._lock:
            known = self._rankings.get(task)
            if known is not None and known.state == state:
                return known
            work = self._work.get(task) or self._begin(task, state)
        work.done.wait(WAIT_S if known is None else SOON_S)
        if work.failure is not None:
            raise work.failure
        newest = self._rankings.get(task)
        if newest is None:
            raise Unavailable(
                f"suspects {task}: {work.asked} of {counted(work.total, 'label')} looked at; ask again later"
            )
        return newest

    def changed(self, task: Task, listed: Sequence[Suspect], ranking: Ranking) -> frozenset[str]:
        """Of some items of a ranking those that have another label by now, or none."""
        counting = self._loop.store.said.counting(task, [one.item.id for one in listed])
        given = {one.item.id: ranking.corrections[one.item.id] for one in listed}
        return frozenset(item_id for item_id, by in given.items() if counting.get(item_id) != by)

    def close(self) -> None:
        """Ends after the medium at hand."""
        self._stopped.set()
        for work in list(self._work.values()):
            work.done.wait()

    def _begin(self, task: Task, state: State) -> _Work:
        work = self._work[task] = _Work()
        threading.Thread(target=self._run, args=(task, state, work), name=f"suspects {task}", daemon=True).start()
        return work

    def _run(self, task: Task, state: State, work: _Work) -> None:
        try:
            with self._one:
                ranked = self._ranked(task, state, work)
            self._rankings[task] = ranked
        except PrelabelError as error:
            work.failure = error
        except Exception as error:
            log.exception("suspects %s: the ranking failed", task)
            work.failure = Unavailable(f"suspects {task}: the ranking failed: {type(error).__name__}")
        finally:
            with self._lock:
                self._work.pop(task, None)
            work.done.set()

    def _ranked(self, task: Task, state: State, work: _Work) -> Ranking:
        """Looks at every label whose medium can be read."""
        pairs, unread = list[tuple[Item, Label]](), list[Unread]()
        annotators, corrections = dict[str, str](), dict[str, int]()
        for one in self._loop.labelled.opinions(task):
            self._give_way()
            try:
                pairs.append((self._readable(task, one.item), one.counting.label))
            except (NotFound, InvalidInput) as failure:
                unread.append(Unread(one.item, failure))
                continue
            work.total += 1
            annotators[one.item.id], corrections[one.item.id] = one.counting.annotator, one.state.counts
        runtime = self._load(task, self._loop.versions.get(state[0]).folder / ONNX, 1)
        found = rank(task, runtime, pairs, tell=lambda: self._tell(work))
        suspects = tuple(replace(one, item=self._loop.item(one.item.id)) for one in found)
        return Ranking(state[0], utc_now(), suspects, annotators, corrections, tuple(unread), state)

    def _readable(self, task: Task, item: Item) -> Item:
        """The item with the path of its file as uri, after a look that the task can read it."""
        found = replace(item, uri=str(self._loop.path(item)))
        media.read(task, medium(found.uri), item.uri)
        return found

    def _tell(self, work: _Work) -> None:
        """One more label is looked at."""
        work.asked += 1
        self._give_way()

    def _give_way(self) -> None:
        """Waits a moment where requests are at work."""
        if self._stopped.wait(YIELD_S if self._is_busy() else 0):
            raise Unavailable("suspects: the service ends")
