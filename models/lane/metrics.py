"""How well lines are found: CULane's F1, TuSimple's accuracy, and the F1 of points within 8 px of a 512 px wide image.

``culane_matching`` and ``tusimple_accuracy`` follow the official scripts; each scales with the image.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import repeat

import numpy as np
from scipy.optimize import linear_sum_assignment

from models.arrays import Floats
from models.changes import Changes
from models.errors import InvalidInput
from models.lane import tusimple_accuracy
from models.lane.culane_matching import matches, polyline
from models.lane.tusimple_accuracy import FrameScore
from models.marks import CulaneImage, Mark, TusimpleFrame
from models.matters import ANYTHING, Matters
from models.parts import PartErrors
from models.polylines import spaced
from models.records import Label, Lane, Lanes, require_kind

MOSTLY = 0.9  # of a line's length: as much must be right for nobody to change it
SAME_LINE = 0.2  # of a line's length: a wrong line that is right for as much is moved, not drawn anew
TOLERANCE = 8 / 512  # of the image width: a point farther off is a mistake, and a person moves it
_STEP = 4 / 512  # of the image width, between the points at which lines are compared


@dataclass(frozen=True)
class LaneMetrics:
    """Over ``n`` images: CULane's F1, precision and recall, the F1 of points at 8 px of 512, and TuSimple's means.

    ``f1_8px`` joins precision, the share of predicted line within the tolerance of any true line, and recall, the
    share of true line within the tolerance of any predicted one; both over the length of all lines.
    ``f1_by_category`` is of the categories that images were said to be of. One without any true line, as CULane's
    cross roads, has no F1: its false lines are counted in ``false_by_category``.
    """

    f1: float
    precision: float
    recall: float
    f1_8px: float
    tusimple_accuracy: float
    tusimple_fp: float
    tusimple_fn: float
    f1_by_category: dict[str, float]
    false_by_category: dict[str, int]
    n: int

    @property
    def quality(self) -> float:
        """The F1 at 8 px: smoother on few images than matching whole lines."""
        return self.f1_8px


@dataclass(frozen=True)
class LaneCounts:
    """What one image adds: lines that match by CULane's rule, and points along lines near one of the other side."""

    matched: int
    predicted: int
    true: int
    near: tuple[int, int, int, int]  # points of predicted lines near a true one, all of them; the same of true lines
    tusimple: FrameScore
    category: str | None = None


def measure(pairs: Iterable[tuple[Label, Label]], marks: Iterable[Mark | None] | None = None) -> LaneMetrics:
    """The metrics over (predicted, truth); without any line, predicted or true, everything is right: 1.0.

    Args:
        pairs: labels of the same image.
        marks: what CULane and TuSimple say of each image beside its label.

    Raises:
        InvalidInput: a label that is no lanes, or a prediction for an image of another size.
    """
    marked = zip(pairs, repeat(None)) if marks is None else zip(pairs, marks, strict=True)
    return total([count(predicted, truth, mark) for (predicted, truth), mark in marked])


def count(predicted: Label, truth: Label, mark: Mark | None = None) -> LaneCounts:
    """What one image adds to the metrics."""
    ours, theirs = require_kind(predicted, Lanes), require_kind(truth, Lanes)
    _require_same_size(ours, theirs)
    culane = mark if isinstance(mark, CulaneImage) else CulaneImage()
    return LaneCounts(
        matched=len(matches(ours, theirs)),
        predicted=len(ours.lanes),
        true=len(theirs.lanes) + culane.dots,
        near=_near(ours, theirs),
        tusimple=tusimple_accuracy.score(ours, theirs, mark if isinstance(mark, TusimpleFrame) else None),
        category=culane.category,
    )


def total(counts: Sequence[LaneCounts]) -> LaneMetrics:
    """The metrics of these images together."""
    n = len(counts)
    near = [sum(each.near[i] for each in counts) for i in range(4)]
    groups: dict[str, list[LaneCounts]] = {}
    for each in counts:
        if each.category is not None:
            groups.setdefault(each.category, []).append(each)
    precision, recall = _precision_and_recall(counts)
    return LaneMetrics(
        f1=f1_of(precision, recall),
        precision=precision,
        recall=recall,
        f1_8px=f1_of(_share(near[0], near[1]), _share(near[2], near[3])),
        tusimple_accuracy=_share(sum(each.tusimple.accuracy for each in counts), n),
        tusimple_fp=sum(each.tusimple.false for each in counts) / max(1, n),
        tusimple_fn=sum(each.tusimple.missed for each in counts) / max(1, n),
        f1_by_category={
            k: f1_of(*_precision_and_recall(v)) for k, v in sorted(groups.items()) if any(c.true for c in v)
        },
        false_by_category={
            k: sum(c.predicted for c in v) for k, v in sorted(groups.items()) if not any(c.true for c in v)
        },
        n=n,
    )


def differs(predicted: Label, truth: Label, matters: Matters = ANYTHING) -> bool:
    """Whether a person would change something: a line missed, false, or off by more than 8 px of 512, or what matters.

    Every line must have its counterpart, one to one: at least ``MOSTLY`` of the length of each within that distance
    of the other. CULane's IoU is no judge of this: at 512 px it already fails at 3 px.
    """
    ours, theirs = require_kind(predicted, Lanes), require_kind(truth, Lanes)
    _require_same_size(ours, theirs)
    if len(ours.lanes) != len(theirs.lanes):
        return True
    agreement = agreements(ours, theirs, matters.lane_px / 512)
    rows, columns = linear_sum_assignment(-agreement)
    return bool((agreement[rows, columns] < MOSTLY).any())


def part_errors(predicted: Label, truth: Label, matters: Matters = ANYTHING) -> PartErrors:
    """Which lines are false or off by more than matters, and how many lines none stands for, not even a wrong one.

    Lines are paired one to one so that they agree best. A wrong line stands for the true one that it is paired with if
    any of its length lies within that distance.
    """
    ours, theirs = require_kind(predicted, Lanes), require_kind(truth, Lanes)
    _require_same_size(ours, theirs)
    agreement = agreements(ours, theirs, matters.lane_px / 512)
    rows, columns = linear_sum_assignment(-agreement)
    wrong = np.ones(len(ours.lanes), np.bool_)
    wrong[rows] = agreement[rows, columns] < MOSTLY
    found = {int(row): int(column) for row, column in zip(rows, columns, strict=True) if agreement[row, column] > 0}
    stands_for = tuple((found[row],) if row in found else () for row in range(len(wrong)))
    return PartErrors(wrong, len(theirs.lanes) - len(found), stands_for)


def changes(shown: Label, given: Label) -> Changes:
    """The lines that a person leaves, moves, takes away, and draws."""
    ours, theirs = require_kind(shown, Lanes), require_kind(given, Lanes)
    _require_same_size(ours, theirs)
    agreement = agreements(ours, theirs)
    matched = agreement[linear_sum_assignment(-agreement)]
    kept, same = int((matched >= MOSTLY).sum()), int((matched >= SAME_LINE).sum())
    return Changes(kept, same - kept, removed=len(ours.lanes) - same, added=len(theirs.lanes) - same)


def agreements(predicted: Lanes, truth: Lanes, tolerance_share: float = TOLERANCE) -> Floats:
    """Share (predicted lines, true lines) of the length that lies within 8 px of 512 of the other, the lesser way.

    Or within another ``tolerance_share`` of the image's width.
    """
    tolerance = tolerance_share * truth.width
    shares = np.zeros((len(predicted.lanes), len(truth.lanes)))
    for i, one in enumerate(predicted.lanes):
        for j, other in enumerate(truth.lanes):
            both = [(points_along(one, truth), other), (points_along(other, truth), one)]
            shares[i, j] = min(_share(_within(points, [lane], tolerance), len(points)) for points, lane in both)
    return shares


def distances(points: Floats, lane: Lane) -> Floats:
    """Distance (n,) in pixels of points (n, 2) to the nearest place on a line."""
    places, _ = onto(points, lane)
    return np.asarray(np.linalg.norm(places - points[:, None], axis=2).min(axis=1))


def onto(points: Floats, lane: Lane) -> tuple[Floats, Floats]:
    """Of points (n, 2) and a line of m + 1 points: the place on each of its stretches that is nearest to each point
    (n, m, 2), and the share of the stretch's length at which the point lies beside it (n, m), below 0 before its start
    and above 1 beyond its end."""
    line = np.array(lane.points, np.float64)
    start, along = line[:-1], np.diff(line, axis=0)
    share = ((points[:, None] - start) * along).sum(axis=2) / np.maximum((along**2).sum(axis=1), 1e-12)
    return start + share.clip(0, 1)[..., None] * along, share


def _near(predicted: Lanes, truth: Lanes) -> tuple[int, int, int, int]:
    ours, theirs = ([points_along(lane, label) for lane in label.lanes] for label in (predicted, truth))
    tolerance = TOLERANCE * truth.width
    return (
        sum(_within(each, truth.lanes, tolerance) for each in ours),
        sum(map(len, ours)),
        sum(_within(each, predicted.lanes, tolerance) for each in theirs),
        sum(map(len, theirs)),
    )


def _precision_and_recall(counts: Sequence[LaneCounts]) -> tuple[float, float]:
    matched = sum(each.matched for each in counts)
    return _share(matched, sum(each.predicted for each in counts)), _share(matched, sum(each.true for each in counts))


def _within(points: Floats, lanes: Sequence[Lane], tolerance: float) -> int:
    if not lanes or not len(points):
        return 0
    return int((np.min([distances(points, lane) for lane in lanes], axis=0) <= tolerance).sum())


def points_along(lane: Lane, image: Lanes) -> Floats:
    """Points (n, 2) along a line, ``_STEP`` apart, its ends included, as far as they lie within the image."""
    points = spaced(polyline(lane, image), _STEP * image.width)
    return points[((points >= 0) & (points <= (image.width, image.height))).all(axis=1)]


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole else 1.0


def f1_of(precision: float, recall: float) -> float:
    """Their harmonic mean, 0 where both are."""
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _require_same_size(predicted: Lanes, truth: Lanes) -> None:
    if (predicted.width, predicted.height) != (truth.width, truth.height):
        sizes = f"{truth.width}x{truth.height}, got {predicted.width}x{predicted.height}"
        raise InvalidInput(f"lane metrics: expected a prediction for an image of {sizes}")
