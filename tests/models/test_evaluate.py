"""An evaluation asks about every item once, and goes on where it was stopped."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from numpy.typing import NDArray

from models import datasets, tasks
from models.errors import InvalidInput, NotFound
from models.evaluate import Evaluation, evaluate
from models.journal import append
from models.records import TASKS, Box, Boxes, Item, Label, Lanes, Prediction, Task
from tests.labelled import COUNT, data_set
from tests.tiny_versions import make_version


class Detector:
    """Says where the picture's mean lies, counts its answers, and may be stopped after some of them."""

    def __init__(self, stop_after: int = 1000) -> None:
        self.answers = 0
        self.stop_after = stop_after

    def feeds(self, media: NDArray[Any]) -> dict[str, NDArray[Any]]:
        raise NotImplementedError

    def predict(self, media: NDArray[Any]) -> Prediction:
        if self.answers == self.stop_after:
            raise KeyboardInterrupt
        self.answers += 1
        mean = float(media.mean()) / 256
        boxes = tuple(Box((10 * mean, 1 / 3, 20 + mean, 30), "car", mean) for _ in range(2))
        return Prediction(Boxes(120, 90, boxes[:1]), mean, {"min_confidence": mean}, (mean, 1.0), boxes[1:])


def pairs(folder: Path, task: Task = "detection") -> list[tuple[Item, Label]]:
    return list(datasets.read(data_set(folder, task)))


@pytest.mark.parametrize("task", TASKS)
def test_a_real_file_answers_for_every_item(tmp_path: Path, task: Task) -> None:
    runtime = tasks.load_runtime(task, make_version(tmp_path / "v", task).onnx)
    done = evaluate(task, runtime, pairs(tmp_path / "data", task))
    assert len(done.items) == len(done.truths) == len(done.predictions) == COUNT
    assert done.errors.tolist() == [index % 3 == 2 for index in range(COUNT)]
    assert done.measured.values["n"] == COUNT


def test_a_model_card_and_a_report_tell_the_same_figures(tmp_path: Path) -> None:
    """The box handed out is wrong; only the faint one, which a report looks at too, is right."""
    data = pairs(tmp_path / "data")[:1]
    given, faint = Box((60, 60, 70, 70), "car", 0.9), Box((10, 10, 50, 50), "car", 0.1)
    said = Prediction(Boxes(120, 90, (given,)), 0.5, {}, (), (faint,))
    measured = Evaluation("detection", (data[0][0],), (data[0][1],), (said,)).measured
    assert (measured.quality, measured.values["ap50"]) == (0.5, 0.5)
    assert (measured.values["precision"], measured.values["n"]) == (0.0, 1)


def test_a_run_that_was_stopped_asks_only_about_the_rest(tmp_path: Path) -> None:
    data, journal = pairs(tmp_path / "data"), tmp_path / "out" / "answers.jsonl"
    whole = evaluate("detection", Detector(), data)
    for stop, total in ((5, 5), (3, 8)):
        with pytest.raises(KeyboardInterrupt):
            evaluate("detection", Detector(stop_after=stop), data, journal=journal)
        assert journal.read_bytes().count(b"\n") == total
    journal.write_bytes(journal.read_bytes() + b'{"sha256": "to')  # cut off in the middle of a line
    last = Detector()
    assert evaluate("detection", last, data, journal=journal) == whole
    assert last.answers == COUNT - 8
    assert len(set(journal.read_bytes().splitlines())) == COUNT
    assert evaluate("detection", Detector(stop_after=0), data, journal=journal) == whole


def test_the_same_bytes_are_asked_about_once_and_others_anew(tmp_path: Path) -> None:
    data, journal, detector = pairs(tmp_path / "data"), tmp_path / "answers.jsonl", Detector()
    twice = evaluate("detection", detector, [*data, *data], journal=journal)
    assert (detector.answers, len(twice.items)) == (COUNT, 2 * COUNT)
    Path(data[3][0].uri).write_bytes(Path(data[4][0].uri).read_bytes())
    Path(data[5][0].uri).write_bytes((tmp_path / "data" / "images" / "6.png").read_bytes() + b"more")
    later = Detector()
    changed = evaluate("detection", later, data, journal=journal)
    assert later.answers == 1
    assert changed.predictions[3] == changed.predictions[4] == twice.predictions[4] != twice.predictions[3]


def test_progress_is_told_for_every_item(tmp_path: Path) -> None:
    told = list[int]()
    evaluate("detection", Detector(), pairs(tmp_path / "data"), tell=lambda: told.append(1))
    assert len(told) == COUNT


def test_a_journal_that_is_something_else_is_named(tmp_path: Path) -> None:
    journal = tmp_path / "answers.jsonl"
    journal.write_text('{"uri": "1.jpg"}\n')
    with pytest.raises(InvalidInput, match=r"answers\.jsonl:1: expected a line of an evaluation"):
        evaluate("detection", Detector(), pairs(tmp_path / "data"), journal=journal)


def test_a_full_disk_is_told_with_the_file() -> None:
    with (
        open("/dev/full", "ab") as full,
        pytest.raises(InvalidInput, match="/dev/full: expected room for a line, got No space"),
    ):
        append(full, {"sha256": "a"})


def test_an_item_that_is_gone_is_named_and_the_rest_is_kept(tmp_path: Path) -> None:
    data, journal = pairs(tmp_path / "data"), tmp_path / "answers.jsonl"
    Path(data[7][0].uri).unlink()
    with pytest.raises(NotFound, match=r"7\.png: expected a readable file"):
        evaluate("detection", Detector(), data, journal=journal)
    assert journal.read_bytes().count(b"\n") == 7


@pytest.mark.parametrize("task", ["detection", "lane"])
def test_a_label_of_another_size_is_named_with_its_file(tmp_path: Path, task: Task) -> None:
    runtime = tasks.load_runtime(task, make_version(tmp_path / "v", task).onnx)
    (item, truth), *_ = pairs(tmp_path / "data", task)
    assert isinstance(truth, Boxes | Lanes)
    wider = replace(truth, width=truth.width + 1)
    expected = (
        rf"0\.png: expected a label of {truth.width}x{truth.height} pixels, as its picture has, got {wider.width}x"
    )
    with pytest.raises(InvalidInput, match=expected):
        evaluate(task, runtime, [(item, wider)])


def test_nothing_to_ask_about_is_nothing_said() -> None:
    assert evaluate("detection", Detector(), []) == Evaluation("detection", (), (), ())
