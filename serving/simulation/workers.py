"""Processes that work at rounds, one a core, and end with the one that started them, however that ends."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.connection import Connection
from threading import Thread
from typing import Protocol, TypeVar

Done = TypeVar("Done")


class Workers(Protocol):
    """Does what is submitted, perhaps beside other work."""

    def submit(self, work: Callable[..., Done], *arguments: object) -> Future[Done]:
        """Work that is to be done."""


@contextmanager
def workers(processes: int) -> Iterator[Workers]:
    """Processes of one thread each; 1 for this one alone. Where an error ends the work, they end at once.

    They are started afresh: a copy of one that has threads may hang.

    Raises:
        ChildProcessError: one was ended from outside.
    """
    if processes == 1:
        yield _Here()
        return
    fresh = multiprocessing.get_context("spawn")
    leash, hold = fresh.Pipe(duplex=False)
    with leash, hold, ProcessPoolExecutor(processes, mp_context=fresh, initializer=_begin, initargs=(leash,)) as pool:
        try:
            yield _There(pool)
        except BrokenProcessPool as error:
            raise ChildProcessError("expected processes that work, got one that was ended from outside, as where "
                                    "memory runs out; the same command goes on") from error  # fmt: skip
        except BaseException:
            hold.close()  # nobody waits for work that nobody wants
            raise


class _Here:
    """Does at once, in this process, what is submitted."""

    def submit(self, work: Callable[..., Done], *arguments: object) -> Future[Done]:
        future: Future[Done] = Future()
        future.set_result(work(*arguments))
        return future


class _There:
    """Hands to processes what is submitted; Ctrl-C means this process alone."""

    def __init__(self, pool: ProcessPoolExecutor) -> None:
        self._pool = pool

    def submit(self, work: Callable[..., Done], *arguments: object) -> Future[Done]:
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # a process that is started here inherits it
        try:
            return self._pool.submit(work, *arguments)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin(leash: Connection) -> None:
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"
    Thread(target=_end_with, args=(leash,), daemon=True).start()


def _end_with(leash: Connection) -> None:
    """Ends this process when the other end of its leash is let go, also by one that is killed."""
    leash.poll(None)
    os._exit(1)
