"""Things made ahead, by a thread and by processes: in order, each once, and none left running."""

import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from models.ahead import MOST, made_ahead, processes_beside
from models.errors import InvalidInput
from tests.outliving import outlive

both = pytest.mark.parametrize("processes", [0, 2])


def where(number: int) -> tuple[int, int]:
    return number * number, os.getpid()


@both
def test_each_key_comes_with_what_is_made_of_it_in_order(processes: int) -> None:
    got = list(made_ahead(where, range(20), processes))
    assert [(key, made[0]) for key, made in got] == [(number, number * number) for number in range(20)]
    makers = {made[1] for _, made in got}
    assert makers == {os.getpid()} if processes == 0 else os.getpid() not in makers


@both
def test_what_it_makes_may_hold_anything_that_is_here(processes: int) -> None:
    held = {number: object() for number in range(3)}  # a closure cannot be sent to a process; a fork has it
    assert [made for _, made in made_ahead(lambda key: key in held, range(4), processes)] == [True, True, True, False]


@both
def test_what_goes_wrong_comes_out_where_it_would_have(processes: int) -> None:
    made = made_ahead(lambda key: 1 // (2 - key), range(5), processes)
    assert [next(made)[1], next(made)[1]] == [0, 1]
    with pytest.raises(ZeroDivisionError):
        next(made)


def test_too_little_shared_memory_is_told() -> None:
    def full(_: int) -> None:
        raise RuntimeError("unable to allocate shared memory(shm) for file </torch_7>: No space left on device (28)")

    with pytest.raises(InvalidInput, match=r"expected room in /dev/shm .*, got none left; .*--shm-size"):
        next(made_ahead(full, [0], 1))


def test_a_process_that_is_ended_from_outside_is_told() -> None:
    with pytest.raises(ChildProcessError, match="got one that was ended from outside"):
        next(made_ahead(lambda _: os.kill(os.getpid(), signal.SIGKILL), [0], 1))


def test_a_large_machine_gives_no_more_processes_than_are_of_use(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = []
    for cores in (1, 8, 200):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _, cores=cores: set(range(cores)))
        counts.append(processes_beside(torch.device("cuda")))
    assert counts == [1, 7, MOST]
    monkeypatch.setattr("models.ahead.parent_process", lambda: object())  # as in a simulation, which has one a core
    assert processes_beside(torch.device("cuda")) == 1


@both
def test_whoever_stops_early_leaves_no_process_behind(processes: int) -> None:
    made = made_ahead(where, iter(int, 1), processes)  # endless
    assert next(made)[0] == 0
    made.close()
    assert not multiprocessing.active_children()


def test_ctrl_c_means_the_one_that_asked() -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # work in the background ignores it anyhow
    try:
        ((_, found),) = made_ahead(signal.getsignal, [signal.SIGINT], 1)
    finally:
        signal.signal(signal.SIGINT, before)
    assert found == signal.SIG_IGN


def test_they_end_with_a_killed_one_that_asked() -> None:
    code = """if __name__ == "__main__":
        import os
        from models.ahead import made_ahead
        for _, made in made_ahead(lambda _: os.getpid(), iter(int, 1), 2):
            print(made, flush=True)
    """
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    asked = subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True)
    assert asked.stdout is not None
    pids = set[int]()
    while len(pids) < 2:
        pids.add(int(asked.stdout.readline()))
    asked.kill()
    asked.wait()
    asked.stdout.close()
    assert not outlive(pids)
