"""What the outputs of common detectors mean: each head's numbers to probabilities and boxes. No torch.

Every function takes the outputs of one picture, batch axis included, and checks that they are what its head gives;
else it raises ``InvalidInput``, which says what was expected and what came.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, softmax

from models.arrays import AnyFloats
from models.errors import InvalidInput

YOLOX_STRIDES = (8, 16, 32)
NANODET_STRIDES = (8, 16, 32, 64)
LARGEST_LOG = 20.0  # the logarithm of a size in strides: beyond any picture


@dataclass(frozen=True)
class Candidates:
    """Probabilities (n, categories); boxes (n, 4) xyxy and the deviation of their sides (n, 4), in network pixels.

    ``side_std`` is 0 where a head says nothing of how well it places a box.
    """

    probabilities: AnyFloats
    boxes: AnyFloats
    side_std: AnyFloats


def plain(probabilities: AnyFloats, boxes: AnyFloats, side_std: AnyFloats | None, classes: int) -> Candidates:
    """Probabilities (1, n, classes) and boxes (1, n, 4) xyxy in network pixels, as they are."""
    _expect("probabilities", probabilities, (1, None, classes))
    _expect("boxes", boxes, (1, probabilities.shape[1], 4))
    if side_std is not None:
        _expect("side_std", side_std, boxes.shape)
    _require_probabilities("probabilities", probabilities)
    _require_pixels("boxes", boxes[0][probabilities[0].max(axis=1, initial=0) > 0])
    return Candidates(probabilities[0], boxes[0], np.zeros_like(boxes[0]) if side_std is None else side_std[0])


def yolo(output: AnyFloats, classes: int) -> Candidates:
    """Ultralytics YOLOv8 to 12: (1, 4 + classes, n), a column a point: centre, width, height in pixels, probabilities.

    Source: the ONNX export of ultralytics, head ``Detect`` without ``end2end``.
    """
    _expect("the output", output, (1, 4 + classes, None))
    rows = output[0].T
    _require_pixels("the output's boxes", rows[:, :4])
    _require_probabilities("the output's probabilities", rows[:, 4:])
    return _unplaced(rows[:, 4:], _corners(rows[:, :4]))


def yolo_end2end(output: AnyFloats, classes: int) -> Candidates:
    """Ultralytics with suppression inside (``end2end``, ``nms=True``): (1, n, 6), a row an object: x1, y1, x2, y2 in
    pixels, confidence, class.
    """
    _expect("the output", output, (1, None, 6))
    rows = output[0]
    _require_probabilities("the output's confidences", rows[:, 4])
    _require_pixels("the output's boxes", rows[rows[:, 4] > 0, :4])
    return _unplaced(_one_hot(rows[:, 4], rows[:, 5], classes), rows[:, :4])


def rtdetr(output: AnyFloats, classes: int, size: tuple[int, int]) -> Candidates:
    """RT-DETR as Ultralytics exports it: (1, n, 6), a row an object: centre, width and height as shares of the picture,
    confidence, class; or, as it was before, (1, n, 4 + classes) with a probability a class.
    """
    _expect("the output", output, (1, None, None))
    rows = output[0]
    labelled = rows.shape[1] == 6 and (classes != 2 or bool(np.isin(rows[:, 5], (0, 1)).all()))
    if not labelled:
        _expect("the output", output, (1, None, 4 + classes))
    _require_shares("the output's boxes", rows[:, :4])
    _require_probabilities("the output's probabilities", rows[:, 4:5] if labelled else rows[:, 4:])
    probabilities = _one_hot(rows[:, 4], rows[:, 5], classes) if labelled else rows[:, 4:]
    return _unplaced(probabilities, _corners(rows[:, :4]) * np.tile(size, 2))


def yolox(output: AnyFloats, classes: int, size: tuple[int, int], decoded: bool) -> Candidates:
    """YOLOX, and YOLOv5 where ``decoded``: (1, n, 5 + classes): box, objectness, class probabilities.

    Not decoded, a box is (x, y, log width, log height) in strides from its cell of three grids (Ge et al. 2021,
    arXiv 2107.08430, ``YOLOXHead.decode_outputs``); decoded, centre, width and height in pixels.
    """
    _expect("the output", output, (1, None, 5 + classes))
    rows = output[0].astype(np.float64)
    _require_probabilities("the output's objectness and probabilities", rows[:, 4:])
    boxes = rows[:, :4]
    if not decoded:
        cells, strides = _grid(size, YOLOX_STRIDES, len(rows))
        if boxes[:, 2:].max(initial=0) > LARGEST_LOG:
            raise InvalidInput(f"decoded: expected logarithms of widths and heights in strides, got values up to "
                               f"{boxes[:, 2:].max():g}; boxes in pixels are decoded = true")  # fmt: skip
        wide = np.exp(boxes[:, 2:]) * strides
        boxes = np.concatenate([(boxes[:, :2] + cells) * strides, wide], axis=1)
    _require_pixels("the output's boxes", boxes)
    return _unplaced(rows[:, 4:5] * rows[:, 5:], _corners(boxes))


def nanodet(output: AnyFloats, classes: int, size: tuple[int, int], strides: tuple[int, ...]) -> Candidates:
    """NanoDet-Plus: (1, n, classes + 4 * bins): class probabilities, then a distribution over distances a side.

    A point lies at the corner of its cell; distances are in its stride, to the left, above, right and below
    (``NanoDetPlusHead``; Li et al. 2020, arXiv 2006.04388). The spread of a distribution is the doubt about its side.
    """
    _expect("the output", output, (1, None, None))
    rows = output[0].astype(np.float64)
    bins, left_over = divmod(rows.shape[1] - classes, 4)
    if bins < 2 or left_over:
        raise InvalidInput(f"classes: expected a number that leaves 4 sides of at least 2 bins each of "
                           f"{rows.shape[1]} values a point, got {classes} classes")  # fmt: skip
    _require_probabilities("the output's probabilities", rows[:, :classes])
    cells, stride = _grid(size, strides, len(rows))
    shares = softmax(rows[:, classes:].reshape(-1, 4, bins), axis=-1)
    places = np.arange(bins)
    mean = (shares * places).sum(axis=2)
    std = np.sqrt((shares * (places - mean[..., None]) ** 2).sum(axis=2))
    point = cells * stride
    boxes = np.concatenate([point - mean[:, :2] * stride, point + mean[:, 2:] * stride], axis=1)
    return Candidates(rows[:, :classes], boxes, std * stride)


def detr(logits: AnyFloats, boxes: AnyFloats, classes: int, size: tuple[int, int], nothing: bool) -> Candidates:
    """DETR and its kin: logits (1, n, classes) and boxes (1, n, 4), centre, width and height as shares of the picture.

    With ``nothing`` the last column of logits, one more than there are classes, says "nothing" (Carion et al. 2020);
    otherwise each class has its own sigmoid (Deformable DETR, RT-DETR, D-FINE, RF-DETR).
    """
    _expect("logits", logits, (1, None, classes + nothing))
    _expect("boxes", boxes, (1, logits.shape[1], 4))
    _require_shares("boxes", boxes)
    values = logits[0].astype(np.float64)
    probabilities = softmax(values, axis=-1)[:, :classes] if nothing else expit(values)
    return _unplaced(probabilities, _corners(boxes[0]) * np.tile(size, 2))


def labelled(labels: AnyFloats, boxes: AnyFloats, scores: AnyFloats, classes: int) -> Candidates:
    """RT-DETR and D-FINE with their post-processing: labels and scores (1, n), boxes (1, n, 4) xyxy in pixels.

    A label below 0 stands for no object: YOLO-NAS fills up with these.
    """
    _expect("labels", labels, (1, None))
    _expect("scores", scores, labels.shape)
    _expect("boxes", boxes, (*labels.shape, 4))
    scores = np.where(labels < 0, 0, scores)
    _require_probabilities("scores", scores)
    _require_pixels("boxes", boxes[scores > 0])
    return _unplaced(_one_hot(scores[0], labels[0], classes), boxes[0])


def mmdet(labels: AnyFloats, dets: AnyFloats, classes: int) -> Candidates:
    """MMDetection as MMDeploy exports it: labels (1, n), and dets (1, n, 5), xyxy in pixels and then the score."""
    _expect("dets", dets, (1, None, 5))
    return labelled(labels, dets[..., :4], dets[..., 4], classes)


def points(size: tuple[int, int], strides: tuple[int, ...]) -> int:
    """How many cells the grids of these strides have over a picture of ``size`` (width, height)."""
    return sum(-(-size[0] // stride) * -(-size[1] // stride) for stride in strides)


def _grid(size: tuple[int, int], strides: tuple[int, ...], rows: int) -> tuple[AnyFloats, AnyFloats]:
    """Column and row (n, 2) and stride (n, 1) of every cell, grid after grid, row after row."""
    width, height = size
    if points(size, strides) != rows:
        told = ", ".join(map(str, strides))
        raise InvalidInput(f"the output: expected {points(size, strides)} points, the cells of strides {told} over "
                           f"{width}x{height}, got {rows}")  # fmt: skip
    cells, each = [], []
    for stride in strides:
        y, x = np.mgrid[: -(-height // stride), : -(-width // stride)]
        cells.append(np.stack([x.ravel(), y.ravel()], axis=1))
        each.append(np.full((x.size, 1), stride, np.float64))
    return np.concatenate(cells).astype(np.float64), np.concatenate(each)


def _one_hot(scores: AnyFloats, labels: AnyFloats, classes: int) -> AnyFloats:
    """Probabilities (n, classes) of objects that have one class each."""
    rows = np.flatnonzero(scores > 0)
    columns = labels[rows].astype(np.int64)
    if (columns != labels[rows]).any():
        broken = labels[rows][columns != labels[rows]][0]
        raise InvalidInput(f"labels: expected whole numbers of classes, got {broken:g}")
    if len(columns) and (columns.min() < 0 or columns.max() >= classes):
        wrong = columns.min() if columns.min() < 0 else columns.max()
        raise InvalidInput(
            f"classes: expected a name for every label the model gives, got {classes} names and label {wrong}"
        )
    probabilities = np.zeros((len(scores), classes))
    probabilities[rows, columns] = scores[rows]
    return probabilities


def _unplaced(probabilities: AnyFloats, boxes: AnyFloats) -> Candidates:
    return Candidates(probabilities, boxes, np.zeros_like(boxes))


def _corners(boxes: AnyFloats) -> AnyFloats:
    """Boxes (n, 4) as centre, width and height -> xyxy."""
    half = boxes[:, 2:] / 2
    return np.concatenate([boxes[:, :2] - half, boxes[:, :2] + half], axis=1)


def _expect(name: str, values: AnyFloats, shape: tuple[int | None, ...]) -> None:
    fits = len(values.shape) == len(shape) and all(
        wanted in (None, got) for wanted, got in zip(shape, values.shape, strict=True)
    )
    if not fits:
        raise InvalidInput(f"{name}: expected shape {_told(shape)} for this head and these classes, "
                           f"got {_told(values.shape)}")  # fmt: skip


def _told(shape: tuple[int | None, ...]) -> str:
    return "x".join("?" if size is None else str(size) for size in shape)


def _require_probabilities(name: str, values: AnyFloats) -> None:
    """Whether numbers can be probabilities; half-precision models miss the ends by a little."""
    if not np.isfinite(values).all():
        raise InvalidInput(f"detection: expected finite probabilities from the network, got NaN or infinity in {name}")
    low, high = float(values.min(initial=0)), float(values.max(initial=0))
    if low < -1e-2 or high > 1 + 1e-2:
        raise InvalidInput(f"{name}: expected probabilities in [0, 1], got values from {low:g} to {high:g}")


def _require_shares(name: str, boxes: AnyFloats) -> None:
    if boxes.min(initial=0) < -0.5 or boxes.max(initial=0) > 1.5:
        worst = float(np.abs(boxes).max())
        raise InvalidInput(f"{name}: expected shares of the picture, in [0, 1], got values up to {worst:g}")


def _require_pixels(name: str, boxes: AnyFloats) -> None:
    """A picture full of candidates of which no number exceeds 2 is one measured in shares."""
    if len(boxes) >= 64 and np.isfinite(boxes).all() and np.abs(boxes).max() <= 2:
        raise InvalidInput(f"{name}: expected pixels, got shares of the picture: all within 2")
