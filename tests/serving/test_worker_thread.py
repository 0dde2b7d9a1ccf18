"""A thread that works on what is brought, after those who bring it."""

import threading
import time
from collections.abc import Iterator
from typing import ClassVar

import pytest

from serving import worker_thread
from serving.errors import StoreAway
from serving.worker_thread import WorkerThread
from tests.serving.served import eventually


class Counting(WorkerThread):
    """Counts how often it looked for work, and fails the first time."""

    fails: ClassVar = 1

    def __init__(self) -> None:
        super().__init__("counting")
        self.looked = 0

    def _work(self) -> bool:
        self.looked += 1
        if self.looked <= self.fails:
            raise RuntimeError("the database is away")
        return False


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counting]:
    monkeypatch.setattr(worker_thread, "IDLE_S", 60.0)
    made = Counting()
    made.start()
    eventually(lambda: made.looked == 1)
    yield made
    made.close()


def test_it_outlives_a_failure_and_works_when_it_is_woken(worker: Counting) -> None:
    worker.wake()
    eventually(lambda: worker.looked == 2)


def burst(worker: Counting, over: threading.Event) -> None:
    while not over.is_set():
        worker.wake()
        time.sleep(0.001)


def test_a_burst_comes_before_the_work_that_it_brings(worker: Counting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_thread, "CALM_S", 2.0)
    monkeypatch.setattr(worker_thread, "LONGEST_S", 1000.0)
    over = threading.Event()
    bringing = threading.Thread(target=burst, args=(worker, over))
    bringing.start()
    time.sleep(0.5)
    assert worker.looked == 1
    over.set()
    bringing.join()
    eventually(lambda: worker.looked == 2)


def test_it_does_not_wait_for_ever(worker: Counting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_thread, "CALM_S", 2.0)
    monkeypatch.setattr(worker_thread, "LONGEST_S", 0.1)
    over = threading.Event()
    bringing = threading.Thread(target=burst, args=(worker, over))
    bringing.start()
    eventually(lambda: worker.looked >= 3)
    over.set()
    bringing.join()


def test_a_store_that_is_away_is_one_line_and_no_traceback(caplog: pytest.LogCaptureFixture) -> None:
    class Without(Counting):
        def _work(self) -> bool:
            self.looked += 1
            raise StoreAway(f"{self.looked // 100}")

    made = Without()
    with caplog.at_level("WARNING"):
        made.start()
        eventually(lambda: made.looked == 1)
        made.wake()
        eventually(lambda: made.looked == 2)
        made.close()
    assert [(record.getMessage(), record.exc_info) for record in caplog.records] == [
        ("the store cannot go on: 0", None)
    ]
