"""Which predicted lines are true ones, by CULane's official evaluation (Pan et al. 2018, ``lane_evaluation``).

A spline bends through the points of a line, which is drawn 30 px broad on an image of 1640 x 590; two lines match where
they share more than half of the pixels that either covers, one to one. Images of other sizes are scaled to that width.
"""

from collections.abc import Sequence

import numpy as np
from scipy.interpolate import CubicSpline

from models.arrays import Floats
from models.lane.strokes import Pixels, drawn
from models.records import Lane, Lanes

WIDTH = 1640  # pixels, of the images on which lines are drawn
SAME = 0.5  # a match shares more than this
_TIMES = 50  # places on the spline between two points
_EQUAL = 1e-2  # the official matching takes sums this close for equal
_REACH = 4  # image sizes beyond the image


def matches(predicted: Lanes, truth: Lanes) -> list[tuple[int, int]]:
    """Pairs (predicted, true) of lines that match; both label one image."""
    overlap = overlaps(predicted, truth)
    return [(i, j) for i, j in paired(overlap) if overlap[i, j] > SAME]


def overlaps(predicted: Lanes, truth: Lanes) -> Floats:
    """Intersection over union (predicted lines, true lines) of the drawn lines; 0 where both lie beyond the image."""
    both = np.zeros((len(predicted.lanes), len(truth.lanes)))
    if not both.size:
        return both
    ours, theirs = _drawn(predicted), _drawn(truth)
    for i, j in np.ndindex(both.shape):
        both[i, j] = ours[i].shared(theirs[j])
    either = _counts(ours)[:, None] + _counts(theirs)[None] - both
    return np.asarray(both / np.maximum(either, 1))


def polyline(lane: Lane, image: Lanes) -> Floats:
    """The points (n, 2) of a line in pixels; absurdly far ones are moved nearer, to be drawn at all."""
    size = np.array([image.width, image.height])
    return np.clip(np.array(lane.points, np.float64), -_REACH * size, (1 + _REACH) * size)


def curve(points: Floats) -> Floats:
    """Places along the natural cubic spline through points (n, 2), over the length between them; two stay a straight.

    Points that repeat the one before are left out; the official script divides by their distance.
    """
    points = points.astype(np.float32).astype(np.float64)  # as the official script reads them
    gaps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    at = np.append(0, np.cumsum(gaps))
    goes_on = np.diff(at) > 0  # one that is nearer than the length can be told repeats the one before, too
    points, at, gaps = points[np.append(True, goes_on)], at[np.append(True, goes_on)], gaps[goes_on]
    if len(points) <= 2:
        return points
    places = at[:-1, None] + gaps[:, None] * (np.arange(_TIMES) / _TIMES)
    return np.concatenate([CubicSpline(at, points, bc_type="natural")(places.ravel()), points[-1:]])


def paired(similarity: Floats) -> list[tuple[int, int]]:
    """The pairs (row, column), one to one, whose similarities sum to the most, as the official script finds them.

    That is Kuhn's method, which improves labels of rows and columns until each of the fewer kind has a partner; it
    takes sums within 0.01 for equal, so of nearly equal partners the first wins.
    """
    if similarity.shape[1] <= similarity.shape[0]:  # true lines look for predicted ones unless they are more
        return sorted((row, column) for row, column in enumerate(_partners(similarity.T.tolist())) if column >= 0)
    return sorted((row, column) for column, row in enumerate(_partners(similarity.tolist())) if row >= 0)


def _partners(weights: list[list[float]]) -> list[int]:
    """The row of each column, or -1; each of the rows, which are no more than the columns, has a column."""
    columns = range(len(weights[0]) if weights else 0)
    row_label, column_label = [max(row) for row in weights], [0.0 for _ in columns]
    partner = [-1 for _ in columns]

    def slack(row: int, column: int) -> float:
        return row_label[row] + column_label[column] - weights[row][column]

    def assigned(row: int, rows: set[int], seen: set[int]) -> bool:
        rows.add(row)
        for column in columns:
            if column not in seen and abs(slack(row, column)) < _EQUAL:
                seen.add(column)
                if partner[column] < 0 or assigned(partner[column], rows, seen):
                    partner[column] = row
                    return True
        return False

    for row in range(len(weights)):
        while True:
            rows: set[int] = set()
            seen: set[int] = set()
            if assigned(row, rows, seen):
                break
            least = min(slack(r, c) for r in rows for c in columns if c not in seen)
            for r in rows:
                row_label[r] -= least
            for c in seen:
                column_label[c] += least
    return partner


def _drawn(label: Lanes) -> list[Pixels]:
    scale = WIDTH / label.width
    height = max(1, round(label.height * scale))
    return [drawn(curve(polyline(lane, label) * scale), WIDTH, height) for lane in label.lanes]


def _counts(lines: Sequence[Pixels]) -> Floats:
    return np.array([line.count for line in lines], np.float64)
