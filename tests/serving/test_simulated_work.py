"""A simulation's work: the rule by which it counts errors, what it refuses at once, processes that end with it."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import pytest

from models.errors import InvalidInput
from serving.loop import Loop
from serving.settings import Settings
from serving.simulate import Request, simulate
from serving.simulation.arms import ARMS
from serving.simulation.plan import Plan
from serving.simulation.pool import read_pool
from serving.simulation.rounds import Round, _Turn, turn
from serving.simulation.workers import workers
from tests.labelled import data_set
from tests.outliving import outlive
from tests.serving.work import settings
from tests.tiny_versions import NOW, make_version

ACTIVE = next(one for one in ARMS if one.name == "active")
SMALL: dict[str, Any] = {"rounds": 2, "seeds": 1, "epochs": 0, "mistakes": 0.0, "groups": False}
ROOT = Path(__file__).parents[2]


@pytest.fixture
def chosen(tmp_path: Path) -> Settings:
    return settings(tmp_path / "kept", database_url=f"sqlite:///{tmp_path}/store.db", calibration_share=0.5)


@pytest.fixture
def loop(tmp_path: Path, chosen: Settings) -> Loop:
    """One in which a tiny detector serves: its car ends at 35 px, the true one at 50, so they overlap by 0.39."""
    loop, version = Loop.open(chosen), make_version(tmp_path / "versions", "detection", size=20)
    loop.versions.add(version.folder, "tester")
    loop.versions.promote(version.name, "tester", force=True)
    return loop


class TestWhatIsWrong:
    def test_the_policys_rule_says_it(self, tmp_path: Path, loop: Loop, chosen: Settings) -> None:
        """At an IoU of 0.5 all cars are wrong; at 0.3 none is, but a third of the pictures lacks a bus."""
        request = Request("detection", (data_set(tmp_path / "pool", "detection", 12),), **SMALL)
        lenient = chosen.model_copy(update={"matters_iou": 0.3})
        usual, told = (simulate(request, loop, one, tmp_path / "out", NOW, processes=1) for one in (chosen, lenient))
        for number in (1, 2, 3, 4):
            assert usual.arms[number].points[0].labels_wrong.mean == 1
            assert 0 < told.arms[number].points[0].labels_wrong.mean < 0.6
            assert usual.arms[number].points[1].labels_wrong.mean == 0.5
            assert told.arms[number].points[1].labels_wrong.mean < 0.5
        assert told.terms["wrong"] == "an object missed, a box false, placed below IoU 0.3 or wrongly named"

    @pytest.mark.parametrize("promise_of", ["items", "parts"])
    def test_what_is_accepted_is_judged_by_the_rule_it_was_promised_by(
        self, tmp_path: Path, loop: Loop, chosen: Settings, promise_of: str
    ) -> None:
        """By the usual rule all of it would be wrong; by this one what lacks a bus, and no box."""
        request = Request("detection", (data_set(tmp_path / "pool", "detection", 130),), **SMALL)
        terms = chosen.model_copy(update={"alpha": 0.7, "matters_iou": 0.3, "promise_of": promise_of})
        (audit,) = simulate(request, loop, terms, tmp_path / "out", NOW, processes=1).arms[-1].audits
        assert audit.accepted > 10
        assert 0 < audit.wrong < audit.accepted / 2 if promise_of == "items" else audit.wrong == 0

    @pytest.mark.parametrize("other", [{"matters_iou": 0.8}, {"balance": "group"}, {"frames_apart": 3}])
    def test_work_under_other_terms_is_other_work(
        self, tmp_path: Path, loop: Loop, chosen: Settings, other: dict[str, Any]
    ) -> None:
        request = Request("detection", (data_set(tmp_path / "pool", "detection", 6),), **SMALL)
        for terms in (chosen, chosen, chosen.model_copy(update=other)):
            simulate(request, loop, terms, tmp_path / "out", NOW, processes=1)
        assert len(list((tmp_path / "out").glob("work-*"))) == 2


def test_a_round_of_a_small_pool_may_have_no_work(tmp_path: Path, loop: Loop, chosen: Settings) -> None:
    """Of two items a quarter is none: the first round's people see nothing."""
    request = Request("detection", (data_set(tmp_path / "pool", "detection", 3),), **{**SMALL, "rounds": 3})
    report = simulate(request, loop, chosen, tmp_path / "out", NOW, processes=1)
    assert report.n == 2
    for one in report.arms:
        assert [at.labelled.mean for at in one.points] == [0, 0, 0.5, 1]
        assert one.points[1].seconds_per_label is None


class TestRefused:
    @pytest.mark.parametrize("share", [float("nan"), -0.1, 1.1])
    @pytest.mark.parametrize("name", ["learn_until", "mistakes"])
    def test_shares_that_are_none(self, name: str, share: float) -> None:
        with pytest.raises(InvalidInput, match=f"simulate asr: expected a share .*{share}"):
            replace(Request("asr", ("nemo:x",)), **{name: share})  # type: ignore[arg-type]

    def test_epochs_of_a_first_model_where_there_is_one(self) -> None:
        with pytest.raises(InvalidInput, match=r"only where there is none \(--from-nothing\), got 3"):
            Request("asr", ("nemo:x",), first_epochs=3)

    def test_a_file_to_write_to_and_costs_in_brackets_without_end(
        self, tmp_path: Path, loop: Loop, chosen: Settings
    ) -> None:
        request = Request("detection", (data_set(tmp_path / "pool", "detection", 6),), **SMALL)
        (tmp_path / "file").write_text("[" * 100_000)
        with pytest.raises(InvalidInput, match="file: expected a folder to write to, got a file"):
            simulate(request, loop, chosen, tmp_path / "file", NOW)
        with pytest.raises(InvalidInput, match="file: expected JSON, got"):
            simulate(replace(request, costs=tmp_path / "file"), loop, chosen, tmp_path / "out", NOW)


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
            told.extend(turn(plan, ACTIVE, 0, number) for number in (1, 2))

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
        assert turn(plan, ACTIVE, 0, 1).labelled == round(len(plan.pool.pairs) / 2)
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
        assert not outlive(pids)
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
        assert not outlive(pids)

    def test_ctrl_c_means_the_one_that_started_them(self) -> None:
        with workers(2) as hands:
            blocked = hands.submit(signal.pthread_sigmask, signal.SIG_BLOCK, ()).result()
        assert signal.SIGINT in blocked
        assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())

    def test_one_that_is_ended_from_outside_is_told(self) -> None:
        with pytest.raises(ChildProcessError, match="got one that was ended from outside"), workers(2) as hands:
            hands.submit(os._exit, 1).result()
