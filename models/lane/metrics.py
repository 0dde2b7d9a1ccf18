"""How well lines are found: CULane's F1, and the F1 of points within 8 px of a 512 px wide image.

CULane (Pan et al. 2018, official ``evaluate``): each line is drawn 30 px wide on a 1640 px wide image; a predicted
and a true line match where the IoU of their drawings is at least 0.5, one to one, so that the sum of IoUs is largest;
precision and recall come from totals over all images. The width is scaled with the image. The official script bends
a spline through the points; here the points are joined by straight segments, which real labels are dense enough for.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy.optimize import linear_sum_assignment

from models.errors import InvalidInput
from models.records import Label, Lane, Lanes

Array = NDArray[np.float64]

LINE_SHARE = 30 / 1640  # drawn width over image width
SAME = 0.5  # IoU of a match
MOSTLY = 0.9  # of a line's length: as much must be right for nobody to change it
TOLERANCE = 8 / 512  # of the image width
_STEP = 4 / 512  # of the image width, between the points at which lines are compared
_DRAWN = 1024  # pixels of the longer side of the drawings, whatever the image's: fine enough that rounding is nothing


@dataclass(frozen=True)
class LaneMetrics:
    """Over ``n`` images: CULane's F1 with its precision and recall, and the F1 of points at 8 px of 512.

    ``f1_8px`` joins precision, the share of predicted line within the tolerance of any true line, and recall, the
    share of true line within the tolerance of any predicted one; both over the length of all lines.
    """

    f1: float
    precision: float
    recall: float
    f1_8px: float
    n: int

    @property
    def quality(self) -> float:
        """The F1 at 8 px: smoother on few images than matching whole lines."""
        return self.f1_8px


def measure(pairs: Iterable[tuple[Label, Label]]) -> LaneMetrics:
    """The metrics over (predicted, truth); without any line, predicted or true, everything is right: 1.0."""
    matched = predicted_lines = true_lines = n = 0
    near = np.zeros(4)  # predicted points near, all; true points near, all
    for predicted, truth in pairs:
        ours, theirs = _lanes(predicted), _lanes(truth)
        matched += len(matches(ours, theirs))
        predicted_lines += len(ours.lanes)
        true_lines += len(theirs.lanes)
        near += _near(ours, theirs)
        n += 1
    precision, recall = _share(matched, predicted_lines), _share(matched, true_lines)
    f1_8px = _f1(_share(near[0], near[1]), _share(near[2], near[3]))
    return LaneMetrics(_f1(precision, recall), precision, recall, f1_8px, n)


def differs(predicted: Label, truth: Label) -> bool:
    """Whether a person would change something: a line missed, false, or off by more than 8 px of 512.

    Every line must have its counterpart, one to one: at least ``MOSTLY`` of the length of each within that distance
    of the other. CULane's IoU is no judge of this: at 512 px it already fails at 3 px.
    """
    ours, theirs = _lanes(predicted), _lanes(truth)
    _require_same_size(ours, theirs)
    if len(ours.lanes) != len(theirs.lanes):
        return True
    agreement = agreements(ours, theirs)
    rows, columns = linear_sum_assignment(-agreement)
    return bool((agreement[rows, columns] < MOSTLY).any())


def agreements(predicted: Lanes, truth: Lanes) -> Array:
    """Share (predicted lines, true lines) of the length that lies within 8 px of 512 of the other, the lesser way."""
    tolerance, step = TOLERANCE * truth.width, _STEP * truth.width
    shares = np.zeros((len(predicted.lanes), len(truth.lanes)))
    for i, one in enumerate(predicted.lanes):
        for j, other in enumerate(truth.lanes):
            both = [(_inside(_points(one, step), truth), other), (_inside(_points(other, step), truth), one)]
            shares[i, j] = min(_share(_within(points, [lane], tolerance), len(points)) for points, lane in both)
    return shares


def matches(predicted: Lanes, truth: Lanes) -> list[tuple[int, int]]:
    """Pairs (predicted, true) of lines that match by CULane's rule."""
    _require_same_size(predicted, truth)
    overlap = overlaps(predicted, truth)
    rows, columns = linear_sum_assignment(-overlap)
    return [(int(i), int(j)) for i, j in zip(rows, columns, strict=True) if overlap[i, j] >= SAME]


def overlaps(predicted: Lanes, truth: Lanes) -> Array:
    """IoU (predicted lines, true lines) of lines drawn ``LINE_SHARE`` of the image wide."""
    ours, theirs = (np.array([_drawn(lane, lanes) for lane in lanes.lanes]) for lanes in (predicted, truth))
    if not len(ours) or not len(theirs):
        return np.zeros((len(ours), len(theirs)))
    first, second = (drawn.reshape(len(drawn), -1).astype(np.float32) for drawn in (ours, theirs))
    both = (first @ second.T).astype(np.float64)
    either = first.sum(axis=1)[:, None] + second.sum(axis=1)[None] - both
    return np.asarray(both / np.maximum(either, 1))


def distances(points: Array, lane: Lane) -> Array:
    """Distance (n,) in pixels of points (n, 2) to the nearest place on a line."""
    line = np.array(lane.points)
    start, along = line[:-1], np.diff(line, axis=0)
    square = np.maximum((along**2).sum(axis=1), 1e-12)
    away = points[:, None] - start[None]  # (points, segments, 2)
    share = np.clip((away * along).sum(axis=2) / square, 0, 1)
    return np.asarray(np.sqrt(((away - share[..., None] * along) ** 2).sum(axis=2).min(axis=1)))


def _drawn(lane: Lane, lanes: Lanes) -> NDArray[np.bool_]:
    scale = _DRAWN / max(lanes.width, lanes.height)
    size = math.ceil(lanes.width * scale), math.ceil(lanes.height * scale)
    picture = Image.new("1", size)
    points = [(x * scale, y * scale) for x, y in lane.points]
    wide = max(1, round(LINE_SHARE * lanes.width * scale))
    ImageDraw.Draw(picture).line(points, fill=1, width=wide, joint="curve")
    return np.asarray(picture)


def _near(predicted: Lanes, truth: Lanes) -> Array:
    width = truth.width
    ours, theirs = (
        [_inside(_points(lane, _STEP * width), truth) for lane in lanes.lanes] for lanes in (predicted, truth)
    )
    counts = []
    for points, others in ((ours, truth.lanes), (theirs, predicted.lanes)):
        counts += [sum(_within(each, others, TOLERANCE * width) for each in points), sum(map(len, points))]
    return np.array(counts, dtype=np.float64)


def _inside(points: Array, image: Lanes) -> Array:
    """The points that lie in the image; labels may go on beyond it."""
    return points[((points >= 0) & (points <= (image.width, image.height))).all(axis=1)]


def _within(points: Array, lanes: Sequence[Lane], tolerance: float) -> int:
    if not lanes or not len(points):
        return 0
    return int((np.min([distances(points, lane) for lane in lanes], axis=0) <= tolerance).sum())


def _points(lane: Lane, step: float) -> Array:
    """Points about ``step`` pixels apart along a line, its ends included."""
    line = np.array(lane.points)
    along = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
    at = np.linspace(0, along[-1], max(2, math.ceil(along[-1] / step) + 1))
    return np.stack([np.interp(at, along, line[:, 0]), np.interp(at, along, line[:, 1])], axis=1)


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole else 1.0


def _f1(precision: float, recall: float) -> float:
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _lanes(label: Label) -> Lanes:
    if not isinstance(label, Lanes):
        raise InvalidInput(f"lane metrics: expected lanes, got {type(label).__name__}")
    return label


def _require_same_size(predicted: Lanes, truth: Lanes) -> None:
    if (predicted.width, predicted.height) != (truth.width, truth.height):
        sizes = f"{truth.width}x{truth.height}, got {predicted.width}x{predicted.height}"
        raise InvalidInput(f"lane metrics: expected a prediction for an image of {sizes}")
