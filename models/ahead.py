"""What a network trains on next, made while it trains on what came before."""

import os
import signal
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from threading import Thread
from typing import Any, TypeVar

import torch

from models.errors import InvalidInput

MOST = 16  # processes: what they make ahead takes up to 1.4 GB of shared memory with the usual batches

Key = TypeVar("Key")
Made = TypeVar("Made")

_make: Callable[[Any], Any]  # in a process that makes: what it makes of a key


def made_ahead(
    make: Callable[[Key], Made], keys: Iterable[Key], processes: int
) -> Generator[tuple[Key, Made], None, None]:
    """Each key, in order, and what ``make`` makes of it, some made before they are asked for.

    Without processes a thread makes one thing ahead. The processes are forked at the first key: what ``make`` holds by
    then they share with this one, but for the GPU, which they may not touch.

    Raises:
        InvalidInput: tensors that processes made do not fit into shared memory.
        ChildProcessError: a process was ended from outside.
    """
    pool, make_there = _pool(make, processes)
    waiting: deque[tuple[Key, Future[Made]]] = deque()
    try:
        for key in keys:
            waiting.append((key, pool.submit(make_there, key)))
            if len(waiting) > 2 * processes + 1:
                first, made = waiting.popleft()
                yield first, _result(made)
        for first, made in waiting:
            yield first, _result(made)
    finally:
        pool.shutdown(cancel_futures=True)


def processes_beside(device: torch.device) -> int:
    """How many make what ``device`` trains on: beside a GPU one for each other core, up to ``MOST``, but one where this
    process is one of several itself; a CPU has no cores to spare."""
    if device.type != "cuda":
        return 0
    return 1 if parent_process() else min(MOST, max(1, len(os.sched_getaffinity(0)) - 1))


def _result(made: Future[Made]) -> Made:
    try:
        return made.result()
    except BrokenProcessPool as error:
        raise ChildProcessError("expected processes that make batches, got one that was ended from outside, as where "
                                "memory runs out; the same command goes on") from error  # fmt: skip
    except RuntimeError as error:
        if "shared memory" not in str(error):
            raise
        raise InvalidInput("expected room in /dev/shm for the batches that processes make, got none left; give a "
                           "container more of it (--shm-size 2g)") from error  # fmt: skip


def _pool(make: Callable[[Key], Made], processes: int) -> tuple[Executor, Callable[[Key], Made]]:
    if not processes:
        return ThreadPoolExecutor(1), make
    return ProcessPoolExecutor(processes, get_context("fork"), _begin, (make,)), _made


def _begin(make: Callable[[Any], Any]) -> None:
    global _make
    _make = make
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C means the process that asked, which ends this one
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _made(key: Any) -> Any:
    return _make(key)
