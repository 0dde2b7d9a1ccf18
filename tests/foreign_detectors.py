"""Detectors as other projects export them: their true names, shapes and metadata, on a network that can be followed.

Each sees a picture in cells of 8, 16 and 32 pixels; a cell is an object of category "red" or "green" as probable as the
mean of that channel in it. How this is written into outputs is each family's own way.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from tests.onnx_graphs import OnnxGraph

WIDTH, HEIGHT = 128, 96
STRIDES = (8, 16, 32)
NAMES = ("red", "green")


def cells(strides: Sequence[int] = STRIDES) -> NDArray[np.float32]:
    """Boxes (n, 4) xyxy of all cells, grid after grid, row after row."""
    boxes = [
        (column * stride, row * stride, (column + 1) * stride, (row + 1) * stride)
        for stride in strides
        for row in range(-(-HEIGHT // stride))
        for column in range(-(-WIDTH // stride))
    ]
    return np.array(boxes, np.float32)


def ultralytics(path: Path, metadata: Mapping[str, str] | None = None) -> Path:
    """YOLOv8 to 12: ``output0`` (1, 4 + classes, n) and the exporter's notes."""
    graph = Graph("images")
    graph.constant("where", _centred(cells()).T[None])
    graph.node("Concat", ["where", graph.probabilities()], "output0", axis=1)
    notes = {"author": "Ultralytics", "task": "detect", "stride": "32", "names": str(dict(enumerate(NAMES)))}
    given = {**notes, "imgsz": f"[{HEIGHT}, {WIDTH}]"} if metadata is None else metadata
    return graph.save(path, {"output0": (1, 6, len(cells()))}, given)


def ultralytics_end2end(path: Path, metadata: Mapping[str, str] | None = None, fixed: bool = True) -> Path:
    """YOLOv10, YOLO26 and exports with ``nms=True``: ``output0`` (1, n, 6), of sizes not told where they may vary."""
    return _rows(path, cells(), metadata, fixed)


def ultralytics_rtdetr(path: Path) -> Path:
    """RT-DETR: the same with centre, width and height as shares of the picture."""
    notes = {"head": "RTDETRDecoder", "description": "Ultralytics rtdetr-l model"}
    return _rows(path, _centred(cells()) / [WIDTH, HEIGHT, WIDTH, HEIGHT], notes)


def _rows(path: Path, boxes: NDArray[Any], metadata: Mapping[str, str] | None, fixed: bool = True) -> Path:
    graph = Graph("images", fixed=fixed)
    graph.constant("where", boxes[None])
    graph.node("Transpose", [graph.probabilities()], "rows", perm=[0, 2, 1])
    graph.node("ReduceMax", ["rows", graph.constant("last", [2])], "score", keepdims=1)
    graph.node("ArgMax", ["rows"], "which", axis=2, keepdims=1)
    graph.node("Cast", ["which"], "label", to=TensorProto.FLOAT)
    graph.node("Concat", ["where", "score", "label"], "output0" if fixed else "all", axis=2)
    if not fixed:  # cut where only the picture tells, so that no shape is known beforehand
        graph.node("Mul", [graph.node("ReduceMax", ["images"], "brightest", keepdims=0),
                           graph.constant("nothing", np.float32(0))], "zero")  # fmt: skip
        graph.node("Add", ["zero", graph.constant("far", np.full(3, 1e6))], "ends")
        graph.node("Cast", ["ends"], "whole", to=TensorProto.INT64)
        graph.node("Slice", ["all", graph.constant("starts", [0, 0, 0]), "whole"], "output0")
    notes = {"author": "Ultralytics", "task": "detect", "names": str(dict(enumerate(NAMES)))}
    shape: tuple[int | str, ...] = (1, len(cells()), 6) if fixed else ("batch", "anchors", "columns")
    return graph.save(path, {"output0": shape}, {**notes, "imgsz": f"[{HEIGHT}, {WIDTH}]", **(metadata or {})})


def yolox(path: Path, decoded: bool = False, anchors: int = 1, metadata: Mapping[str, str] | None = None) -> Path:
    """``output`` (1, n, 5 + classes), from bytes in BGR, the same for every one of several anchors a cell."""
    graph = Graph("images")
    boxes = _centred(cells()) if decoded else np.tile([0.5, 0.5, 0.0, 0.0], (len(cells()), 1))
    graph.constant("where", np.concatenate([boxes, np.ones((len(boxes), 1))], axis=1)[None])
    graph.node("Transpose", [graph.probabilities(bgr=True, full=255.0)], "rows", perm=[0, 2, 1])
    graph.node("Concat", ["where", "rows"], "one", axis=2)
    graph.node("Concat", ["one"] * anchors, "output", axis=1)
    return graph.save(path, {"output": (1, anchors * len(cells()), 7)}, metadata)


def nanodet(path: Path, bins: int = 8, more: int = 0) -> Path:
    """``output`` (1, n, classes + 4 * bins) over strides 8, 16, 32, 64; ``more`` classes are improbable."""
    strides = (*STRIDES, 64)
    graph = Graph("data")
    sides = np.full((len(cells(strides)), 4, bins), -20.0)
    sides[:, :2, 0] = sides[:, 2:, 1] = 20.0  # no distance to the left and above, one stride right and below
    graph.constant("sides", sides.reshape(1, -1, 4 * bins))
    graph.node("Transpose", [graph.probabilities(strides, bgr=True, caffe=True)], "rows", perm=[0, 2, 1])
    graph.constant("more", np.full((1, len(sides), more), 0.01))
    graph.node("Concat", ["rows", "more", "sides"], "output", axis=2)
    return graph.save(path, {"output": (1, len(sides), 2 + more + 4 * bins)})


def rf_detr(path: Path) -> Path:
    """``dets`` (1, n, 4) as shares of the picture and ``labels`` (1, n, classes), logits."""
    graph = Graph("input")
    graph.constant("dets", (_centred(cells()) / [WIDTH, HEIGHT, WIDTH, HEIGHT])[None])
    graph.logits("labels", graph.probabilities(imagenet=True))
    return graph.save(path, {"dets": (1, len(cells()), 4), "labels": (1, len(cells()), 2)})


def d_fine(path: Path) -> Path:
    """``labels``, ``boxes``, ``scores`` of a picture whose size ``orig_target_sizes`` gives."""
    graph = Graph("images", others={"orig_target_sizes": (TensorProto.INT64, [1, 2])})
    graph.constant("shares", (cells() / [WIDTH, HEIGHT, WIDTH, HEIGHT])[None])
    graph.node("Transpose", [graph.probabilities()], "rows", perm=[0, 2, 1])
    graph.node("ReduceMax", ["rows", graph.constant("last", [2])], "scores", keepdims=0)
    graph.node("ArgMax", ["rows"], "labels", axis=2, keepdims=0)
    graph.node("Cast", ["orig_target_sizes"], "size", to=TensorProto.FLOAT)
    graph.node("Concat", ["size", "size"], "sides", axis=1)
    graph.node("Mul", ["shares", "sides"], "boxes")
    n = len(cells())
    return graph.save(path, {"labels": (1, n), "boxes": (1, n, 4), "scores": (1, n)}, whole=("labels",))


def mmdeploy(path: Path) -> Path:
    """MMDetection: ``dets`` (batch, n, 5), corners in pixels and the score, ``labels`` (batch, n); the last is none."""
    graph = Graph("input")
    graph.constant("where", cells()[None])
    graph.node("Transpose", [graph.probabilities(bgr=True, caffe=True)], "rows", perm=[0, 2, 1])
    graph.node("ReduceMax", ["rows", graph.constant("last", [2])], "score", keepdims=1)
    graph.node("Concat", ["where", "score"], "found", axis=2)
    graph.node("ArgMax", ["rows"], "which", axis=2, keepdims=0)
    graph.node("Concat", ["found", graph.constant("no_box", np.zeros((1, 1, 5)))], "dets", axis=1)
    graph.node("Concat", ["which", graph.constant("no_label", [[-1]])], "labels", axis=1)
    return graph.save(path, {"dets": ("batch", "num_dets", 5), "labels": ("batch", "num_dets")}, whole=("labels",))


def yolo_nas(path: Path) -> Path:
    """YOLO-NAS with suppression inside: objects, then rows of -1; a picture of bytes, which it divides itself."""
    graph = OnnxGraph({"input": (TensorProto.UINT8, [1, 3, HEIGHT, WIDTH])})
    graph.node("Cast", ["input"], "bytes", to=TensorProto.FLOAT)
    inner = Graph("images")
    inner.inputs, inner.nodes, inner.constants = graph.inputs, graph.nodes, graph.constants
    inner.node("Div", ["bytes", inner.constant("whole", np.float32(255))], "images")
    inner.node("Transpose", [inner.probabilities()], "rows", perm=[0, 2, 1])
    inner.node("ReduceMax", ["rows", inner.constant("last", [2])], "score", keepdims=0)
    inner.node("ArgMax", ["rows"], "which", axis=2, keepdims=0)
    inner.node("Concat", ["score", inner.constant("no_score", np.full((1, 9), -1.0))], "pred_scores", axis=1)
    inner.node("Concat", ["which", inner.constant("no_class", [[-1] * 9])], "pred_classes", axis=1)
    boxes = np.concatenate([cells(), np.full((9, 4), -1.0)])[None]
    inner.node("Identity", [inner.constant("where", boxes)], "pred_boxes")
    inner.node("Identity", [inner.constant("count", [[len(cells())]])], "num_predictions")
    n = len(cells()) + 9
    outputs = {"num_predictions": (1, 1), "pred_boxes": (1, n, 4), "pred_scores": (1, n), "pred_classes": (1, n)}
    return inner.save(path, outputs, whole=("num_predictions", "pred_classes"))


def pred_logits(path: Path, nothing: float | None = None) -> Path:
    """DETR without post-processing: ``pred_logits``, perhaps with a third column for nothing, and ``pred_boxes``."""
    graph, n = Graph("images"), len(cells())
    graph.constant("pred_boxes", (_centred(cells()) / [WIDTH, HEIGHT, WIDTH, HEIGHT])[None])
    graph.logits("pred_logits" if nothing is None else "of_classes", graph.probabilities())
    if nothing is not None:
        graph.node(
            "Concat", ["of_classes", graph.constant("nothing", np.full((1, n, 1), nothing))], "pred_logits", axis=2
        )
    return graph.save(path, {"pred_logits": (1, n, 2 + (nothing is not None)), "pred_boxes": (1, n, 4)})


class Graph(OnnxGraph):
    """An ONNX graph in the making, of one picture (1, 3, HEIGHT, WIDTH)."""

    def __init__(
        self, picture: str, others: Mapping[str, tuple[int, list[int]]] | None = None, fixed: bool = True
    ) -> None:
        self.picture = picture
        size: list[Any] = [1, 3, HEIGHT, WIDTH] if fixed else ["batch", 3, "height", "width"]
        super().__init__({picture: (TensorProto.FLOAT, size), **(others or {})})

    def constant(self, name: str, value: Any) -> str:
        """Floats, or whole numbers where a list is given."""
        return super().constant(name, np.array(value, np.int64 if isinstance(value, list) else np.float32))

    def probabilities(
        self,
        strides: Sequence[int] = STRIDES,
        *,
        bgr: bool = False,
        full: float = 1.0,
        caffe: bool = False,
        imagenet: bool = False,
    ) -> str:
        """(1, 2, n): the mean of red and of green in each cell, of numbers normalised as the family does."""
        mean, std = [0.0, 0.0, 0.0], [full] * 3
        if caffe:
            mean, std = [103.53, 116.28, 123.675], [57.375, 57.12, 58.395]
        if imagenet:
            mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
        self.constant("mean", np.reshape(mean, (1, 3, 1, 1)))
        self.constant("std", np.reshape(std, (1, 3, 1, 1)))
        source = self.picture
        if caffe or imagenet:  # undo what the input was normalised with
            self.node("Mul", [source, "std"], "scaled")
            source = self.node("Add", ["scaled", "mean"], "restored")
            if caffe:
                source = self.node("Div", [source, self.constant("bytes", np.float32(255))], "shares_of_one")
        else:
            source = self.node("Div", [source, "std"], "restored")
        channels = [2, 1] if bgr else [0, 1]
        self.node("Gather", [source, self.constant("channels", channels)], "picked", axis=1)
        parts = []
        for stride in strides:
            pooled = self.node("AveragePool", ["picked"], f"pool{stride}", kernel_shape=[stride] * 2,
                               strides=[stride] * 2, auto_pad="SAME_UPPER")  # fmt: skip
            flat = self.constant(f"flat{stride}", [1, 2, -1])
            parts.append(self.node("Reshape", [pooled, flat], f"grid{stride}"))
        together = self.node("Concat", parts, "together", axis=2)
        return self.node("Clip", [together, self.constant("low", np.float32(0)), self.constant("high", np.float32(1))],
                         "probable")  # fmt: skip

    def logits(self, name: str, probabilities: str) -> str:
        """(1, n, 2) whose sigmoids are the probabilities, within [0.001, 0.999]."""
        least, most = self.constant("least", np.float32(1e-3)), self.constant("most", np.float32(1 - 1e-3))
        self.node("Clip", [probabilities, least, most], "inner")
        self.node("Sub", [self.constant("one", np.float32(1)), "inner"], "rest")
        self.node("Div", ["inner", "rest"], "odds")
        self.node("Log", ["odds"], "columns")
        return self.node("Transpose", ["columns"], name, perm=[0, 2, 1])


def _centred(boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.concatenate([(boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]], axis=1)
