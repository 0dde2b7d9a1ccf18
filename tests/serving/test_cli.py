"""The ``prelabel`` command as a person uses it: a process of its own, its output, its exit code."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

from models import scenes
from models.versions import starters

Done = subprocess.CompletedProcess[str]
ROOT = Path(__file__).parents[2]
RECOGNISER, DETECTOR = (next(one.name for one in starters() if one.task == task) for task in ("asr", "detection"))


def prelabel(folder: Path, *words: str, **environment: str) -> Done:
    """Runs the command in ``folder``, on a store of that folder."""
    code = "from serving.cli import main; main()"
    plain = {name: value for name, value in os.environ.items() if not name.startswith("PRELABEL_")}
    return subprocess.run(
        [sys.executable, "-c", code, *words],
        cwd=folder,
        env={**plain, "PYTHONPATH": str(ROOT), "COLUMNS": "200", "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train", "ocr"], "task: expected one of asr, detection, lane, got 'ocr'"),
        (
            ["train", "lane", "--init", DETECTOR, "--data", "culane:x"],
            "lane: expected a version of that task, got detec",
        ),
        (
            ["train", "asr", "--data", "nemo:x", "--unseen", "coco:y"],
            "train asr: expected data with asr labels, got de",
        ),
        (["train", "asr", "--data", "nemo:x", "--held-out", "coco:y"], "expected data with asr labels, got detection"),
        (["train", "lane", "--data", "kitty:x"], "data set: expected FORMAT:ROOT[:SPLIT], FORMAT one of"),
        (
            ["train", "asr", "--data", "nemo:x", "--init", RECOGNISER, "--keep", "1"],
            "training plan: expected to keep a share in [0, 1) of the start, got 1",
        ),
        (
            ["train", "asr", "--data", "nemo:x", "--learning-rate", "0"],
            "training plan: expected epochs, batch size and learning rate > 0 and finite, got ",
        ),
        (["train", "asr", "--data", "nemo:x", "--learning-rate", "inf"], "and learning rate > 0 and finite, got "),
        (["promote", "lane-0"], "version: expected the name of a known version, got 'lane-0'"),
        (
            ["annotate", "lane", "nowhere", "--out", "o.jsonl", "--model", "lane-0"],
            "expected the name of a known version",
        ),
        (["token", "make", "ada", "--scope", "fly"], "token scopes: expected some of"),
        (["export", "asr", "--format", "coco", "--out", "o"], "format: expected one that asr labels are written in"),
        (["convert", "coco:nowhere", "--to", "yolo", "--out", "o"], "expected an existing file or folder, got nowhere"),
        (["datasets", "download", "mnist"], "data set: expected one of librispeech-dev-clean, "),
        (["models", "--db", "mysql://x"], "expected"),
        (["serve", "--port", "70000"], "port"),
        (["models", "import", "asr", 5000 * "m"], "File name too long"),
        (["label-studio", "attach", "--project", "1", "--task", "ocr"], "task: expected one of asr"),
        (["cvat", "sync"], "CVAT: expected PRELABEL_CVAT_URL and PRELABEL_CVAT_TOKEN, got none"),
        (["label-studio", "sync"], "Label Studio: expected PRELABEL_LABEL_STUDIO_URL and PRELABEL_LABEL_STUDIO_TOKEN"),
        (["promote", "\udcff"], r"expected text in UTF-8, got '\udcff'"),
        (["token", "revoke", "\udcff"], r"expected text in UTF-8, got '\udcff'"),
        (["train", "asr", "--data", "nemo:x", "--notes", "\udcff"], "train asr: expected text without NUL and lone"),
        (
            ["simulate", "asr", "--data", "nemo:\udcff", "--out", "o"],
            "simulate asr: expected text without NUL",
        ),
        (["models", "import", "asr", "m", "--name", "\udcff"], "name: expected text without NUL and lone"),
        (
            ["simulate", "asr", "--no-retrain", "--epochs-per-round", "3", "--out", "o"],
            "simulate: expected --epochs-per-round or --no-retrain, got both, 3 epochs",
        ),
        (["gold", "mark", "asr", "--from", "none"], "none: expected a file with an id a line, got No such file"),
        (["gold", "mark", "asr", "--from", "."], ".: expected a file with an id a line, got Is a directory"),
    ],
)
def test_a_mistake_is_one_line_and_exit_2(tmp_path: Path, words: list[str], message: str) -> None:
    done = prelabel(tmp_path, *words)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("prelabel: ")
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("when", ["typer", "serving.importing"])  # while all is imported; while the verb runs
def test_a_command_that_is_stopped_is_one_line_and_exit_130(tmp_path: Path, when: str) -> None:
    interrupted = f"""
import importlib.abc, signal, sys

class Interrupted(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == {when!r}:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            signal.raise_signal(signal.SIGINT)

sys.meta_path.insert(0, Interrupted())
"""
    (tmp_path / "sitecustomize.py").write_text(interrupted, encoding="utf-8")
    begin = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]["prelabel"]
    module, function = begin.split(":")
    done = subprocess.run(
        [sys.executable, "-c", f"from {module} import {function}; {function}()", "models", "import", "asr", "x.onnx"],
        env={**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (130, "prelabel: stopped\n")


def test_each_quality_stands_beside_what_it_was_measured_on(tmp_path: Path) -> None:
    lines = prelabel(tmp_path, "models").stdout.splitlines()
    assert lines[0].split("quality")[1].strip() == "measured on"
    told = {one.name: one.metrics["held_out"] for one in starters()}
    assert {line.split()[1]: line[lines[0].index("measured on") :].strip() for line in lines[1:]} == told


def test_a_store_that_is_broken_or_breaks_is_one_line_and_exit_2(tmp_path: Path) -> None:
    (tmp_path / "photo.db").write_bytes(b"\xff\xd8\xff" * 2000)
    done = prelabel(tmp_path, "models", "--db", "sqlite:///photo.db")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert "photo.db: expected a database, got file is not a database" in done.stderr
    assert prelabel(tmp_path, "models").returncode == 0
    with sqlite3.connect(tmp_path / "prelabel.db") as connection:
        connection.execute("CREATE TRIGGER full BEFORE INSERT ON tokens BEGIN SELECT missing(); END")
    done = prelabel(tmp_path, "token", "make", "ada", "--scope", "annotate")
    assert done.returncode == 2, done.stderr
    assert done.stderr == "prelabel: the store cannot go on: no such function: missing\n"


@pytest.mark.parametrize("words", [["demo", "--seed", "-1"], ["train", "asr", "--seed", str(2**63)]])
def test_seeds_that_are_none_are_refused(tmp_path: Path, words: list[str]) -> None:
    done = prelabel(tmp_path, *words)
    assert done.returncode == 2
    assert f"{words[-1]} is not in the range" in done.stderr


def test_ids_in_a_file_may_begin_with_a_byte_order_mark_and_are_utf_8(tmp_path: Path) -> None:
    (tmp_path / "ids.txt").write_bytes(b"\xef\xbb\xbfabc\n")
    done = prelabel(tmp_path, "gold", "mark", "asr", "--from", "ids.txt")
    assert done.stderr == "prelabel: item: expected one registered for task asr, got 'abc'\n"
    (tmp_path / "ids.txt").write_bytes(b"ab\xff")
    done = prelabel(tmp_path, "gold", "mark", "asr", "--from", "ids.txt")
    assert done.stderr.startswith("prelabel: ids.txt: expected ids in UTF-8, got ")
    assert done.returncode == 2


def test_a_bad_setting_is_named(tmp_path: Path) -> None:
    done = prelabel(tmp_path, "models", PRELABEL_ALPHA="2")
    assert done.returncode == 2
    assert "alpha: Input should be less than 1, got '2'" in done.stderr


def test_without_a_network_a_download_is_one_line_and_exit_2(tmp_path: Path) -> None:
    done = prelabel(tmp_path, "datasets", "download", "fsdd", HTTPS_PROXY="http://127.0.0.1:1", NO_PROXY="")
    assert done.returncode == 2, done.stderr
    (line,) = (line for line in done.stderr.splitlines() if line.startswith("prelabel: "))
    assert "v1.0.9.tar.gz: expected to fetch it, got" in line
    assert not (tmp_path / "fsdd").exists()


def test_formats_are_listed_with_what_can_be_downloaded(tmp_path: Path) -> None:
    done = prelabel(tmp_path, "datasets")
    lines = {line.split()[0]: line.split() for line in done.stdout.splitlines()}
    assert lines["coco"][:5] == ["coco", "detection", "yes", "yes", "annotations/instances_SPLIT.json;"]
    assert lines["mot"][:5] == ["mot", "detection", "yes", "sequence", "SPLIT/SEQUENCE/gt/gt.txt,"]
    assert "librispeech-dev-clean, " in done.stdout.splitlines()[-1]


def test_labels_are_written_once_into_a_new_folder(tmp_path: Path) -> None:
    data = tmp_path / "roads"
    scenes.write(data, (scenes.render(np.random.default_rng(seed), 192, 96) for seed in range(2)))
    converted = prelabel(tmp_path, "convert", f"coco:{data}", "--to", "kitti", "--out", "kitti")
    assert converted.stdout.strip() == "2 items in kitti", converted.stderr
    settings = {"PRELABEL_DATA_DIR": str(tmp_path / "kept")}
    exported = prelabel(tmp_path, "export", "lane", "--format", "tusimple", "--accepted", "--out", "out", **settings)
    assert exported.stdout.strip() == "0 items in out", exported.stderr
    assert (tmp_path / "out" / "label_data_train.json").read_text() == ""
    again = prelabel(tmp_path, "export", "lane", "--format", "tusimple", "--out", "out", **settings)
    assert again.returncode == 2
    assert "expected a new or an empty folder to write to" in again.stderr


def test_a_token_is_shown_once_listed_and_revoked(tmp_path: Path) -> None:
    secret = prelabel(tmp_path, "token", "make", "ada", "--scope", "annotate", "--scope", "correct").stdout.strip()
    assert secret.startswith("prelabel_")
    listed = prelabel(tmp_path, "token", "list").stdout
    assert "ada" in listed
    assert "annotate, correct" in listed
    assert secret not in listed
    assert prelabel(tmp_path, "token", "revoke", "ada").stdout.strip() == "ada is revoked"
    assert prelabel(tmp_path, "token", "revoke", "eve").returncode == 2


def test_names_are_printed_as_they_are(tmp_path: Path) -> None:
    """Brackets are no markup, :car: is no picture, and what the terminal's encoding lacks is written out."""
    names = ("ada[red]", "b[/b]", "c:car:")
    for name in names:
        prelabel(tmp_path, "token", "make", name, "--scope", "annotate")
    listed = prelabel(tmp_path, "token", "list")
    assert [line.split()[0] for line in listed.stdout.splitlines()[1:]] == [*names], listed.stderr
    prelabel(tmp_path, "token", "make", "\u65e5", "--scope", "annotate")
    revoked = prelabel(tmp_path, "token", "revoke", "\u65e5", PYTHONIOENCODING="ascii")
    assert revoked.stdout.strip() == "\\u65e5 is revoked", revoked.stderr


def test_from_a_data_set_to_a_serving_version(tmp_path: Path) -> None:
    """Train, list, promote, annotate a folder: on road scenes, with nothing but the command."""
    data, settings = tmp_path / "roads", {"PRELABEL_DATA_DIR": str(tmp_path / "kept")}
    scenes.write(data, (scenes.render(np.random.default_rng(seed), 192, 96) for seed in range(6)))
    learns, unseen = ["train", "lane", "--data", f"culane:{data}:train", "--epochs", "1"], tmp_path / "unseen"
    scenes.write(unseen, (scenes.render(np.random.default_rng(seed), 192, 96) for seed in range(10, 40)))
    (unseen / "list" / "test_split").mkdir()
    shutil.copy(unseen / "list" / "train.txt", unseen / "list" / "test_split" / "test0_night.txt")
    known, settings["PRELABEL_GOLD_SHARE"] = f"culane:{data}:one", "0"
    shutil.copy(data / "list" / "train.txt", data / "list" / "one.txt")
    first = (data / "list" / "one.txt").read_text(encoding="utf-8").splitlines()[0]
    (data / "list" / "one.txt").write_text(f"{first}\n", encoding="utf-8")
    brought = prelabel(tmp_path, "gold", "import", "lane", known, **settings)
    assert brought.returncode == 0, brought.stderr
    trained = prelabel(tmp_path, *learns, "--unseen", f"culane:{unseen}:train", **settings)
    assert trained.returncode == 0, trained.stderr
    folder = Path(trained.stdout.split(" in ")[-1].strip())
    name = folder.name
    assert folder.is_relative_to(tmp_path / "kept" / "models")
    told = json.loads((folder / "version.json").read_text(encoding="utf-8"))
    said = dict(line.split(maxsplit=1) for line in trained.stdout.splitlines()[1:-1])
    assert said["f1"].strip() == f"{told['metrics']['f1']:.3f}"
    assert said["f1_by_category.night"].strip() == f"{told['metrics']['f1_by_category']['night']:.3f}"
    assert told["data"] == [f"culane:{tmp_path.name}/roads:train"]
    assert told["metrics"]["held_out"] == f"culane:{tmp_path.name}/unseen:train"
    assert (told["training"]["items"], told["training"]["gold_left_out"], told["calibration"]["n"]) == (5, 1, 30)
    assert list(told["metrics"]["f1_by_category"]) == ["night"]
    assert "train lane: 1 gold item left out of training" in trained.stderr
    assert "- gold_left_out: 1" in (folder / "README.md").read_text(encoding="utf-8")
    alone = prelabel(tmp_path, "train", "lane", "--data", known, **settings)
    assert (alone.returncode, "one, got 1 gold item alone" in alone.stderr) == (2, True)
    shutil.copytree(data, tmp_path / "copied")
    nothing = prelabel(tmp_path, *learns, "--held-out", f"culane:{tmp_path / 'copied'}:train", **settings)
    assert (nothing.returncode, "besides those held out or unseen, got none" in nothing.stderr) == (2, True)
    for option, message in ((["--keep", "0.5"], "a version to start from, to keep 0.5 of it, got none"),
                            (["--strong-augmentation"], "expected the usual augmentation, got strong")):  # fmt: skip
        refused = prelabel(tmp_path, *learns, *option, **settings)
        assert (refused.returncode, message in refused.stderr) == (2, True), refused.stderr
    assert name in prelabel(tmp_path, "models", **settings).stdout

    promoted = prelabel(tmp_path, "promote", name, "--force", **settings)
    assert promoted.returncode == 0, promoted.stderr
    assert promoted.stdout.startswith(f"{name} serves lane now")

    out = tmp_path / "labels.jsonl"
    annotated = prelabel(tmp_path, "annotate", "lane", str(data / "images"), "--out", str(out), **settings)
    assert annotated.returncode == 0, annotated.stderr
    lines = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert len(lines) == 6
    assert {line["model_version"] for line in lines} == {name}
    assert {line["route"]["decision"] for line in lines} <= {"review", "annotate", "calibrate"}
