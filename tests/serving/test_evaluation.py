"""The evaluation command: which model answers with which calibration, its exit codes, and that nothing stops it."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from models import datasets
from models.errors import InvalidInput, NotFound
from models.evaluate import evaluate
from models.records import Correction, Item, Prediction, Task
from models.report.job import Subject
from models.tasks import load_runtime
from models.versions import STARTERS, Version, read_version, write_manifest
from selection.calibration import fit
from serving.evaluation import Request, find
from serving.evaluation import evaluate as run
from serving.loop import Loop
from serving.media_files import MediaFiles, content_id
from serving.store import Store
from tests.labelled import data_set
from tests.samples import SAMPLES, needs_samples
from tests.serving.test_cli import prelabel
from tests.serving.work import Clock, after, boxes, prediction, settings
from tests.tiny_versions import NOW, make_version

SCORES = np.linspace(0, 1, 40)
WRONG = SCORES > 0.7


@pytest.fixture
def loop(tmp_path: Path) -> Loop:
    chosen = settings(tmp_path / "kept", calibration_share=0.9)
    return Loop(Store.open(f"sqlite:///{tmp_path}/store.db"), MediaFiles(tmp_path / "kept" / "media"), chosen, Clock())


def calibrated(folder: Path) -> Version:
    """A detector that comes with a calibration."""
    version = make_version(folder, "detection", size=24)
    write_manifest(Version(**{**vars(version), "calibration": fit(SCORES, WRONG).to_json()}), [])
    return read_version(version.folder)


def p_error(subject: Subject, score: float) -> float:
    return float(subject.calibrate([Prediction(boxes("car"), score, {}, ())])[0])


class TestWhichModel:
    def test_the_serving_version_by_default_and_any_other_by_its_name(self, loop: Loop, tmp_path: Path) -> None:
        first, second = (make_version(tmp_path / "versions", "lane", size=size) for size in (20, 32))
        for version in (first, second):
            loop.versions.add(version.folder, "tester")
        loop.versions.promote(first.name, "tester")
        assert find("lane", None, loop).model.name == first.name
        other = find("lane", second.name, loop)
        assert (other.model.name, other.model.onnx_sha256) == (second.name, second.onnx_sha256)
        assert (other.model.calibration, other.model.calibrated_on, p_error(other, 0.3)) == ("identity", 0, 0.3)

    def test_a_file_is_named_by_its_hash_and_has_no_calibration(self, loop: Loop, tmp_path: Path) -> None:
        version = calibrated(tmp_path / "versions")
        bare = shutil.copy(version.onnx, tmp_path / "bare.onnx")
        subject = find("detection", str(bare), loop)
        assert (subject.model.name, subject.model.calibration, p_error(subject, 0.3)) == (version.name, "identity", 0.3)

    def test_a_file_in_its_version_has_the_calibration_that_came_with_it(self, loop: Loop, tmp_path: Path) -> None:
        version = calibrated(tmp_path / "versions")
        subject = find("detection", str(version.onnx), loop)
        assert (subject.model.calibration, subject.model.calibrated_on) == (fit(SCORES, WRONG).method, 40)
        assert p_error(subject, 0.3) == fit(SCORES, WRONG).p_error([0.3])[0] != 0.3

    def test_a_version_that_people_checked_answers_with_what_they_taught(self, loop: Loop, tmp_path: Path) -> None:
        version = calibrated(tmp_path / "versions")
        loop.versions.add(version.folder, "tester")
        loop.versions.promote(version.name, "tester")
        shipped = find("detection", version.name, loop)
        assert shipped.model.calibrated_on == 40
        for number in range(60):  # it says it is right, and is always wrong
            data = str(number).encode()
            item = Item(content_id(data), f"{number}.jpg")
            loop.record("detection", item, data, prediction(0.1), version.name, None, "poster")
            given = Correction(item.id, "detection", boxes("bus"), "ann", 4.0, "test", after(0), version.name)
            loop.correct(given, None, "tester")
        loop.recalibrate(version.name, "tester")
        taught = find("detection", version.name, loop)
        assert p_error(taught, 0.1) > 0.5 > p_error(shipped, 0.1)

    def test_what_is_not_there_or_of_another_task_is_an_error(self, loop: Loop, tmp_path: Path) -> None:
        version = make_version(tmp_path / "versions", "lane")
        loop.versions.add(version.folder, "tester")
        (tmp_path / "junk.onnx").write_bytes(b"junk")
        for task, model, message in (
            ("asr", None, "asr: expected a version of that task, got none that serves"),
            ("asr", version.name, f"expected a version of that task, got {version.name}"),
            ("lane", "lane-0", "expected the name of a known version"),
            ("lane", str(tmp_path / "none.onnx"), "none.onnx: expected an ONNX file, got nothing of that name"),
        ):
            with pytest.raises(NotFound, match=message):
                find(task, model, loop)  # type: ignore[arg-type]
        for task, model, message in (
            ("asr", str(version.onnx), "expected a model for asr, got one for 'lane'"),
            ("lane", str(tmp_path / "junk.onnx"), "expected a model exported by prelabel"),
        ):
            with pytest.raises(InvalidInput, match=message):
                find(task, model, loop)  # type: ignore[arg-type]

    def test_each_data_set_is_named_once_and_is_of_the_task(self, loop: Loop, tmp_path: Path) -> None:
        (tmp_path / "a").mkdir()
        (tmp_path / "link").symlink_to(tmp_path / "a")
        for data, told in (
            ((), " to measure it on, got none"),
            (("nemo:a", "nemo:a"), ", each once, got nemo:a, nemo:a"),
            (("nemo:a:b", "nemo:./a:b"), ", each once, got nemo:a:b, nemo:./a:b"),
            ((f"nemo:{tmp_path}/a:b", f"nemo:{tmp_path}/a/:b"), ", each once, got .*a:b, .*a/:b"),
            ((f"nemo:{tmp_path}/a:b", f"nemo:{tmp_path}/link:b"), ", each once, got .*a:b, .*link:b"),
        ):
            with pytest.raises(InvalidInput, match=f"evaluate asr: expected data sets{told}"):
                run(Request("asr", data), loop, settings(tmp_path), tmp_path / "out", NOW)
        for data in ((f"nemo:{tmp_path}/a:b", f"nemo:{tmp_path}/link:c"), ("nemo:a:b", "nemo:a:c")):
            datasets.require_each_once("evaluate", "asr", data)  # two splits of one
        with pytest.raises(InvalidInput, match="expected data with asr labels, got lane: culane:roads"):
            run(Request("asr", ("culane:roads",)), loop, settings(tmp_path), tmp_path / "out", NOW)


def test_what_a_model_cannot_name_is_told(loop: Loop, tmp_path: Path) -> None:
    said = io.StringIO()
    for task in ("detection", "lane"):
        model, data = make_version(tmp_path / "versions", task).onnx, data_set(tmp_path / task, task)
        console = Console(file=said, width=200)
        run(Request(task, (data,), str(model)), loop, settings(tmp_path), tmp_path / f"out-{task}", NOW, console)
    told = [line for line in said.getvalue().splitlines() if "knows" in line]
    assert len(told) == 1
    assert told[0].endswith(": the model knows no bus, so boxes called so count as missed; it knows car")


def test_items_in_which_nothing_is_labelled_are_told_by_data_set(loop: Loop, tmp_path: Path) -> None:
    model, full, some = make_version(tmp_path / "versions", "lane").onnx, tmp_path / "full", tmp_path / "some"
    data = data_set(full, "lane"), data_set(some, "lane")
    for number in (3, 8):
        (some / f"{number}.lines.txt").write_text("")
    said = io.StringIO()
    console = Console(file=said, width=200)
    run(Request("lane", data, str(model)), loop, settings(tmp_path), tmp_path / "out", NOW, console)
    told = [line for line in said.getvalue().splitlines() if "nothing is labelled" in line]
    assert told == [f"{data[1]}: nothing is labelled in 2 of 12 items"]


class TestCommand:
    def test_from_a_file_to_a_report_and_its_exit_codes(self, tmp_path: Path) -> None:
        model = str(make_version(tmp_path / "versions", "asr").onnx)
        other = str(make_version(tmp_path / "versions", "asr", word="no").onnx)
        data = data_set(tmp_path / "data", "asr")
        words = ("evaluate", "asr", "--data", data, "--model", model, "--against", other, "--out", "report")
        met = prelabel(tmp_path, *words, "--require", "wer<=0.25", "--require", "exact>=0.5")
        assert met.returncode == 0, met.stderr
        assert "wer                    0.250" in met.stdout
        assert "missed" not in met.stdout
        assert {path.name for path in (tmp_path / "report").iterdir()} == {
            "against.parquet",
            "items.parquet",
            "report.html",
            "report.json",
        }
        missed = prelabel(tmp_path, *words, "--require", "wer<=0.2", "--require", "exact>=0.5", "--require", "cer<0")
        assert missed.returncode == 1, missed.stderr
        assert [line for line in missed.stdout.splitlines() if "missed" in line] == [
            "missed: wer<=0.2, got 0.250",
            "missed: cer<0, got 0.250",
        ]
        told = json.loads((tmp_path / "report" / "report.json").read_text(encoding="utf-8"))
        assert [one["met"] for one in told["thresholds"]] == [False, True, False]
        assert told["data"] == [data]

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (["--require", "wer"], "threshold: expected METRIC<=NUMBER (or >=, <, >), got 'wer'"),
            (["--against", "none.onnx"], "none.onnx: expected an ONNX file, got nothing of that name"),
        ],
    )
    def test_a_mistake_is_one_line_and_exit_2_before_any_work(
        self, tmp_path: Path, words: list[str], message: str
    ) -> None:
        data = data_set(tmp_path / "data", "asr", 1)
        done = prelabel(tmp_path, "evaluate", "asr", "--data", data, "--out", "report", *words)
        assert done.returncode == 2, done.stderr
        assert message in done.stderr
        assert len(done.stderr.splitlines()) == 1
        assert not (tmp_path / "report").exists()

    def test_kill_9_in_the_middle_loses_nothing_and_repeats_nothing(self, tmp_path: Path) -> None:
        version, data = make_version(tmp_path / "versions", "detection"), data_set(tmp_path / "data", "detection", 400)
        words = ("evaluate", "detection", "--data", data, "--model", str(version.onnx), "--out")
        journal = tmp_path / "report" / f"answers-{version.name}.jsonl"
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
        code = "from serving.cli import main; main()"
        child = subprocess.Popen(
            [sys.executable, "-c", code, *words, "report"], cwd=tmp_path, env=environment, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 240
        while not journal.exists() or journal.read_bytes().count(b"\n") < 20:
            assert child.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.001)
        child.send_signal(signal.SIGKILL)
        assert child.wait() == -signal.SIGKILL
        kept = [
            json.loads(line)["sha256"] for line in journal.read_bytes().splitlines(keepends=True) if line[-1:] == b"\n"
        ]
        assert 20 <= len(set(kept)) == len(kept) < 400
        whole = [without_time(prelabel_report(tmp_path, words, name)) for name in ("report", "unbroken")]
        assert whole[0] == whole[1]
        assert whole[0]["n"] == 400


def prelabel_report(folder: Path, words: tuple[str, ...], name: str) -> dict[str, Any]:
    done = prelabel(folder, *words, name)
    assert done.returncode == 0, done.stderr
    values: dict[str, Any] = json.loads((folder / name / "report.json").read_text(encoding="utf-8"))
    return values


def without_time(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name != "created_at"}


@needs_samples
@pytest.mark.parametrize(
    ("task", "data", "metric", "low", "high"),
    [
        ("asr", "nemo:{}/speech/fsdd/test.jsonl", "wer", 0.0, 0.5),
        ("detection", "coco:{}/detection/camvid:val", "ap50", 0.5, 1.0),
        ("lane", "culane:{}/lane/f1tenth:val", "f1_8px", 0.5, 1.0),
    ],
)
def test_a_starter_on_a_part_of_real_data(
    task: Task, data: str, metric: str, low: float, high: float, tmp_path: Path
) -> None:
    """The figures of a report are those of the same answers by themselves."""
    from models.report.document import Model
    from models.report.job import report

    pairs = list(datasets.read(data.format(SAMPLES)))
    some = pairs[:: max(1, len(pairs) // 12)]
    onnx = read_version(STARTERS / task).onnx
    subject = Subject(Model(task, "0" * 64), onnx, lambda said: np.array([one.score for one in said]))
    found = report(task, subject, {data: some}, tmp_path, now=NOW, threads=1, rounds=20)
    alone = evaluate(task, load_runtime(task, onnx, 1), some)
    value = found.metrics[metric]
    assert isinstance(value, float)
    assert low <= value <= high
    assert found.metrics["error_rate"] == alone.errors.mean()
