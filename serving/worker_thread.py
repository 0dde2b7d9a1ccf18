"""A thread that works while there is work, sleeps when there is none, and outlives what goes wrong for a moment."""

import threading
import time
from abc import ABC, abstractmethod

from serving.errors import Unavailable
from serving.server_log import log

IDLE_S = 1.0  # until it looks again, where nobody wakes it
CALM_S = 0.05  # without anything new: then a burst is over
LONGEST_S = 5.0  # that it waits for that


class WorkerThread(ABC):
    """Calls ``_work`` again and again while it finds something to do; who brings more and more of it goes first."""

    def __init__(self, name: str) -> None:
        self._stopped = threading.Event()
        self._woken = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begins to work."""
        self._thread.start()

    def wake(self) -> None:
        """Says that there is work."""
        self._woken.set()

    def close(self) -> None:
        """Ends after the work at hand."""
        self._stopped.set()
        self._woken.set()
        if self._thread.is_alive():
            self._thread.join()

    @abstractmethod
    def _work(self) -> bool:
        """Does what there is to do; says whether there was any."""

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._let_pass()
            worked = False
            try:
                worked = self._work()
            except Unavailable as error:  # for a moment; the work is still there afterwards
                log.warning("%s", error)
            except Exception:
                log.exception("the work of thread %r failed", self._thread.name)
            if not worked and not self._stopped.is_set():
                self._woken.wait(IDLE_S)

    def _let_pass(self) -> None:
        """Waits while it is woken again and again: those who do so should not be slowed down by what they bring."""
        until = time.monotonic() + LONGEST_S
        while self._woken.is_set() and not self._stopped.is_set() and time.monotonic() < until:
            self._woken.clear()
            self._woken.wait(CALM_S)
        self._woken.clear()
