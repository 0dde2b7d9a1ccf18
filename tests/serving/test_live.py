"""Promotions reach the running service within a second, lose no request, and a broken version changes nothing."""

import errno
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest

from models.errors import Refused
from models.records import Task
from models.tasks import Runtime, load_runtime
from models.versions import MANIFEST, ONNX
from serving.errors import Unavailable
from serving.live import Live, blank
from serving.loop import Loop, utc_now
from serving.settings import Settings
from tests.serving.served import Served, eventually, loop_of, picture, serving
from tests.tiny_versions import make_version

ROOT = Path(__file__).parents[2]


class Notes:
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.switches: list[tuple[Task, str, str | None]] = []
        self.predictions: list[str] = []

    def predicted(self, task: Task, version: str, seconds: float) -> None:
        assert seconds > 0
        self.predictions.append(version)

    def serves(self, task: Task, version: str, previous: str | None) -> None:
        self.switches.append((task, version, previous))


@pytest.fixture
def loop(tmp_path: Path) -> Iterator[Loop]:
    values = {"database_url": f"sqlite:///{tmp_path}/store.db", "data_dir": tmp_path / "data"}
    opened = loop_of(Settings.model_validate(values))
    yield opened
    opened.store.close()


def promoted(loop: Loop, folder: Path, task: Task = "detection", **how: Any) -> str:
    """The name of a new version that should serve."""
    version = make_version(folder / "versions", task, **how)
    loop.versions.add(version.folder, "tester")
    loop.versions.promote(version.name, "tester", force=True)
    return version.name


def test_what_serves_is_loaded_and_followed(loop: Loop, tmp_path: Path) -> None:
    notes = Notes()
    first = promoted(loop, tmp_path)
    live = Live(loop.versions, notes, slots=1, threads=1)
    live.refresh()
    assert live.tasks() == ["detection"]
    version, prediction = live.predict("detection", blank("detection"))
    assert version == live.version("detection") == first
    assert prediction.label.boxes[0].category == "car"  # type: ignore[union-attr]
    second = promoted(loop, tmp_path, size=48)
    assert live.version("detection") == first
    assert not live.is_ready()
    live.refresh()
    assert live.is_ready()
    loop.versions.rollback("detection", "tester")
    live.refresh()
    assert live.predict("detection", blank("detection"))[0] == first
    assert notes.switches == [("detection", first, None), ("detection", second, first), ("detection", first, second)]
    assert notes.predictions == [first, first]


def test_where_nothing_serves_it_says_so(loop: Loop) -> None:
    live = Live(loop.versions, Notes(), slots=1, threads=1)
    live.refresh()
    assert not live.is_ready()
    with pytest.raises(Unavailable, match="asr: expected a version that serves"):
        live.predict("asr", blank("asr"))


def test_nothing_is_loaded_twice(loop: Loop, tmp_path: Path) -> None:
    loads: list[Path] = []

    def load(task: Task, onnx: Path, threads: int) -> Runtime:
        loads.append(onnx)
        return load_runtime(task, onnx, threads)

    promoted(loop, tmp_path)
    live = Live(loop.versions, Notes(), slots=1, threads=1, load=load)
    for _ in range(3):
        live.refresh()
    promoted(loop, tmp_path, "asr")
    live.refresh()
    assert [path.parent.name.split("-")[0] for path in loads] == ["detection", "asr"]


@pytest.mark.parametrize("damage", ["no model", "other bytes", "gone", "nan"])
def test_a_broken_version_is_marked_failed_and_the_one_before_stays(loop: Loop, tmp_path: Path, damage: str) -> None:
    notes = Notes()
    good = promoted(loop, tmp_path, "lane")
    live = Live(loop.versions, notes, slots=1, threads=1)
    live.refresh()
    size = float("nan") if damage == "nan" else 20
    bad = promoted(loop, tmp_path, "lane", size=size, broken=damage == "no model")
    onnx = loop.versions.get(bad).folder / ONNX
    if damage == "other bytes":
        onnx.write_bytes(make_version(tmp_path / "other", "lane", size=9).onnx.read_bytes())
    if damage == "gone":
        onnx.unlink()
    live.refresh()
    assert live.predict("lane", blank("lane"))[0] == good
    assert loop.versions.get(bad).state == "failed"
    assert loop.versions.get(bad).failure
    assert loop.versions.get(good).state == "serving"
    assert live.is_ready()
    assert [version for _, version, _ in notes.switches] == [good]


def test_a_version_whose_folder_is_not_there_is_waited_for(loop: Loop, tmp_path: Path) -> None:
    """Whoever starts on another data folder, or before its disk is there, takes nothing from the store."""
    good, better = promoted(loop, tmp_path), promoted(loop, tmp_path, size=48)
    lane = promoted(loop, tmp_path, "lane")
    folder = loop.versions.get(better).folder
    folder.rename(tmp_path / "away")
    live = Live(loop.versions, Notes(), slots=1, threads=1)
    for _ in range(2):
        with pytest.raises(Unavailable, match=f"version {better}: expected .*, got nothing there; put it back"):
            live.refresh()
    assert not live.is_ready()
    assert live.version("lane") == lane
    assert [loop.versions.get(name).state for name in (good, better)] == ["retired", "serving"]
    (tmp_path / "away").rename(folder)
    live.refresh()
    assert live.is_ready()
    assert live.version("detection") == better


def test_a_version_that_is_half_restored_or_whose_disk_fails_is_waited_for(
    loop: Loop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = promoted(loop, tmp_path)
    live, manifest = Live(loop.versions, Notes(), slots=1, threads=1), loop.versions.get(name).folder / MANIFEST
    manifest.rename(tmp_path / "copied later")
    with pytest.raises(Unavailable, match=f"version {name}: .*got nothing there"):
        live.refresh()
    (tmp_path / "copied later").rename(manifest)
    with monkeypatch.context() as failing:

        def fails(*_: object, **__: object) -> str:
            raise OSError(errno.ESTALE, "Stale file handle")

        failing.setattr(Path, "read_text", fails)
        with pytest.raises(Unavailable, match=f"version {name}: .*Stale file handle"):
            live.refresh()
    live.refresh()
    assert live.version("detection") == name


def test_a_promotion_is_told_though_the_version_of_another_task_is_away(served: Served, tmp_path: Path) -> None:
    loop = served.deployment.loop
    version = make_version(tmp_path / "more" / "versions", "detection", size=40)
    served.deployment.live.close()  # or it loads the lane's before that is away
    lane = promoted(loop, tmp_path / "more", "lane", size=40)
    loop.versions.get(lane).folder.rename(tmp_path / "away")
    loop.versions.add(version.folder, "tester")
    answer = served.client.post(f"/v1/models/{version.name}/promote", json={"force": True})
    assert answer.status_code == 200, answer.text
    assert served.deployment.live.version("detection") == version.name


def test_after_a_rollback_to_a_version_that_does_not_load_what_served_goes_on(loop: Loop, tmp_path: Path) -> None:
    broken, good = promoted(loop, tmp_path, broken=True), promoted(loop, tmp_path)
    live = Live(loop.versions, Notes(), slots=1, threads=1)
    live.refresh()
    loop.store.versions.rollback("detection", "tester", utc_now())
    live.refresh()
    serving = loop.versions.serving("detection")
    assert serving is not None
    assert live.version("detection") == serving.name == good
    assert loop.versions.get(broken).state == "failed"
    with pytest.raises(Refused, match="expected a version that served before, got none"):
        loop.versions.rollback("detection", "tester")


def test_at_the_start_the_newest_version_that_loads_serves(loop: Loop, tmp_path: Path) -> None:
    good = promoted(loop, tmp_path)
    for number in range(2):
        promoted(loop, tmp_path, size=50 + number, broken=True)
    live = Live(loop.versions, Notes(), slots=1, threads=1)
    live.refresh()
    assert live.version("detection") == good


def test_no_more_predictions_run_at_once_than_there_are_slots(loop: Loop, tmp_path: Path) -> None:
    running = most = 0
    lock = threading.Lock()

    def load(task: Task, onnx: Path, threads: int) -> Runtime:
        runtime = load_runtime(task, onnx, threads)

        class Counted:
            feeds = runtime.feeds

            def predict(self, media: Any) -> Any:
                nonlocal running, most
                with lock:
                    running += 1
                    most = max(most, running)
                sleep(0.02)
                with lock:
                    running -= 1
                return runtime.predict(media)

        return Counted()

    promoted(loop, tmp_path)
    live = Live(loop.versions, Notes(), slots=2, threads=1, load=load)
    live.refresh()
    threads = [threading.Thread(target=live.predict, args=("detection", blank("detection"))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 2


class TestHotSwap:
    def test_no_request_is_lost_while_versions_change(self, served: Served) -> None:
        """Four clients post without a pause while another process, as it were, promotes versions, a broken one last."""
        first = served.version
        versions = [served.add("detection", size=40 + number) for number in range(3)]
        broken = served.add("detection", broken=True)
        answers: list[tuple[int, str]] = []
        stop = threading.Event()

        def post(client: int) -> None:
            number = 0
            while not stop.is_set():
                medium = picture(client, 60 + number, 20 + client)
                answer = served.client.post("/v1/detection/annotate", content=medium)
                said = answer.json().get("model_version", "none") if answer.status_code == 200 else answer.text
                answers.append((answer.status_code, said))
                number += 1

        clients = [threading.Thread(target=post, args=(number,)) for number in range(4)]
        for client in clients:
            client.start()
        try:
            eventually(lambda: len(answers) > 4)
            for version in (*versions, broken):
                served.loop.versions.promote(version.name, "cli", force=True)
                expected = versions[-1].name if version is broken else version.name
                eventually(lambda expected=expected: served.version == expected)  # type: ignore[misc]
                seen = len(answers)
                eventually(lambda seen=seen: len(answers) > seen + 8)  # type: ignore[misc]
        finally:
            stop.set()
            for client in clients:
                client.join()
        assert {status for status, _ in answers} == {200}
        assert {said for _, said in answers} == {first, *(version.name for version in versions)}
        eventually(lambda: served.loop.versions.get(broken.name).state == "failed")

    def test_two_processes_of_a_store_both_follow(self, served: Served, tmp_path: Path) -> None:
        newer = served.add("detection", size=48)
        other = Live(served.loop.versions, Notes(), slots=1, threads=1)
        other.start()
        try:
            served.loop.versions.promote(newer.name, "cli", force=True)
            begun = monotonic()
            eventually(lambda: served.version == other.version("detection") == newer.name)
            assert monotonic() - begun < 15  # a quarter of a second and a load, on a machine that has other work
        finally:
            other.close()

    def test_a_database_that_is_away_for_a_moment_stops_nothing(self, tmp_path: Path) -> None:
        with serving(tmp_path, tasks=["detection"]) as served:
            newer = served.add("detection", size=48)
            asked = served.loop.versions.changes
            away = iter([True] * 3)

            def changes() -> int:
                if next(away, False):
                    raise OSError("the database is away")
                return asked()

            served.loop.versions.changes = changes  # type: ignore[method-assign]
            served.loop.versions.promote(newer.name, "cli", force=True)
            eventually(lambda: served.version == newer.name)
            assert next(away, None) is None  # it was asked while it was away, and again


def test_neither_loading_nor_answering_imports_torch(tmp_path: Path) -> None:
    code = """
import sys, pathlib
from tests.serving.served import serving, picture, sound
with serving(pathlib.Path(sys.argv[1])) as served:
    for task, medium in (("detection", picture()), ("lane", picture()), ("asr", sound())):
        assert served.client.post(f"/v1/{task}/annotate", content=medium).status_code == 200
    assert served.client.get("/").status_code == 200
import serving.service
sys.exit("torch" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
