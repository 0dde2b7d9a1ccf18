"""A simulation's work: rounds that are done once, processes that end with it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import pytest

from serving.settings import Settings
from serving.simulation.arms import arm as arm_named
from serving.simulation.plan import Plan
from serving.simulation.pool import read_pool
from serving.simulation.rounds import Round, _Turn, turn
from serving.simulation.workers import workers
from tests.labelled import data_set
from tests.serving.work import settings
from tests.tiny_versions import make_version

SMALL: dict[str, Any] = {"rounds": 2, "seeds": 1, "epochs": 0, "mistakes": 0.0, "groups": False}
ROOT = Path(__file__).parents[2]


@pytest.fixture
def chosen(tmp_path: Path) -> Settings:
    return settings(tmp_path / "kept", database_url=f"sqlite:///{tmp_path}/store.db", calibration_share=0.5)


class TestTogether:
    @pytest.fixture
    def plan(self, tmp_path: Path, chosen: Settings) -> Plan:
        version = make_version(tmp_path / "first", "lane")
        pool = read_pool("lane", (data_set(tmp_path / "pool", "lane", 12),), (), frozenset(), None, groups=False)
        return Plan("lane", version, pool, chosen, (0.5, 1.0), 0, 1.0, 0.0, tmp_path / "work")

    def test_two_runs_of_one_simulation_do_each_round_once(self, plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
        turned, begin, told = list[int](), Barrier(2), list[Round]()
        round_of = _Turn.round

        def slowly(self: _Turn) -> Round:
            turned.append(self.number)
            time.sleep(0.2)
            return round_of(self)

        def run() -> None:
            begin.wait()
            told.extend(turn(plan, arm_named("active"), 0, number) for number in (1, 2))

        monkeypatch.setattr(_Turn, "round", slowly)
        both = [Thread(target=run) for _ in range(2)]
        for one in both:
            one.start()
        for one in both:
            one.join()
        assert turned == [1, 2]
        assert [one.number for one in told] in ([1, 2, 1, 2], [1, 1, 2, 2])

    def test_what_a_killed_run_left_is_done_anew(self, plan: Plan) -> None:
        left = plan.folder / "rounds" / "active-0" / ".turning"
        left.mkdir(parents=True)
        (left / "store.db").write_text("half a store")
        assert turn(plan, arm_named("active"), 0, 1).labelled == round(len(plan.pool.pairs) / 2)
        assert not left.exists()


def nap(pids: Path, seconds: float) -> None:
    """Tells its process, works for so long and then says so."""
    (pids / str(os.getpid())).touch()
    time.sleep(seconds)
    (pids / "done").touch()


def wait_for(pids: Path, count: int) -> list[int]:
    while len(found := list(pids.iterdir())) < count:
        time.sleep(0.05)
    return [int(one.name) for one in found]


def is_there(pid: int) -> bool:
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return bool(state.strip()) and "Z" not in state


class TestWorkers:
    def test_an_error_ends_them_at_once(self, tmp_path: Path) -> None:
        pids = list[int]()

        def interrupted() -> None:
            with workers(2) as hands:
                hands.submit(nap, tmp_path, 8.0)
                pids.extend(wait_for(tmp_path, 1))
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            interrupted()
        assert not any(map(is_there, pids))
        assert not (tmp_path / "done").exists()

    def test_they_end_with_a_killed_one_that_started_them(self, tmp_path: Path) -> None:
        code = f"""if __name__ == "__main__":
            from pathlib import Path
            from serving.simulation.workers import workers
            from tests.serving.test_simulated_work import nap
            with workers(2) as hands:
                for _ in range(2):
                    hands.submit(nap, Path({str(tmp_path)!r}), 600.0)
                hands.submit(nap, Path({str(tmp_path)!r}), 600.0).result()
        """
        parent = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(ROOT)})
        pids = wait_for(tmp_path, 2)
        parent.kill()
        parent.wait()
        for _ in range(200):
            if not any(map(is_there, pids)):
                return
            time.sleep(0.1)
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        pytest.fail("processes outlived the one that started them")

    def test_ctrl_c_means_the_one_that_started_them(self) -> None:
        with workers(2) as hands:
            blocked = hands.submit(signal.pthread_sigmask, signal.SIG_BLOCK, ()).result()
        assert signal.SIGINT in blocked
        assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())

    def test_one_that_is_ended_from_outside_is_told(self) -> None:
        with pytest.raises(ChildProcessError, match="got one that was ended from outside"), workers(2) as hands:
            hands.submit(os._exit, 1).result()
