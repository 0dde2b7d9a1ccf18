"""Two versions on the gold items, compared beside the requests that ask: with many gold items that takes minutes."""

import threading
from concurrent.futures import Future
from typing import TypeAlias

from models.errors import PrelabelError
from serving.loop import Actor, Loop
from serving.promotion import quality_of
from serving.server_log import log
from serving.store.records import Comparison, SaidChanges

State: TypeAlias = tuple[str | None, SaidChanges]  # the version that serves, and what the labels are


class Comparing:
    """Compares a candidate with what serves when somebody asks, and anew when either or the labels have changed."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._lock, self._one = threading.Lock(), threading.Lock()
        self._asked: dict[str, tuple[State, Future[Comparison]]] = {}

    def ask(self, version: str, actor: Actor) -> Future[Comparison]:
        """What would decide the promotion of a version, as ``Versions.compare`` says it; done when it is known.

        Raises:
            NotFound: there is no such version.
        """
        task = self._loop.versions.get(version).task
        serving = self._loop.versions.serving(task)
        state = serving.name if serving else None, self._loop.labelled.changes(task)
        with self._lock:
            known = self._asked.get(version)
            if known is not None and known[0] == state:
                return known[1]
            found = Future[Comparison]()
            self._asked[version] = state, found
        work = threading.Thread(
            target=self._compare, args=(version, actor, found), name=f"compare {version}", daemon=True
        )
        work.start()
        return found

    def _compare(self, version: str, actor: Actor, found: Future[Comparison]) -> None:
        try:
            with self._one:
                found.set_result(self._loop.versions.compare(version, actor, quality_of))
        except PrelabelError as error:
            self._failed(version, found, error)
        except Exception as error:
            log.exception("comparing %s failed", version)
            self._failed(version, found, error)

    def _failed(self, version: str, found: Future[Comparison], error: Exception) -> None:
        """Who waits hears of it; who asks again lets it be tried again."""
        with self._lock:
            self._asked.pop(version, None)
        found.set_exception(error)
