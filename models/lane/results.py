"""What an evaluation tells of lanes: matched lines and near points of each image, and where lines are off."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.arrays import Bools, Floats
from models.figures import Meaning, Statistic, Statistics
from models.lane.metrics import TOLERANCE, LaneCounts, changes, count, distances, f1_of, points_along
from models.marks import Mark
from models.records import Label, Lanes, Prediction, require_kind
from models.reliability import Rows, interval
from models.report.charts import Chart, Column, Columns, Curve, Curves, Matrix, share_column

METRICS = {
    "f1": Meaning("CULane: harmonic mean of precision and recall of lines that match at IoU 0.5", "higher"),
    "f1_8px": Meaning("harmonic mean of the shares of predicted and of true line within 8 px of 512", "higher"),
    "tusimple_accuracy": Meaning("TuSimple: share of rows at which a line is right, mean over images", "higher"),
    "precision": Meaning("CULane: share of predicted lines that match", "higher"),
    "recall": Meaning("CULane: share of true lines that match", "higher"),
    "tusimple_fp": Meaning("TuSimple: share of predicted lines that are false, mean over images", "lower"),
    "tusimple_fn": Meaning("TuSimple: share of true lines that are missed, mean over images", "lower"),
    "f1_by_category": Meaning("CULane: f1 of the images that its lists put into a category", "higher"),
    "false_by_category": Meaning("CULane: lines said in a category that has none, as cross roads", "lower"),
}
MAX_PROBABILITY = "min_existence"
BANDS = 5  # of an image's height
FARTHEST = 25  # pixels of 512
ROUNDS = 200  # bootstrap samples of a chart


@dataclass(frozen=True)
class Results:
    """Images as a model labelled them and as they are; ``marks`` say more of them, where the data does."""

    predictions: Sequence[Prediction]
    truths: Sequence[Label]
    marks: Sequence[Mark | None] = ()

    @cached_property
    def columns(self) -> Mapping[str, NDArray[Any]]:
        """Counts of each image (n,), as they stand in ``items.parquet``.

        ``lanes_*`` are as a person would say, ``culane_*`` and ``tusimple_*`` as these benchmarks count, ``points_*``
        lie along the lines, evenly apart.
        """
        counts = self._counts
        right = np.array([changes(said, truth).kept for said, truth in self._labels], np.int64)
        lines = [(len(said.lanes), len(truth.lanes)) for said, truth in self._labels]
        said, true = np.array(lines, np.int64).reshape(-1, 2).T
        near = np.array([each.near for each in counts], np.int64).reshape(-1, 4)
        return {
            "lanes_right": right,
            "lanes_false": said - right,
            "lanes_missed": true - right,
            "culane_matched": np.array([each.matched for each in counts], np.int64),
            "culane_true": np.array([each.true for each in counts], np.int64),
            "points_said_near": near[:, 0],
            "points_said": near[:, 1],
            "points_true_near": near[:, 2],
            "points_true": near[:, 3],
            "tusimple_accuracy": np.array([each.tusimple.accuracy for each in counts], np.float64),
            "tusimple_fp": np.array([each.tusimple.false for each in counts], np.float64),
            "tusimple_fn": np.array([each.tusimple.missed for each in counts], np.float64),
        }

    @property
    def mistakes(self) -> NDArray[np.int64]:
        """Lines to draw, to remove or to move (n,)."""
        return np.asarray(np.maximum(self.columns["lanes_false"], self.columns["lanes_missed"]))

    @property
    def quality(self) -> float:
        """The F1 at 8 px: smoother on few images than matching whole lines."""
        return self._f1_8px(np.arange(len(self.truths)))

    def statistics(self) -> Statistics:
        c = self.columns
        said, true = c["lanes_right"] + c["lanes_false"], c["culane_true"]

        def f1(rows: Rows) -> float:
            return f1_of(_share(c["culane_matched"], said, rows), _share(c["culane_matched"], true, rows))

        def within(shown: Bools, statistic: Statistic) -> Statistic:
            return lambda rows: statistic(rows[shown[rows]]) if shown[rows].any() else None

        return {
            "f1": f1,
            "f1_8px": self._f1_8px,
            "tusimple_accuracy": _mean(c["tusimple_accuracy"]),
            "precision": lambda rows: _share(c["culane_matched"], said, rows),
            "recall": lambda rows: _share(c["culane_matched"], true, rows),
            "tusimple_fp": _mean(c["tusimple_fp"]),
            "tusimple_fn": _mean(c["tusimple_fn"]),
            "f1_by_category": {
                name: within(shown, f1) for name, shown in self._categories.items() if true[shown].any()
            },
            "false_by_category": {
                name: within(shown, lambda rows: float(said[rows].sum()))
                for name, shown in self._categories.items()
                if not true[shown].any()
            },
        }

    def charts(self) -> list[Chart]:
        return [self._distances(), self._missed_by_height(), self._found(), self._error_by_lines()]

    @cached_property
    def _counts(self) -> list[LaneCounts]:
        marks = self.marks or [None] * len(self.truths)
        return [count(*pair, mark) for pair, mark in zip(self._labels, marks, strict=True)]

    @property
    def _categories(self) -> dict[str, Bools]:
        """Which images (n,) are of each category."""
        names = np.array([each.category or "" for each in self._counts], np.str_)
        return {name: names == name for name in sorted(set(names.tolist()) - {""})}

    @cached_property
    def _labels(self) -> list[tuple[Lanes, Lanes]]:
        return [
            (require_kind(p.label, Lanes), require_kind(truth, Lanes))
            for p, truth in zip(self.predictions, self.truths, strict=True)
        ]

    @cached_property
    def _apart(self) -> list[tuple[Floats, Floats]]:
        """Of each image, points (p, 2) along its true lines and how far (p,) each is from a predicted one."""
        return [_away(truth, said) for said, truth in self._labels]

    def _f1_8px(self, rows: Rows) -> float:
        c = self.columns
        precision = _share(c["points_said_near"], c["points_said"], rows)
        return f1_of(precision, _share(c["points_true_near"], c["points_true"], rows))

    def _distances(self) -> Curves:
        curves = []
        for name, pairs in (
            ("true line, to what was said", self._apart),
            ("what was said, to a true line", [_away(said, truth) for said, truth in self._labels]),
        ):
            widths = [truth.width for _, truth in self._labels]
            away = np.concatenate([far * 512 / width for (_, far), width in zip(pairs, widths, strict=True)])
            at = np.arange(0, FARTHEST + 0.01, 0.5)
            if len(away):
                within = np.searchsorted(np.sort(away), at, side="right") / len(away)
                curves.append(Curve(name, tuple(zip(at.tolist(), within.tolist(), strict=True))))
        note = "share of all line that lies within a distance of a line of the other side"
        return Curves("Distance", note, "pixels of a 512 px wide image", "share within", tuple(curves), x_most=FARTHEST)

    def _missed_by_height(self) -> Columns:
        shape = len(self._labels), BANDS
        missed, every = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        for row, ((points, far), (_, truth)) in enumerate(zip(self._apart, self._labels, strict=True)):
            band = np.clip((1 - points[:, 1] / truth.height) * BANDS, 0, BANDS - 1).astype(int)
            np.add.at(every[row], band, 1)
            np.add.at(missed[row], band, far > TOLERANCE * truth.width)
        names = [f"{100 * i // BANDS}–{100 * (i + 1) // BANDS} %" for i in range(BANDS)]
        columns = [_of_points(name, missed[:, i], every[:, i]) for i, name in enumerate(names) if every[:, i].any()]
        note = "true line farther than 8 px of 512 from any that was said"
        return Columns("Missed by distance", note, "above the bottom of the image", "missed", tuple(columns))

    def _found(self) -> Matrix:
        pairs = [(len(truth.lanes), len(said.lanes)) for said, truth in self._labels]
        most = max(max(pair) for pair in pairs)
        counts = np.zeros((most + 1, most + 1), np.int64)
        np.add.at(counts, tuple(np.array(pairs).T), 1)
        rows = sorted({true for true, _ in pairs})
        names = tuple(map(str, range(most + 1)))
        note = "images by the number of true lines (rows) and of lines handed out (columns)"
        return Matrix("Lines", note, tuple(map(str, rows)), names, tuple(tuple(counts[row].tolist()) for row in rows))

    def _error_by_lines(self) -> Columns:
        lines = np.array([len(truth.lanes) for _, truth in self._labels])
        columns = [
            share_column(str(number), int((self.mistakes[lines == number] > 0).sum()), int((lines == number).sum()))
            for number in np.unique(lines).tolist()
        ]
        note = "images in which a person would change a line"
        return Columns("Error by lines", note, "true lines in the image", "wrong", tuple(columns))


def _away(lines: Lanes, others: Lanes) -> tuple[Floats, Floats]:
    """Points (p, 2) along lines and the distance (p,) of each to the nearest of some others."""
    points = np.concatenate([np.zeros((0, 2)), *(points_along(lane, lines) for lane in lines.lanes)])
    far = [distances(points, lane) for lane in others.lanes] or [np.full(len(points), np.inf)]
    return points, np.asarray(np.min(far, axis=0))


def _of_points(name: str, missed: NDArray[np.int64], every: NDArray[np.int64]) -> Column:
    """A share of points, whose neighbours in one image are not independent: images are drawn."""

    def share(some: NDArray[np.int64], all_of_them: NDArray[np.int64]) -> float | None:
        return float(some.sum() / all_of_them.sum()) if all_of_them.any() else None

    between = interval(share, missed, every, rng=np.random.default_rng(0), rounds=ROUNDS)
    value = float(missed.sum() / every.sum())
    return Column(name, value, between or (value, value), int(every.sum()))


def _mean(values: Floats) -> Statistic:
    return lambda rows: float(values[rows].mean())


def _share(part: NDArray[Any], whole: NDArray[Any], rows: Rows) -> float:
    total = whole[rows].sum()
    return float(part[rows].sum() / total) if total else 1.0
