"""Detectors that others made: what their files say, what must be declared, and where their boxes end in the image."""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models import tasks
from models.declaring import build, plain
from models.detection import heads
from models.detection.declaration import Declaration, complete, declare
from models.errors import InvalidInput
from models.importing import embed
from models.onnx_files import Graph, Port
from models.records import Box, Boxes, Prediction
from tests import foreign_detectors as foreign
from tests.foreign_detectors import HEIGHT, NAMES, WIDTH, cells

CLASSES = {"classes": list(NAMES)}
Make = Callable[[Path], Path]

YOLO_NAS = {
    "head": "labelled",
    "outputs": {"labels": "pred_classes", "boxes": "pred_boxes", "scores": "pred_scores"},
    "input": {"scale": 1.0},
}

FAMILIES: dict[str, tuple[Make, Mapping[str, Any]]] = {
    "yolo": (foreign.ultralytics, {}),
    "yolo-end2end": (foreign.ultralytics_end2end, {}),
    "rtdetr": (foreign.ultralytics_rtdetr, {}),
    "yolox": (foreign.yolox, CLASSES),
    "yolov5": (lambda path: foreign.yolox(path, decoded=True), {**CLASSES, "decoded": True}),
    "nanodet": (foreign.nanodet, CLASSES),
    "rf-detr": (foreign.rf_detr, CLASSES),
    "d-fine": (foreign.d_fine, CLASSES),
    "mmdet": (foreign.mmdeploy, CLASSES),
    "yolo-nas": (foreign.yolo_nas, {**CLASSES, **YOLO_NAS}),
    "pred_logits": (foreign.pred_logits, CLASSES),
}


def imported(path: Path, made: Path, given: Mapping[str, Any]) -> tasks.Runtime:
    """The runtime of a file as the import writes it."""
    embed(made, path, {"task": "detection", "declaration": plain(declare(made, given))})
    return tasks.load_runtime("detection", path, threads=1)


def picture(width: int, height: int, box: tuple[int, int, int, int], colour: int) -> NDArray[np.uint8]:
    """A black image with one box of pure red (0) or green (1)."""
    image = np.zeros((height, width, 3), np.uint8)
    image[box[1] : box[3], box[0] : box[2], colour] = 255
    return image


def largest(found: Boxes) -> Box:
    """The box with most light in it."""
    return max(
        found.boxes, key=lambda box: box.confidence**2 * (box.xyxy[2] - box.xyxy[0]) * (box.xyxy[3] - box.xyxy[1])
    )


def boxes(prediction: Prediction) -> Boxes:
    assert isinstance(prediction.label, Boxes)
    return prediction.label


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("colour", "name"), [(0, "red"), (1, "green")])
def test_every_family_finds_the_same_box(tmp_path: Path, family: str, colour: int, name: str) -> None:
    """In a picture of the network's own size a bright cell is a box just there, of the right category."""
    make, given = FAMILIES[family]
    runtime: Any = imported(tmp_path / "it.onnx", make(tmp_path / "made.onnx"), given)
    seen = runtime.see(image := picture(WIDTH, HEIGHT, (32, 64, 64, 96), colour))
    assert seen.said == runtime.predict(image)
    found = boxes(seen.said)
    biggest = largest(found)
    assert biggest.xyxy == pytest.approx((32, 64, 64, 96), abs=1e-3)
    assert {box.category for box in found.boxes} == {name}
    assert biggest.confidence == pytest.approx(1, abs=2e-3)
    assert largest(replace(found, boxes=seen.boxes)) == biggest


@pytest.mark.parametrize(
    ("family", "size", "lit", "expected"),
    [
        # 256x96 into 128x96: half size, bars of 24 above and below; the cell (32..64, 32..64) is (64..128, 16..80)
        ("yolo", (256, 96), (64, 16, 128, 80), (64, 16, 128, 80)),
        # 64x96: whole height, bars of 32 left and right; the cell (32..64, 0..32) is the upper left corner
        ("yolo", (64, 96), (0, 0, 32, 32), (0, 0, 32, 32)),
        # YOLOX puts the picture in the corner: 256x96 is halved and nothing shifts
        ("yolox", (256, 96), (64, 0, 128, 64), (64, 0, 128, 64)),
        # the others stretch: 256x96 is halved across only
        ("rf-detr", (256, 96), (64, 32, 128, 64), (64, 32, 128, 64)),
        ("nanodet", (64, 192), (16, 64, 32, 128), (16, 64, 32, 128)),
        ("d-fine", (256, 48), (64, 16, 128, 32), (64, 16, 128, 32)),
        ("rtdetr", (256, 48), (64, 16, 128, 32), (64, 16, 128, 32)),
    ],
)
def test_boxes_come_back_to_pixels_of_the_image(
    tmp_path: Path,
    family: str,
    size: tuple[int, int],
    lit: tuple[int, int, int, int],
    expected: tuple[float, float, float, float],
) -> None:
    make, given = FAMILIES[family]
    runtime = imported(tmp_path / "it.onnx", make(tmp_path / "made.onnx"), given)
    found = boxes(runtime.predict(picture(*size, lit, 0)))
    assert largest(found).xyxy == pytest.approx(expected, abs=1e-3)


def test_what_a_file_says_needs_no_declaration(tmp_path: Path) -> None:
    told = declare(foreign.ultralytics(tmp_path / "yolo.onnx"), {})
    assert (told.head, told.classes) == ("yolo", NAMES)
    assert (told.input.width, told.input.height, told.input.resize) == (WIDTH, HEIGHT, "letterbox")
    assert build(Declaration, plain(told)) == told
    assert declare(foreign.nanodet(tmp_path / "nano.onnx"), CLASSES).input.mean == (103.53, 116.28, 123.675)
    assert declare(foreign.d_fine(tmp_path / "d.onnx"), CLASSES).size_input == "orig_target_sizes"


@pytest.mark.parametrize(
    ("make", "given", "shrink"),
    [
        (foreign.ultralytics, {}, "plain"),
        (foreign.ultralytics_end2end, {}, "plain"),
        (foreign.ultralytics_rtdetr, {}, "plain"),
        (foreign.yolox, CLASSES, "plain"),
        (foreign.nanodet, CLASSES, "plain"),
        (foreign.rf_detr, CLASSES, "smooth"),
        (foreign.d_fine, CLASSES, "smooth"),
    ],
)
def test_pictures_are_made_smaller_as_each_family_is_trained(
    tmp_path: Path, make: Make, given: Mapping[str, Any], shrink: str
) -> None:
    """With OpenCV or with Pillow: what is small looks different to a network that was trained with the other."""
    assert declare(make(tmp_path / "it.onnx"), given).input.shrink == shrink


def test_one_output_more_than_classes_is_that_for_nothing(tmp_path: Path) -> None:
    made = foreign.pred_logits(tmp_path / "detr.onnx")
    assert declare(made, CLASSES).activation == "sigmoid"
    assert declare(foreign.pred_logits(tmp_path / "softmax.onnx", nothing=2.0), CLASSES).activation == "softmax"
    with pytest.raises(InvalidInput, match=r"classes: expected 2, as pred_logits .*, got 1"):
        declare(made, {"classes": ["car"], "activation": "sigmoid"})


def test_a_name_too_few_makes_no_softmax(tmp_path: Path) -> None:
    """Of noise, most queries of DETR say that there is nothing; no class is seen that often."""
    made = foreign.pred_logits(tmp_path / "it.onnx", nothing=-4.0)
    told = r'classes: expected 3, as pred_logits .*, or activation = "softmax" declared where the last .*, got 2'
    with pytest.raises(InvalidInput, match=told):
        declare(made, CLASSES)
    assert declare(made, {**CLASSES, "activation": "softmax"}).activation == "softmax"


@pytest.mark.parametrize(
    ("make", "given", "message"),
    [
        (foreign.yolox, {}, "classes: expected the names of its 2 classes to be declared, got none"),
        (foreign.yolox, {"classes": ["a"]}, r"classes: expected 2, as output \(1x252x7\) says, got 1"),
        (foreign.ultralytics, {"classes": ["a", "b", "c"]}, r"classes: expected 2, as output0 \(1x6x252\) says, got 3"),
        (foreign.ultralytics, {"classes": ["a", "a"]}, "classes: expected different names"),
        (
            foreign.ultralytics,
            {"input": {"width": 640}},
            r"input.width: expected 128, as images \(1x3x96x128\) says, got 640",
        ),
        (foreign.ultralytics, {"input": {"lines": 3}}, "^input.lines: expected no key beside width, height, .*, got 3"),
        (foreign.ultralytics, {"input": {"layout": "NHWC"}}, "input.layout: expected 3 channels where NHWC has them"),
        (foreign.ultralytics, {"input": {"mean": [1, 2]}}, "input.mean.2: Field required"),
        (foreign.ultralytics, {"input": "RGB"}, "input: expected a table, got 'RGB'"),
        (foreign.ultralytics, {"outputs": "output0"}, "outputs: expected a table, got 'output0'"),
        (foreign.pred_logits, {"classes": 2}, "classes: expected a list of names, got 2"),
        (foreign.ultralytics, {"head": ["yolo"]}, "head: expected one of boxes, yolo, .*, got "),
        (foreign.ultralytics, {"head": "ssd"}, "head: expected one of boxes, yolo, .*, got 'ssd'"),
        (foreign.ultralytics, {"colour": "RGB"}, "^colour: expected no key beside head, classes, .*, got 'RGB'"),
        (foreign.ultralytics, {"strides": [8]}, "strides: expected nothing for head yolo, for only nanodet heeds it"),
        (
            foreign.ultralytics,
            {"outputs": {"output": "out"}},
            r"outputs: expected one of output0 \(1x6x252\), got 'out'",
        ),
        (foreign.rf_detr, {"classes": ["a", "b"], "activation": "softmax"}, "classes: expected 1, as .*, got 2"),
    ],
)
def test_a_wrong_declaration_is_refused_with_what_was_found(
    tmp_path: Path, make: Make, given: Mapping[str, Any], message: str
) -> None:
    with pytest.raises(InvalidInput, match=message):
        declare(make(tmp_path / "it.onnx"), given)


def test_yolov5_has_habits_of_its_own(tmp_path: Path) -> None:
    """Three boxes a cell, or its exporter's note of the stride: not YOLOX's bytes in BGR but shares of RGB, centred."""
    three = declare(foreign.yolox(tmp_path / "three.onnx", decoded=True, anchors=3), CLASSES)
    noted = declare(foreign.yolox(tmp_path / "noted.onnx", decoded=True, metadata={"stride": "32"}), CLASSES)
    for told in (three, noted):
        assert (told.head, told.decoded) == ("yolox", True)
        assert (told.input.resize, told.input.colours, told.input.scale) == ("letterbox", "RGB", 1 / 255)
    declared = declare(tmp_path / "three.onnx", {**CLASSES, "input": {"colours": "BGR"}})
    assert (declared.input.resize, declared.input.colours) == ("letterbox", "BGR")
    own = declare(foreign.yolox(tmp_path / "own.onnx"), CLASSES)
    assert (own.decoded, own.input.resize, own.input.colours, own.input.scale) == (False, "corner", "BGR", 1.0)


@pytest.mark.parametrize(
    "notes",
    [
        {"names": "-" * 200_000 + "1"},
        {"names": "+".join(["1"] * 100_000)},
        {"names": "{1: 'car', 'b': 'bus'}"},
        {"imgsz": "['a', 'b']"},
        {"imgsz": "[[], {}]"},
        {"imgsz": "[1e400, 1]"},
    ],
    ids=["too deep", "too long", "mixed", "no numbers", "no size", "endless"],
)
def test_notes_of_an_exporter_that_are_none_are_refused_in_a_line(tmp_path: Path, notes: dict[str, str]) -> None:
    made = foreign.ultralytics(tmp_path / "odd.onnx", notes)
    with pytest.raises(InvalidInput, match="metadata: expected names by number and imgsz as literals") as refused:
        declare(made, {})
    assert len(str(refused.value)) < 300


def test_a_model_for_another_purpose_is_refused(tmp_path: Path) -> None:
    made = foreign.ultralytics(tmp_path / "seg.onnx", {"author": "Ultralytics", "task": "segment", "stride": "32"})
    with pytest.raises(InvalidInput, match="expected a detector, got one made for 'segment'"):
        declare(made, CLASSES)
    silent = foreign.ultralytics(tmp_path / "bare.onnx", {})
    assert declare(silent, CLASSES).head == "yolo"  # its shape alone says so


@pytest.mark.parametrize("note", [{"args": "{'batch': 1, 'nms': True, 'dynamic': True}"}, {"end2end": "True"}])
def test_suppression_inside_is_told_where_no_shape_is(tmp_path: Path, note: Mapping[str, str]) -> None:
    told = declare(foreign.ultralytics_end2end(tmp_path / "it.onnx", note, fixed=False), {})
    assert (told.head, told.input.width, told.most_overlap) == ("yolo-end2end", WIDTH, 1.0)
    without = {"args": "{'batch': 1, 'nms': None, 'dynamic': True}", "end2end": "False"}
    assert declare(foreign.ultralytics_end2end(tmp_path / "it.onnx", without, fixed=False), {}).head == "yolo"


def test_rf_detr_of_coco_wants_a_name_for_each_number_from_0_on() -> None:
    """Its columns are COCO's numbers, from 1 on: names of these alone would each be one off."""
    ports = Port("dets", (1, 300, 4), np.float32), Port("labels", (1, 300, 91), np.float32)
    graph = Graph((Port("input", (1, 3, 64, 64), np.float32),), ports, {})
    names = [f"{number}" for number in range(1, 91)]
    with pytest.raises(InvalidInput, match=r"classes: expected 91, as .* says, got 90"):
        complete(graph, {"classes": names})
    assert complete(graph, {"classes": ["N/A", *names]}).classes[1] == "1"


def test_a_data_set_called_after_rt_detr_makes_no_rt_detr(tmp_path: Path) -> None:
    notes = {
        "author": "Ultralytics",
        "names": "['a', 'b']",
        "description": "Ultralytics YOLO11n model trained on /data/rtdetr-vs-yolo/data.yaml",
    }
    assert declare(foreign.ultralytics(tmp_path / "it.onnx", notes), {}).head == "yolo"


def test_the_last_column_of_rf_detr_has_no_name(tmp_path: Path) -> None:
    """Its exports have one more than classes."""
    made = foreign.rf_detr(tmp_path / "made.onnx")
    assert declare(made, {"classes": ["red"]}).classes == ("red", "background")
    runtime = imported(tmp_path / "it.onnx", made, {"classes": ["red"]})
    assert boxes(runtime.predict(picture(WIDTH, HEIGHT, (32, 64, 64, 96), 1))).boxes == ()
    with pytest.raises(InvalidInput, match=r"classes: expected 2, as labels .*, got 3"):
        declare(made, {"classes": ["a", "b", "c"]})


@pytest.mark.parametrize(("bins", "more"), [(8, 4), (11, 4), (8, 8)])
def test_names_for_some_classes_of_nanodet_are_refused(tmp_path: Path, bins: int, more: int) -> None:
    """The shape is that of so many classes less, too, with more bins a side."""
    made = foreign.nanodet(tmp_path / "it.onnx", bins, more)
    with pytest.raises(InvalidInput, match=r"a name for every probability in output \(1x256x\d+\), got 2 names"):
        declare(made, CLASSES)
    every = [*NAMES, *(f"other {number}" for number in range(more))]
    assert declare(made, {"classes": every}).classes == tuple(every)


def test_nameless_classes_are_passed_over(tmp_path: Path) -> None:
    made = foreign.rf_detr(tmp_path / "made.onnx")
    runtime = imported(tmp_path / "it.onnx", made, {"classes": ["N/A", "green"]})
    assert boxes(runtime.predict(picture(WIDTH, HEIGHT, (32, 64, 64, 96), 0))).boxes == ()
    found = boxes(runtime.predict(picture(WIDTH, HEIGHT, (32, 64, 64, 96), 1)))
    assert {box.category for box in found.boxes} == {"green"}


def test_a_model_without_an_embedding_gets_one_of_colours(tmp_path: Path) -> None:
    runtime = imported(tmp_path / "it.onnx", foreign.ultralytics(tmp_path / "made.onnx"), {})
    embedding = runtime.predict(picture(WIDTH, HEIGHT, (0, 0, 32, 24), 0)).embedding
    assert len(embedding) == len(NAMES) + 4 * 4 * 3
    assert embedding[0] == pytest.approx(1, abs=1e-6)  # the most probable red
    assert embedding[2:5] == pytest.approx((1, 0, 0))  # the upper left sixteenth


class TestHeads:
    """Numbers by hand, and slow loops that follow the published formulas."""

    def test_yolo_by_hand(self) -> None:
        column = [100.0, 50.0, 20.0, 10.0, 0.25, 0.75]
        found = heads.yolo(np.array(column).reshape(1, 6, 1), 2)
        assert found.boxes.tolist() == [[90, 45, 110, 55]]
        assert found.probabilities.tolist() == [[0.25, 0.75]]

    def test_a_row_of_the_end2end_head_has_one_class(self) -> None:
        found = heads.yolo_end2end(np.array([[[1, 2, 3, 4, 0.9, 1], [0, 0, 0, 0, 0, 7]]]), 2)
        assert found.probabilities.tolist() == [[0, 0.9], [0, 0]]  # rows of no confidence are padding
        with pytest.raises(InvalidInput, match=r"a name for every label .*, got 2 names and label 7"):
            heads.yolo_end2end(np.array([[[1, 2, 3, 4, 0.9, 7]]]), 2)

    @pytest.mark.parametrize(
        ("row", "classes", "probabilities"),
        [
            ([0.9, 1.0], 2, [0.0, 0.9]),  # confidence and class
            ([0.9, 0.25], 2, [0.9, 0.25]),  # as it was: a probability a class
            ([0.9, 2.0], 3, [0.0, 0.0, 0.9]),
            ([0.9, 0.25, 0.5], 3, [0.9, 0.25, 0.5]),
        ],
    )
    def test_rtdetr_by_hand(self, row: list[float], classes: int, probabilities: list[float]) -> None:
        found = heads.rtdetr(np.array([[[0.5, 0.5, 0.2, 0.4, *row]]]), classes, (100, 50))
        assert found.boxes[0].tolist() == pytest.approx([40, 15, 60, 35])
        assert found.probabilities.tolist() == [probabilities]

    @settings(max_examples=20)
    @given(st.integers(0, 2**32 - 1), st.integers(1, 3))
    def test_yolox_against_a_loop(self, seed: int, classes: int) -> None:
        rng = np.random.default_rng(seed)
        size = (int(rng.integers(1, 5)) * 32, int(rng.integers(1, 5)) * 32)
        rows = rng.uniform(0, 1, (1, heads.points(size, heads.YOLOX_STRIDES), 5 + classes))
        rows[..., :4] = rng.normal(0, 2, rows[..., :4].shape)
        found = heads.yolox(rows, classes, size, decoded=False)
        row = 0
        for stride in (8, 16, 32):
            for y in range(size[1] // stride):
                for x in range(size[0] // stride):
                    dx, dy, w, h, objectness = rows[0, row, :5]
                    cx, cy = (x + dx) * stride, (y + dy) * stride
                    w, h = math.exp(w) * stride, math.exp(h) * stride
                    expected = [cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2]
                    assert found.boxes[row].tolist() == pytest.approx(expected)
                    assert found.probabilities[row] == pytest.approx(objectness * rows[0, row, 5:])
                    row += 1

    @settings(max_examples=20)
    @given(st.integers(0, 2**32 - 1), st.integers(2, 9))
    def test_nanodet_against_a_loop(self, seed: int, bins: int) -> None:
        rng = np.random.default_rng(seed)
        size, classes = (int(rng.integers(1, 4)) * 32, 64), 2
        rows = rng.uniform(0, 1, (1, heads.points(size, heads.NANODET_STRIDES), classes + 4 * bins))
        found = heads.nanodet(rows, classes, size, heads.NANODET_STRIDES)
        row = 0
        for stride in (8, 16, 32, 64):
            for y in range(math.ceil(size[1] / stride)):
                for x in range(math.ceil(size[0] / stride)):
                    sides, spread = [], []
                    for side in range(4):
                        weights = [math.exp(v) for v in rows[0, row, classes + side * bins :][:bins]]
                        mean = sum(i * w for i, w in enumerate(weights)) / sum(weights)
                        square = sum(i * i * w for i, w in enumerate(weights)) / sum(weights)
                        sides.append(mean * stride)
                        spread.append(math.sqrt(square - mean**2) * stride)
                    px, py = x * stride, y * stride
                    expected = [px - sides[0], py - sides[1], px + sides[2], py + sides[3]]
                    assert found.boxes[row].tolist() == pytest.approx(expected)
                    assert found.side_std[row].tolist() == pytest.approx(spread)
                    row += 1

    def test_detr_by_hand(self) -> None:
        logits, where = np.array([[[0.0, math.log(3), 0.0]]]), np.array([[[0.5, 0.5, 0.2, 0.4]]])
        found = heads.detr(logits, where, 2, (100, 50), nothing=True)
        assert found.boxes[0].tolist() == pytest.approx([40, 15, 60, 35])
        assert found.probabilities[0].tolist() == pytest.approx([0.2, 0.6])
        assert heads.detr(logits, where, 3, (100, 50), nothing=False).probabilities[0].tolist() == pytest.approx(
            [0.5, 0.75, 0.5]
        )

    def test_boxes_that_only_fill_up_are_of_any_size(self) -> None:
        filling = np.zeros((1, 100, 2)), np.zeros((1, 100, 4))
        assert len(heads.plain(*filling, None, 2).boxes) == 100

    @pytest.mark.parametrize(
        ("call", "message"),
        [
            (lambda: heads.yolo(np.zeros((1, 84, 10)), 3), "expected shape 1x7x[?] .*, got 1x84x10"),
            (lambda: heads.yolo(np.full((1, 6, 100), 5.0), 2), r"expected probabilities in \[0, 1\]"),
            (lambda: heads.yolo(np.full((1, 6, 100), 0.5), 2), "boxes: expected pixels, got shares of the picture"),
            (lambda: heads.yolo(np.full((1, 6, 100), np.nan), 2), "expected finite probabilities"),
            (
                lambda: heads.yolox(np.full((1, 84, 7), [[9, 9, 30, 40, 1, 1, 0]]), 2, (64, 64), decoded=False),
                "decoded: expected logarithms of widths and heights in strides, got values up to 40; boxes in pixels",
            ),
            (
                lambda: heads.plain(np.full((1, 64, 2), 0.1), np.full((1, 64, 4), 0.5), None, 2),
                "boxes: expected pixels, got shares of the picture",
            ),
            (lambda: heads.yolo_end2end(np.ones((1, 64, 6)), 2), "boxes: expected pixels, got shares of the picture"),
            (
                lambda: heads.labelled(np.zeros((1, 64)), np.full((1, 64, 4), 0.5), np.ones((1, 64)), 2),
                "boxes: expected pixels, got shares of the picture",
            ),
            (
                lambda: heads.yolo_end2end(np.array([[[1, 2, 30, 40, 0.9, 0.7]]]), 2),
                "labels: expected whole numbers of classes, got 0.7",
            ),
            (lambda: heads.yolox(np.zeros((1, 7, 7)), 2, (64, 64), decoded=False), "expected 84 points, .*, got 7"),
            (lambda: heads.nanodet(np.zeros((1, 85, 35)), 2, (64, 64), (8, 16, 32, 64)), "leaves 4 sides"),
            (lambda: heads.rtdetr(np.full((1, 3, 6), 90.0), 2, (64, 64)), "boxes: expected shares of the picture"),
            (lambda: heads.rtdetr(np.zeros((1, 3, 9)), 2, (64, 64)), "expected shape 1x[?]x6 .*, got 1x3x9"),
            (
                lambda: heads.detr(np.zeros((1, 3, 2)), np.full((1, 3, 4), 300.0), 2, (64, 64), nothing=False),
                "expected shares of the picture, in .*, got values up to 300",
            ),
            (
                lambda: heads.labelled(np.zeros((1, 3)), np.zeros((1, 4, 4)), np.zeros((1, 3)), 2),
                "boxes: expected shape 1x3x4 .*, got 1x4x4",
            ),
        ],
    )
    def test_outputs_that_do_not_fit_are_refused(self, call: Callable[[], object], message: str) -> None:
        with pytest.raises(InvalidInput, match=message):
            call()


def test_cells_of_the_test_models_are_in_order() -> None:
    assert cells()[0].tolist() == [0, 0, 8, 8]
    assert cells()[1].tolist() == [8, 0, 16, 8]
    assert len(cells()) == 252
