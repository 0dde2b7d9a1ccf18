"""Batch annotation: complete, in order, no item twice, whatever stops it."""

import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from PIL import Image as Picture
from rich.console import Console

from models.errors import InvalidInput, NotFound, UnreadableMedia
from models.media import Image
from models.records import LABEL_TYPES, Box, Boxes, Prediction, Task, from_json
from models.versions import Version, starters
from selection.routing import draw
from serving.batch import Counts, annotate
from serving.policies import default_policy
from serving.settings import Settings
from serving.trust import UNWEIGHED
from serving.unstored import unstored

QUIET = Console(quiet=True)


def answer(data: bytes, name: str) -> dict[str, Any]:
    if data.startswith(b"bad"):
        raise UnreadableMedia(f"{name}: expected sound, got {data!r}")
    return {"task": "asr", "model_version": "v1", "label": {"text": data.decode()}}


def media(root: Path, count: int, start: int = 0) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    for i in range(start, start + count):
        (root / f"{i:04}.wav").write_text(f"clip {i}")
    return root


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def run(source: Path | str, out: Path) -> Counts:
    return annotate("asr", str(source), out, answer, console=QUIET)


def test_every_medium_gets_a_line_in_order(tmp_path: Path) -> None:
    source, out = media(tmp_path / "m", 20), tmp_path / "new" / "out.jsonl"
    counts = run(source, out)
    assert (counts.annotated, counts.known, counts.failed, counts.exit_code) == (20, 0, 0, 0)
    written = rows(out)
    assert [row["uri"] for row in written] == [str(source / f"{i:04}.wav") for i in range(20)]
    assert written[3] == {
        "item_id": "bd16a699affc45e6ab6fb5bd547424c7b09a19b1050697659ac6dbe3e8c57203",
        "uri": str(source / "0003.wav"),
        "task": "asr",
        "model_version": "v1",
        "label": {"text": "clip 3"},
    }
    assert not counts.errors.exists()


def test_a_second_run_adds_only_what_is_new(tmp_path: Path) -> None:
    source, out = media(tmp_path / "m", 5), tmp_path / "out.jsonl"
    run(source, out)
    before = out.read_bytes()
    assert run(source, out).annotated == 0
    assert out.read_bytes() == before
    media(source, 2, start=5)
    counts = run(source, out)
    assert (counts.annotated, counts.known) == (2, 5)
    assert out.read_bytes().startswith(before)
    assert len(rows(out)) == 7


def test_files_with_the_same_bytes_are_one_item(tmp_path: Path) -> None:
    source, out = media(tmp_path / "m", 2), tmp_path / "out.jsonl"
    (source / "again.wav").write_text("clip 0")
    for known in (0, 2):
        counts = run(source, out)
        assert (counts.annotated, counts.known, counts.repeated) == (2 - known, known, 1)
        assert [row["label"]["text"] for row in rows(out)] == ["clip 0", "clip 1"]
    assert str(counts) == f"{out}: 0 annotated, 2 known already, 1 the same as another file"


def test_bad_files_are_skipped_with_their_reason_and_tried_again(tmp_path: Path) -> None:
    source, out = media(tmp_path / "m", 3), tmp_path / "out.v1.jsonl"
    (source / "0001.wav").write_text("bad")
    counts = run(f"{source}/*", out)
    assert (counts.annotated, counts.failed, counts.exit_code) == (2, 1, 1)
    assert counts.errors == tmp_path / "out.v1.errors.jsonl"
    assert str(counts) == f"{out}: 2 annotated, 0 known already, 1 failed: see {counts.errors}"
    bad = str(source / "0001.wav")
    assert rows(counts.errors) == [{"uri": bad, "reason": f"{bad}: expected sound, got b'bad'"}]
    assert run(source, out).failed == 1
    assert len(rows(counts.errors)) == 1
    media(source, 1, start=1)
    counts = run(source, out)
    assert (counts.annotated, counts.known, counts.exit_code) == (1, 2, 0)
    assert not counts.errors.exists()


@pytest.mark.parametrize("pattern", ["", "/*"])
def test_a_link_to_nothing_is_reported(tmp_path: Path, pattern: str) -> None:
    source = media(tmp_path / "m", 1)
    (source / "gone.wav").symlink_to(tmp_path / "nowhere")
    counts = run(f"{source}{pattern}", tmp_path / "out.jsonl")
    assert (counts.annotated, counts.failed) == (1, 1)
    assert rows(counts.errors)[0]["reason"].endswith(
        "gone.wav: expected a readable file, got No such file or directory"
    )


def test_a_manifest_line_without_its_file_is_reported(tmp_path: Path) -> None:
    media(tmp_path / "m", 1)
    lines = ['{"uri": "m/0000.wav", "group": "s1", "language": "hsb"}', '{"uri": "m/none.wav"}', '{"uri": "m"}']
    (tmp_path / "list.jsonl").write_text("\n".join(lines))
    counts = run(tmp_path / "list.jsonl", tmp_path / "out.jsonl")
    assert [(row["uri"], row["group"], row["language"]) for row in rows(counts.out)] == [("m/0000.wav", "s1", "hsb")]
    assert [row["reason"] for row in rows(counts.errors)] == [
        "m/none.wav: expected a readable file, got No such file or directory",
        "m: expected a file, got a folder or a device",
    ]


def test_a_file_beyond_any_limit_is_not_read(tmp_path: Path) -> None:
    source = media(tmp_path / "m", 1)
    with (source / "huge.wav").open("wb") as file:
        file.truncate(3 << 30)  # sparse
    counts = run(source, tmp_path / "out.jsonl")
    assert rows(counts.errors)[0]["reason"].endswith("huge.wav: expected at most 1024 MiB, got 3072 MiB")


def test_a_name_that_is_no_utf8_survives(tmp_path: Path) -> None:
    source = media(tmp_path / "m", 0)
    name = os.fsdecode(b"\xff\xe9.wav")
    (source / name).write_text("x")
    out = tmp_path / "out.jsonl"
    assert run(source, out).annotated == 1
    assert rows(out)[0]["uri"] == str(source / name)
    assert run(source, out).known == 1


def test_each_line_is_on_disk_before_much_more_is_begun(tmp_path: Path) -> None:
    source, out = media(tmp_path / "m", 30), tmp_path / "out.jsonl"

    def counting(data: bytes, name: str) -> dict[str, Any]:
        written[int(data.split()[1])] = out.read_bytes().count(b"\n")
        return answer(data, name)

    written: dict[int, int] = {}
    annotate("asr", str(source), out, counting, console=QUIET)
    assert all(lines >= begun - 6 for begun, lines in written.items())


@pytest.mark.parametrize("cut", [1, 30])
def test_a_torn_last_line_is_repaired(tmp_path: Path, cut: int) -> None:
    source, out = media(tmp_path / "m", 6), tmp_path / "out.jsonl"
    run(source, out)
    whole = out.read_bytes()
    out.write_bytes(whole[:-cut])
    counts = run(source, out)
    assert (counts.annotated, counts.known) == (1, 5)
    assert out.read_bytes() == whole


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"uri": "x"}', "expected a line that this command wrote"),
        ("[1]", "expected a line that this command wrote"),
        ("[" * 100_000, "expected a line that this command wrote"),
        ("words", "expected a line that this command wrote"),
        (
            '{"uri": "x", "item_id": "y", "task": "lane"}',
            "expected lines of task 'asr', got 'lane': choose another file",
        ),
    ],
)
def test_a_file_of_something_else_is_not_touched(tmp_path: Path, line: str, message: str) -> None:
    source, out = media(tmp_path / "m", 2), tmp_path / "out.jsonl"
    out.write_text(f"{line}\nmore")
    with pytest.raises(InvalidInput, match=rf"out\.jsonl:1: {message}"):
        run(source, out)
    assert out.read_text() == f"{line}\nmore"


def test_what_cannot_be_written_or_found_is_one_clear_error(tmp_path: Path) -> None:
    source = media(tmp_path / "m", 1)
    for no_file in (tmp_path, Path("/dev/null")):
        with pytest.raises(InvalidInput, match="expected a file to write to, got a folder or a device"):
            run(source, no_file)
    with pytest.raises(NotFound, match="expected a folder, a file, a glob or a manifest"):
        run(tmp_path / "nowhere", tmp_path / "out.jsonl")


def test_two_runs_never_write_one_file(tmp_path: Path) -> None:
    source, out = media(tmp_path / "m", 1), tmp_path / "out.jsonl"

    def meanwhile(data: bytes, name: str) -> dict[str, Any]:
        with pytest.raises(InvalidInput, match="expected to be its only writer, got another run"):
            run(source, out)
        return answer(data, name)

    assert annotate("asr", str(source), out, meanwhile, console=QUIET).annotated == 1


def test_progress_shows_a_rate_and_the_time_left(tmp_path: Path) -> None:
    console = Console(record=True, force_terminal=True, width=100, file=(tmp_path / "screen").open("w"))
    source = media(tmp_path / "m", 30)
    annotate("asr", str(source), tmp_path / "out.jsonl", answer, console=console)
    shown = console.export_text()
    assert "annotate asr" in shown
    assert "30/30" in shown
    assert "/s" in shown
    assert "0:00:00" in shown


class Detector:
    """A runtime that sees one car, and only in pictures that are wider than high."""

    def predict(self, image: Image) -> Prediction:
        height, width = image.shape[:2]
        boxes = (Box((1.0, 2.0, width - 1.0, height - 1.0), "car", 0.75),) if width > height else ()
        return Prediction(Boxes(width, height, boxes), 0.4, {"expected_missed": 0.5}, (0.5,))


def version(task: Task) -> Version:
    start = datetime(2024, 5, 1, tzinfo=UTC)
    return Version("v7", task, Path("nowhere"), None, start, "0" * 64, (), "0" * 64, {}, {}, {})


def png(width: int, height: int) -> bytes:
    file = io.BytesIO()
    Picture.new("RGB", (width, height), (width, height, 0)).save(file, "PNG")
    return file.getvalue()


CANNOT_TELL = f"when it could be accepted unseen cannot be told: {UNWEIGHED}"


def test_a_version_without_a_store_answers_like_the_service_and_accepts_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.unstored.load_runtime", lambda task, onnx, threads: Detector())
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "wide.png").write_bytes(png(40, 20))
    (tmp_path / "m" / "large.png").write_bytes(png(2000, 600))
    (tmp_path / "m" / "sound.png").write_bytes(b"RIFF\0\0\0\0WAVE")
    settings = Settings.model_validate({"max_image_megapixels": 1, "calibration_share": 0.001})
    reply = unstored(version("detection"), settings)
    counts = annotate("detection", str(tmp_path / "m"), tmp_path / "out.jsonl", reply, console=QUIET)
    row = rows(counts.out)[0]
    reason = row["route"].pop("reason")
    assert "nothing is accepted unseen" in reason
    assert row == {
        "item_id": hashlib.sha256(png(40, 20)).hexdigest(),
        "uri": str(tmp_path / "m" / "wide.png"),
        "task": "detection",
        "model_version": "v7",
        "label": {
            "width": 40,
            "height": 20,
            "boxes": [{"xyxy": [1.0, 2.0, 39.0, 19.0], "category": "car", "confidence": 0.75}],
        },
        "uncertainty": {"p_error": 0.4, "seconds": row["uncertainty"]["seconds"], "score": 0.4},
        "route": {
            "decision": "review",
            "parts": None,
            "policy": default_policy(settings).version,
            "otherwise": CANNOT_TELL,
        },
    }
    assert 0 < row["uncertainty"]["seconds"] < 60
    large, sound = (line["reason"] for line in rows(counts.errors))
    assert large.endswith("large.png: expected at most 1 megapixels, got 2000x600 (1.2 megapixels)")
    assert sound.endswith("sound.png: expected a JPEG, PNG or WebP image, got audio/wav")


def test_without_a_store_the_random_share_is_the_same_as_with_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.unstored.load_runtime", lambda task, onnx, threads: Detector())
    settings = Settings.model_validate({"calibration_share": 0.3, "seed": 5})
    reply = unstored(version("detection"), settings)
    media = [png(width, 10) for width in range(1, 60)]
    drawn = [data for data in media if reply(data, "x")["route"]["decision"] == "calibrate"]
    assert drawn == [data for data in media if draw(hashlib.sha256(data).hexdigest(), 5) < 0.3]
    assert 5 < len(drawn) < 30


@pytest.mark.parametrize("starter", list(starters()), ids=lambda starter: starter.task)
def test_starters_annotate_a_folder(starter: Version, tmp_path: Path) -> None:
    if starter.task == "asr":
        tone = np.sin(np.arange(24_000) / 5).astype(np.float32)
        soundfile.write(tmp_path / "a.wav", tone, 16_000)
    else:
        (tmp_path / "a.png").write_bytes(png(320, 200))
    reply = unstored(starter, Settings.model_validate({}))
    counts = annotate(starter.task, str(tmp_path), tmp_path / "out" / "out.jsonl", reply, console=QUIET)
    assert (counts.annotated, counts.failed) == (1, 0)
    row = rows(counts.out)[0]
    assert (row["task"], row["model_version"]) == (starter.task, starter.name)
    assert row["route"]["decision"] in ("review", "annotate", "calibrate")
    assert from_json(LABEL_TYPES[starter.task], row["label"])


CHILD = """
import sys, time
from pathlib import Path
from rich.console import Console
from serving.batch import annotate
def answer(data, name):
    time.sleep(0.002)
    return {"task": "asr", "model_version": "v1", "label": {"text": data.decode()}}
annotate("asr", sys.argv[1], Path(sys.argv[2]), answer, console=Console(quiet=True))
"""


def test_kill_9_in_the_middle_loses_nothing_and_repeats_nothing(tmp_path: Path) -> None:
    source, out = media(tmp_path / "m", 600), tmp_path / "out.jsonl"
    seen = b""
    for kill in (1, 2):
        child = subprocess.Popen([sys.executable, "-c", CHILD, str(source), str(out)])
        deadline = time.monotonic() + 120
        while not out.exists() or out.read_bytes().count(b"\n") < 100 * kill:
            assert child.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.001)
        child.send_signal(signal.SIGKILL)
        assert child.wait() == -signal.SIGKILL
        left = out.read_bytes()
        whole = left[: left.rfind(b"\n") + 1]
        assert whole.startswith(seen)  # what was acknowledged stays
        seen = whole
        out.write_bytes(left + b'{"item_id": "torn'[: 6 * kill])  # a cut at any byte
    assert seen.count(b"\n") < 600
    counts = run(source, out)
    assert counts.known == seen.count(b"\n")
    assert out.read_bytes() == run(source, tmp_path / "unbroken.jsonl").out.read_bytes()
