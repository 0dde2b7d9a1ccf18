"""What the outputs of common lane networks mean: masks and anchors, to lines as tracing and doubt know them. No torch.

Lines are in cells of a grid over the whole image, as in ``tracing``.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.special import expit, softmax

from models.arrays import AnyFloats, Bools, Floats
from models.errors import InvalidInput
from models.lane.ridges import drawn
from models.lane.tracing import Trace
from models.picture_input import Placement

Whole = NDArray[np.int64]

COLUMNS = 128  # cells across the image
RIDGE = 0.75  # deviation in cells of the ridge that is drawn around a line of a mask
FAINT = 0.2  # less probable pixels of a mask are no line
_ROUNDING = 2e-2  # probabilities of networks in half precision, or of 8 bits, sum to 1 within it
_AROUND = 12  # points of a line that tell its direction
_CULANE = (121, 131, 141, 150, 160, 170, 180, 189, 199, 209, 219, 228, 238, 248, 258, 267, 277, 287)
_USUAL_ROWS = {  # heights of row anchors as shares of the image's, by their number, as UFLD has them
    56: tuple((64 + 4 * i) / 288 for i in range(56)),
    18: tuple(y / 288 for y in _CULANE),
}


@dataclass(frozen=True)
class Lines:
    """The lines that anchors tell of, in cells of a grid of ``COLUMNS``, and how many are expected beside them."""

    traces: list[Trace]
    missed: float


def usual_rows(count: int) -> tuple[float, ...]:
    """Where UFLD's row anchors lie for TuSimple (56) and CULane (18), as shares of the image's height.

    Raises:
        InvalidInput: there is nothing usual about that number.
    """
    if count not in _USUAL_ROWS:
        raise InvalidInput(f"rows: expected the heights of {count} row anchors to be declared, got none")
    return _USUAL_ROWS[count]


def probability(output: Floats, activation: str, lanes: Sequence[int]) -> Floats:
    """The probability (height, width) that a pixel is on a line, from an output (channels, height, width).

    "softmax" is over the channels, "sigmoid" in each, "none" where they are probabilities; a pixel is on a line if it
    belongs to any of the channels ``lanes``: to one of them at most where all share one probability.

    Raises:
        InvalidInput: values that are not finite, or are no probabilities where they should be.
    """
    values = _finite(output)
    if activation == "sigmoid":
        values = expit(values)
    elif activation == "softmax":
        return np.asarray(softmax(values, axis=0)[list(lanes)].sum(axis=0))
    elif not are_probabilities(values):
        raise InvalidInput(f"activation: expected sigmoid or softmax for values from {values.min():g} to "
                           f"{values.max():g}, got none")  # fmt: skip
    among = values[list(lanes)]
    shared = activation == "none" and sum_to_one(values)  # a softmax within the network
    return np.asarray((among.sum(axis=0) if shared else among.max(axis=0)).clip(0, 1))


def are_probabilities(values: Floats) -> bool:
    """Whether values are from 0 to 1, but for what resizing adds."""
    return bool(values.min(initial=0) >= -1e-2 and values.max(initial=0) <= 1 + 1e-2)


def sum_to_one(values: Floats) -> bool:
    """Whether several channels (channels, height, width) share one probability, in all pixels but a few."""
    return len(values) > 1 and bool(np.quantile(np.abs(values.sum(axis=0) - 1), 0.99) <= _ROUNDING)


def over_image(mask: Floats, placement: Placement, picture: tuple[int, int], image: tuple[int, int]) -> Floats:
    """The mask of the whole image: bars beside it cut off, and what was cut off the image empty.

    ``picture`` and ``image`` are (width, height) of what the network saw and of the image.
    """
    rows, columns = mask.shape
    across, down = columns / picture[0], rows / picture[1]
    corners = np.array([[0.0, 0.0], image]) * placement.scale + placement.offset
    (left, top), (right, bottom) = np.rint(corners * (across, down)).astype(int)
    inside = mask[max(0, top) : max(1, bottom), max(0, left) : max(1, right)]
    return np.pad(inside, ((max(0, -top), 0), (max(0, -left), 0)))


def ridges(mask: Floats) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The heat (rows, columns) and directions (2, rows, columns) that a mask of thick lines stands for.

    Each row of a steep line, and each column of a level one, gives the middle of the line there and its greatest
    probability; around these points a ridge is drawn as ``RIDGE`` says. So the width of a mask, which only says how
    near the camera is, makes no doubt.
    """
    columns = min(COLUMNS, mask.shape[1])
    rows = max(2, round(mask.shape[0] * columns / mask.shape[1]))
    points, sure = _middles(mask)
    if len(points) < 2:
        return np.zeros((rows, columns), np.float32), np.zeros((2, rows, columns), np.float32)
    points = (points + 0.5) * (columns / mask.shape[1], rows / mask.shape[0]) - 0.5
    return drawn(points, sure, _doubled_angles(points), RIDGE, (rows, columns))


def row_anchors(output: Floats, rows: Sequence[float], image: tuple[int, int]) -> Lines:
    """Ultra Fast Lane Detection (Qin et al. 2020): logits (cells + 1, anchors, lanes), the last class "no line".

    A lane's place in a row is the mean of its distribution over the cells, its doubt that distribution's deviation.
    ``cells`` cells are (width of the picture - 1) / (cells - 1) wide there; a place is the middle of its cell.
    """
    logits = _finite(output)
    shares = softmax(logits, axis=0)
    exists = 1 - shares[-1]  # (anchors, lanes)
    places = softmax(logits[:-1], axis=0)
    cells = len(places)
    mean, std = _moments(places, np.arange(cells) + 0.5)
    width = 1 / max(1, cells - 1)
    present = shares.argmax(axis=0) < cells
    lanes = [
        _line(mean[:, i] * width, np.asarray(rows), std[:, i] * width, exists[:, i], present[:, i], image)
        for i in range(output.shape[2])
    ]
    return Lines([line for line in lanes if line], _missed(list(exists.T), lanes))


def hybrid_anchors(
    rows: tuple[Floats, Floats], columns: tuple[Floats, Floats], heights: Sequence[float], widths: Sequence[float],
    lanes: tuple[Sequence[int], Sequence[int]], image: tuple[int, int],
) -> Lines:  # fmt: skip
    """Ultra Fast Lane Detection v2 (Qin et al. 2022): steep lanes by row anchors, level ones by column anchors.

    Args:
        rows: places (cells, anchors, lanes) and existence (2, anchors, lanes), logits.
        columns: the same of column anchors.
        heights: of the row anchors, as shares of the image's.
        widths: of the column anchors, likewise.
        lanes: which lanes are read from rows, and which from columns.
        image: its (width, height).

    Raises:
        InvalidInput: existence is of other anchors or lanes than the places.
    """
    found: list[Trace | None] = []
    exists: list[Floats] = []
    for (logits, existence), anchors, chosen, level in zip(
        (rows, columns), (heights, widths), lanes, (False, True), strict=True
    ):
        if existence.shape != (2, *logits.shape[1:]):
            shapes = ((2, *logits.shape[1:]), logits.shape, existence.shape)
            wanted, places, got = ("x".join(map(str, shape)) for shape in shapes)
            role = "exist_col" if level else "exist_row"
            raise InvalidInput(f"outputs.{role}: expected {wanted} beside places {places}, got {got}")
        there = softmax(_finite(existence), axis=0)[1]
        mean, std = _moments(_local(_finite(logits)), np.arange(len(logits)) + 0.5)
        width = 1 / max(1, len(logits) - 1)
        for i in chosen:
            sure = there[:, i]
            on = (sure > 0.5) & ((sure > 0.5).sum() > len(sure) / (4 if level else 2))
            along, across = mean[:, i] * width, np.asarray(anchors)
            x, y = (across, along) if level else (along, across)
            found.append(_line(x, y, std[:, i] * width, sure, on, image, level))
            exists.append(sure)
    return Lines([line for line in found if line], _missed(exists, found))


def _line(
    x: Floats, y: Floats, std: Floats, sure: Floats, present: Bools, image: tuple[int, int], level: bool = False
) -> Trace | None:
    """A line from its places as shares of the image, upwards or downwards as it comes; None for fewer than 2 points."""
    if present.sum() < 2:
        return None
    rows = grid_rows(image)
    points = np.stack([x[present] * COLUMNS - 0.5, y[present] * rows - 0.5], axis=1)
    along = np.gradient(points, axis=0)
    steep = np.abs(along[:, 1]) / (np.hypot(along[:, 0], along[:, 1]) + 1e-9)
    # a place is known along its anchor; across the line that is less
    across = std[present] * (rows * np.sqrt(1 - steep**2) if level else COLUMNS * steep)
    return Trace(points, np.maximum(across, 0.1), steep, sure[present])


def grid_rows(image: tuple[int, int]) -> int:
    """Rows of the grid over an image of (width, height)."""
    return max(2, round(COLUMNS * image[1] / image[0]))


def _missed(exists: Sequence[Floats], found: Sequence[Trace | None]) -> float:
    """How many of the lines that were not found are to be expected all the same."""
    return float(sum(sure.mean() for sure, line in zip(exists, found, strict=True) if line is None))


def _middles(mask: Floats) -> tuple[Floats, Floats]:
    """Points (n, 2) in the middle of the lines of a mask, and their greatest probability across the line (n,)."""
    on = mask >= FAINT
    across, down = _runs(on), _runs(on.T)
    steep = across[_length(across) <= _lengths(on.T, down).T[across[:, 0], _middle(across)]]
    level = down[_length(down) < _lengths(on, across).T[down[:, 0], _middle(down)]]
    points = [_centres(steep), _centres(level)[:, ::-1]]
    return np.concatenate(points), np.concatenate([_greatest(mask, steep), _greatest(mask.T, level)])


def _runs(on: Bools) -> Whole:
    """Every run along a row (n, 3): its row, its first column and one past its last; in order."""
    edges = np.diff(np.pad(on, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    row, first = np.nonzero(edges == 1)
    return np.stack([row, first, np.nonzero(edges == -1)[1]], axis=1)


def _length(runs: Whole) -> Whole:
    return np.asarray(runs[:, 2] - runs[:, 1])


def _middle(runs: Whole) -> Whole:
    return np.asarray((runs[:, 1] + runs[:, 2] - 1) // 2)


def _centres(runs: Whole) -> Floats:
    """The middle of each run (n, 2), x and y."""
    return np.stack([(runs[:, 1] + runs[:, 2] - 1) / 2, runs[:, 0]], axis=1)


def _lengths(on: Bools, runs: Whole) -> Whole:
    """For each pixel the length of the run it lies in."""
    lengths = np.zeros(on.shape, np.int64)
    lengths[on] = np.repeat(_length(runs), _length(runs))
    return lengths


def _greatest(values: Floats, runs: Whole) -> Floats:
    """The greatest value in each run."""
    if not len(runs):
        return np.zeros(0)
    ends = runs[:, :1] * values.shape[1] + runs[:, 1:]
    return np.asarray(np.maximum.reduceat(np.append(values.ravel(), 0.0), ends.ravel())[::2])


def _doubled_angles(points: Floats) -> Floats:
    """Cosine and sine (n, 2) of twice the angle of the line through each point and its neighbours."""
    near = np.asarray(cKDTree(points).query(points, k=min(_AROUND, len(points)))[1])
    apart = points[near] - points[near].mean(axis=1, keepdims=True)
    xx, yy, xy = (apart[..., 0] ** 2).sum(1), (apart[..., 1] ** 2).sum(1), (apart[..., 0] * apart[..., 1]).sum(1)
    doubled = np.stack([xx - yy, 2 * xy], axis=1)
    return np.asarray(doubled / (np.linalg.norm(doubled, axis=1, keepdims=True) + 1e-9))


def _finite(output: Floats) -> Floats:
    values = output.astype(np.float64)
    if not np.isfinite(values).all():
        raise InvalidInput("lane: expected finite values from the network, got NaN or infinity")
    return values


def _local(logits: Floats) -> Floats:
    """Softmax over the best cell and its two neighbours alone, as UFLDv2 reads its places."""
    best = logits.argmax(axis=0)
    near = np.abs(np.arange(len(logits))[:, None, None] - best) <= 1
    return np.asarray(softmax(np.where(near, logits, -np.inf), axis=0))


def _moments(shares: Floats, places: AnyFloats) -> tuple[Floats, Floats]:
    """Mean and deviation over the first axis, the width of a cell included."""
    mean = np.tensordot(places, shares, axes=1)
    square = np.tensordot(places**2, shares, axes=1)
    return np.asarray(mean), np.sqrt(np.maximum(square - mean**2, 0) + 1 / 12)
