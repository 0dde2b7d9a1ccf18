"""From the true layout of each benchmark to its official figures, worked by hand.

The detector finds one car from (10, 10) to (50, 50) in every picture of 120 x 90, always as sure of it; boxes that are
equally sure rank by the order of their pictures. The lane model finds one upright line at x = 130 in every picture of
256 x 128.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from models.records import Task
from serving.evaluation import Request, evaluate
from serving.loop import Loop
from serving.media_files import MediaFiles
from serving.store import Store
from tests.models.datasets.corpora import photo, put
from tests.serving.work import Clock, settings
from tests.tiny_versions import NOW, make_version

SIZE = (120, 90)


@pytest.fixture
def measure(tmp_path: Path) -> Callable[[Task, str], dict[str, Any]]:
    """The metrics of the task's little model on a data set."""

    def metrics(task: Task, data: str) -> dict[str, Any]:
        chosen = settings(tmp_path / "kept")
        store = Store.open(f"sqlite:///{tmp_path}/store.db")
        loop = Loop(store, MediaFiles(tmp_path / "kept" / "media"), chosen, Clock())
        model = str(make_version(tmp_path / "versions", task).onnx)
        evaluate(Request(task, (data,), model), loop, chosen, tmp_path / "report", NOW, Console(quiet=True))
        told: dict[str, Any] = json.loads((tmp_path / "report" / "report.json").read_text(encoding="utf-8"))["metrics"]
        return told

    return metrics


Measure = Callable[[Task, str], dict[str, Any]]


def test_voc_neither_asks_for_nor_counts_difficult_objects(tmp_path: Path, measure: Measure) -> None:
    """False, neither, right, in this order: half of what counts is right where the only car is found."""
    objects = {"a": "", "b": _voc_object(difficult=1), "c": _voc_object(difficult=0)}
    for name, xml in objects.items():
        photo(tmp_path / "voc" / "JPEGImages" / f"{name}.jpg", *SIZE)
        size = "<size><width>120</width><height>90</height><depth>3</depth></size>"
        annotation = f"<annotation><filename>{name}.jpg</filename>{size}{xml}</annotation>"
        put(tmp_path / "voc" / "Annotations" / f"{name}.xml", annotation)
    put(tmp_path / "voc" / "ImageSets" / "Main" / "test.txt", "a\nb\nc\n")
    found = measure("detection", f"voc:{tmp_path}/voc:test")
    assert (found["voc_ap"], found["voc_ap_by_category"]) == (0.5, {"car": 0.5})
    assert (found["precision"], found["recall"], found["error_rate"]) == (0.5, 1, pytest.approx(1 / 3))
    assert found["kitti_ap40"] == {}


def _voc_object(difficult: int) -> str:
    box = "<bndbox><xmin>11</xmin><ymin>11</ymin><xmax>50</xmax><ymax>50</ymax></bndbox>"
    return f"<object><name>car</name><difficult>{difficult}</difficult>{box}</object>"


@pytest.mark.parametrize("layout", ["coco", "bdd100k"])
def test_crowds_may_be_found_and_need_not_be(tmp_path: Path, measure: Measure, layout: str) -> None:
    """False, in a crowd, right, and in another picture a crowd that is elsewhere: one of three is right, the third."""
    crowds, cars = {"b": [0, 0, 100, 80], "d": [60, 0, 50, 80]}, {"c": [10, 10, 40, 40]}
    write = {"coco": _coco, "bdd100k": _bdd100k}[layout]
    found = measure("detection", f"{layout}:{write(tmp_path / layout, crowds, cars)}:val")
    assert found["ap"] == found["ap50"] == pytest.approx(0.5)
    assert (found["precision"], found["recall"], found["error_rate"]) == (pytest.approx(1 / 3), 1, 0.5)


def _coco(root: Path, crowds: dict[str, list[int]], cars: dict[str, list[int]]) -> Path:
    images, annotations = list[dict[str, Any]](), list[dict[str, Any]]()
    for number, name in enumerate("abcd", 1):
        photo(root / "images" / f"{name}.jpg", *SIZE)
        images.append({"id": number, "file_name": f"{name}.jpg", "width": 120, "height": 90})
        for iscrowd, boxes in ((1, crowds), (0, cars)):
            if name in boxes:
                what = {"id": len(annotations) + 1, "image_id": number, "category_id": 3}
                annotations.append({**what, "bbox": boxes[name], "iscrowd": iscrowd})
    document = {"images": images, "annotations": annotations, "categories": [{"id": 3, "name": "car"}]}
    put(root / "annotations" / "instances_val.json", json.dumps(document))
    return root


def _bdd100k(root: Path, crowds: dict[str, list[int]], cars: dict[str, list[int]]) -> Path:
    frames = []
    for name in "abcd":
        photo(root / "images" / "100k" / "val" / f"{name}.jpg", *SIZE)
        labels = []
        for crowd, boxes in ((True, crowds), (False, cars)):
            if name in boxes:
                x, y, w, h = boxes[name]
                corners = {"x1": x, "y1": y, "x2": x + w - 1, "y2": y + h - 1}  # the last pixel belongs to the box
                labels.append({"category": "car", "attributes": {"crowd": crowd}, "box2d": corners})
        frames.append({"name": f"{name}.jpg", "labels": labels})
    put(root / "labels" / "det_20" / "det_val.json", json.dumps(frames))
    return root


def test_kitti_asks_for_what_is_as_hard_as_said(tmp_path: Path, measure: Measure) -> None:
    """Two easy cars are found, one that is truncated by 0.4, a van and a region, and one box is false.

    Easy and moderate: 2 right and 1 false at both of the scores that count, of which the first position is left out:
    2/3 once in 40. Hard: the truncated car too, so 3 right and 1 false at three scores: 3/4 twice in 40.
    """
    lines = [
        "Car 0.00 0 {} 10 10 50 51 {}",
        "Car 0.10 0 {} 10 10 50 51 {}",
        "Car 0.40 0 {} 10 10 50 51 {}",
        "Van 0.00 0 {} 10 10 50 51 {}",
        "DontCare -1 -1 {} 0 0 119 89 {}",
        "Pedestrian 0.00 3 {} 80 10 90 60 {}",
    ]
    for number, line in enumerate(lines):
        photo(tmp_path / "kitti" / "training" / "image_2" / f"{number:06d}.png", *SIZE)
        text = line.format("-1.57", "1.5 1.6 3.9 -10.0 1.7 30.0 -1.9")
        put(tmp_path / "kitti" / "training" / "label_2" / f"{number:06d}.txt", f"{text}\n")
    found = measure("detection", f"kitti:{tmp_path}/kitti")
    assert found["kitti_ap40"] == {
        "Car easy": pytest.approx(2 / 3 / 40),
        "Car moderate": pytest.approx(2 / 3 / 40),
        "Car hard": pytest.approx(2 * 3 / 4 / 40),
    }


def test_culane_has_figures_for_what_its_test_lists_say(tmp_path: Path, measure: Measure) -> None:
    """Normal: two lines are found, a line of one point never is: f1 = 4 / (4 + 0 + 1). Night: one false, one missed.
    At the crossing, one false. In all 2 of 4 that were said and 2 of 4 that are true."""
    root, right = tmp_path / "culane", " ".join(f"130 {y}" for y in range(127, -1, -8))
    lines = {"00000": right, "00030": f"{right}\n60 100", "00060": right.replace("130 ", "200 "), "00090": ""}
    for name, text in lines.items():
        photo(root / "driver_23" / "06.MP4" / f"{name}.jpg", 256, 128)
        put(root / "driver_23" / "06.MP4" / f"{name}.lines.txt", f"{text} \n" if text else "")
    paths = [f"driver_23/06.MP4/{name}.jpg" for name in lines]
    put(root / "list" / "test.txt", "".join(f"/{path}\n" for path in paths))
    for name, some in (("test0_normal", paths[:2]), ("test7_cross", paths[3:]), ("test8_night", paths[2:3])):
        put(root / "list" / "test_split" / f"{name}.txt", "".join(f"{path}\n" for path in some))
    found = measure("lane", f"culane:{root}:test")
    assert found["f1_by_category"] == {"night": 0, "normal": pytest.approx(0.8)}
    assert found["false_by_category"] == {"cross": 1}
    assert (found["f1"], found["precision"], found["recall"]) == (0.5, 0.5, 0.5)


def test_tusimple_looks_at_the_rows_of_its_label_and_at_every_line_of_it(tmp_path: Path, measure: Measure) -> None:
    """In the first frame a line is found, right on all four rows; one that is there on a single row, elsewhere, is not.
    In the second the line is absent on one row of four, where the model says it is: 3/4, too little to be found."""
    root = tmp_path / "tusimple"
    labels = {"clips/1/20.jpg": [[130, 130, 130, 130], [-2, -2, -2, 200]], "clips/2/20.jpg": [[-2, 130, 130, 130]]}
    frames = [{"lanes": lanes, "h_samples": [60, 80, 100, 120], "raw_file": name} for name, lanes in labels.items()]
    for frame in frames:
        photo(root / str(frame["raw_file"]), 256, 128)
    put(root / "test_label.json", "".join(json.dumps(frame) + "\n" for frame in frames))
    found = measure("lane", f"tusimple:{root}/test_label.json")
    assert found["tusimple_accuracy"] == pytest.approx(((1 + 0) / 2 + 3 / 4) / 2)
    assert found["tusimple_fp"] == pytest.approx((0 + 1) / 2)
    assert found["tusimple_fn"] == pytest.approx((1 / 2 + 1) / 2)
