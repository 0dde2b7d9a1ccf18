"""What an evaluation tells of detection: matched boxes of each image, the metrics from them, and what goes wrong."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.arrays import Bools, Floats
from models.detection import kitti_ap, voc_ap
from models.detection.coco_ap import IOUS, MATCHED_AT_50, Matches, compare
from models.detection.metrics import by_category, counted, d_ece, laece, match
from models.detection.sampled_ap import Ranked, of_category, rank
from models.drawing.shapes import hue
from models.figures import Meaning, Statistic, Statistics
from models.marks import Ignored, KittiFrame, Mark
from models.records import Box, Boxes, Label, Prediction, require_kind
from models.reliability import Rows
from models.report.charts import Chart, Columns, Curve, Curves, Matrix, binned, thinned

METRICS = {
    "ap": Meaning("average precision, mean over IoU 0.50 to 0.95 and over categories", "higher"),
    "ap50": Meaning("average precision at IoU 0.5, mean over categories", "higher"),
    "ap75": Meaning("average precision at IoU 0.75, mean over categories", "higher"),
    "ap50_by_category": Meaning("average precision at IoU 0.5", "higher"),
    "f1": Meaning("harmonic mean of precision and recall", "higher"),
    "precision": Meaning("share of the boxes handed out that are right, at IoU 0.5", "higher"),
    "recall": Meaning("share of the true boxes that are handed out, at IoU 0.5", "higher"),
    "voc_ap": Meaning("Pascal VOC 2010: average precision at IoU 0.5, mean over categories", "higher"),
    "voc_ap_by_category": Meaning("Pascal VOC 2010: average precision at IoU 0.5", "higher"),
    "kitti_ap40": Meaning("KITTI: average precision at 40 recalls, of KITTI's own labels", "higher"),
    "d_ece": Meaning("gap between confidence and precision of the boxes handed out, at IoU 0.5", "lower"),
    "laece": Meaning("gap between confidence and IoU of the boxes handed out, mean over categories", "lower"),
}
MAX_PROBABILITY = "min_confidence"
NOTHING, OTHERS = "(nothing)", "(others)"
SIZES = (0, 16, 32, 64, 128, 256)  # pixels
MOST_CATEGORIES = 9  # in a chart, the commonest ones


@dataclass(frozen=True)
class _Given:
    """The d boxes of one category that were handed out for n images.

    ``image`` (d,) is the row of each box's image, ``right`` (d,) whether it matches at IoU 0.5, ``overlap`` (d,) its
    IoU with the true box that it touches, ``truths`` (n,) the number of true boxes. ``left_out`` (d,) marks boxes that
    match something ignored at IoU 0.5, ``left_out_of_all`` (d,) those that touch it.
    """

    image: NDArray[np.intp]
    confidence: Floats
    right: Bools
    overlap: Floats
    truths: NDArray[np.int64]
    left_out: Bools
    left_out_of_all: Bools

    def sampled(self, weights: NDArray[np.int64], left_out: Bools) -> NDArray[np.intp]:
        """The boxes of a sample in which image i is ``weights[i]`` times, but for some."""
        return np.repeat(np.arange(len(self.image)), weights[self.image] * ~left_out)


@dataclass(frozen=True)
class Results:
    """Images as a model labelled them and as they are; ``marks`` say what does not count, where the data says so."""

    predictions: Sequence[Prediction]
    truths: Sequence[Label]
    marks: Sequence[Mark | None] = ()

    @cached_property
    def columns(self) -> Mapping[str, NDArray[Any]]:
        """Counts of each image (n,), as they stand in ``items.parquet``."""
        right = np.array([sum(is_right for _, is_right in said) for said, _ in self._matched], np.int64)
        false = np.array([len(said) for said, _ in self._matched], np.int64) - right
        missed = np.array([sum(not is_found for _, is_found in true) for _, true in self._matched], np.int64)
        return {"boxes_right": right, "boxes_false": false, "boxes_missed": missed}

    @property
    def mistakes(self) -> NDArray[np.int64]:
        """Boxes that are false or missed (n,)."""
        return np.asarray(self.columns["boxes_false"] + self.columns["boxes_missed"])

    @property
    def quality(self) -> float:
        """Average precision at IoU 0.5; with nothing to find, 1 if nothing is handed out, else 0."""
        found = self._mean_precision(slice(None), slice(0, 1))(np.arange(len(self.truths)))
        return float(not self.columns["boxes_false"].any()) if found is None else found

    def statistics(self) -> Statistics:
        right, false, missed = self.columns.values()

        def share(weight: int, *wrong: NDArray[np.int64]) -> Statistic:
            def statistic(rows: Rows) -> float:
                hits, others = weight * right[rows].sum(), sum(counts[rows].sum() for counts in wrong)
                return float(hits / (hits + others)) if hits + others else 1.0

            return statistic

        return {
            "ap": self._mean_precision(slice(None), slice(None)),
            "ap50": self._mean_precision(slice(None), slice(0, 1)),
            "ap75": self._mean_precision(slice(None), slice(5, 6)),
            "ap50_by_category": {
                name: self._mean_precision(slice(index, index + 1), slice(0, 1))
                for index, (name, ranked) in enumerate(self._ranked.items())
                if ranked.truths.any()
            },
            "voc_ap": self._voc_mean,
            "voc_ap_by_category": {
                name: partial(self._precision_of, found) for name, found in self._voc.items() if found.truths.any()
            },
            "kitti_ap40": {name: partial(self._precision_of, ranked) for name, ranked in self._kitti.items()},
            "f1": share(2, false, missed),
            "precision": share(1, false),
            "recall": share(1, missed),
            "d_ece": self._d_ece,
            "laece": self._laece,
        }

    def charts(self) -> list[Chart]:
        said = [one for said, _ in self._matched for one in said]
        true = [one for _, true in self._matched for one in true]
        missed = binned([_size(box) for box, _ in true], [not found for _, found in true], SIZES)
        false = binned([_size(box) for box, _ in said], [not right for _, right in said], SIZES)
        size = "side of the box, pixels"
        return [
            self._precision_recall(),
            self._confusion(),
            Columns("Missed by size", "true boxes that no box handed out matches", size, "missed", missed),
            Columns("False by size", "boxes handed out that match no true one", size, "false", false),
        ]

    @cached_property
    def _labels(self) -> list[tuple[Boxes, Boxes]]:
        """(handed out, true) of each image, without what does not count."""
        triples = zip(self.predictions, self._true, self._ignored, strict=True)
        return [(counted(require_kind(one.label, Boxes), true, left_out), true) for one, true, left_out in triples]

    @cached_property
    def _true(self) -> list[Boxes]:
        return [require_kind(truth, Boxes) for truth in self.truths]

    @cached_property
    def _ignored(self) -> list[Ignored]:
        return [_left_out(mark) for mark in self.marks or [None] * len(self.truths)]

    @cached_property
    def _candidates(self) -> list[tuple[Box, ...]]:
        """All boxes of each image, faint ones too: average precision looks at them."""
        return [(*require_kind(said.label, Boxes).boxes, *said.faint) for said in self.predictions]

    def rights(self) -> dict[str, tuple[Floats, Bools]]:
        """By category all boxes that count, faint ones too: the confidence of each, whether it is right at IoU 0.5."""
        every = zip(self._candidates, self._true, self._ignored, strict=True)
        counting = ((counted(replace(truth, boxes=boxes), truth, left_out), truth) for boxes, truth, left_out in every)
        said = [one for boxes, truth in counting for one in _matches(boxes.boxes, truth.boxes)[0]]
        found: dict[str, list[tuple[float, bool]]] = defaultdict(list)
        for box, right in said:
            found[box.category].append((box.confidence, right))
        return {
            name: (np.array([p for p, _ in each]), np.array([right for _, right in each]))
            for name, each in sorted(found.items())
        }

    @cached_property
    def _matched(self) -> list[tuple[list[tuple[Box, bool]], list[tuple[Box, bool]]]]:
        """The boxes handed out, each with whether it is right, and the true ones, each with whether it was found."""
        return [_matches(said.boxes, truth.boxes) for said, truth in self._labels]

    @cached_property
    def _ranked(self) -> dict[str, Ranked]:
        truths = [truth.boxes for _, truth in self._labels]
        return dict(rank([compare(*each) for each in zip(self._candidates, truths, self._ignored, strict=True)]))

    @cached_property
    def _voc(self) -> dict[str, voc_ap.Outcomes]:
        truths, difficult = [truth.boxes for _, truth in self._labels], [each.objects for each in self._ignored]
        return voc_ap.judged([*zip(self._candidates, truths, difficult, strict=True)])

    @cached_property
    def _kitti(self) -> dict[str, kitti_ap.Ranked]:
        """What KITTI's labels ask for, by category and difficulty; images of other data sets hold nothing to find."""
        seen = zip(self._candidates, self.marks, strict=bool(self.marks))
        frames: list[kitti_ap.Frame] = [
            (said, mark.objects) if isinstance(mark, KittiFrame) else ((), ()) for said, mark in seen
        ]
        found = {
            f"{category} {level}": kitti_ap.rank(frames, category, level)
            for category in kitti_ap.LEAST_OVERLAP
            for level in kitti_ap.DIFFICULTIES
            if any(objects for _, objects in frames)
        }
        return {name: ranked for name, ranked in found.items() if ranked.truths.any()}

    @property
    def _commonest(self) -> dict[str, str]:
        """The categories with most true boxes, in the order of their names; each stands for itself."""
        order = sorted(self._ranked, key=lambda name: (-self._ranked[name].truths.sum(), name))
        return {name: name for name in sorted(order[:MOST_CATEGORIES])}

    @cached_property
    def _given(self) -> list[_Given]:
        """The boxes handed out, by category."""
        said = [require_kind(one.label, Boxes).boxes for one in self.predictions]
        truths = [truth.boxes for _, truth in self._labels]
        images = [compare(*each) for each in zip(said, truths, self._ignored, strict=True)]
        return [_given(images, name) for name in sorted({name for image in images for name in image})]

    @cached_property
    def _precisions(self) -> dict[bytes, Floats]:
        """Average precision (categories, ious) of the samples seen so far: every metric looks at the same ones."""
        return {}

    def _precision(self, rows: Rows) -> Floats:
        sample = hashlib.blake2b(rows.tobytes()).digest()
        if sample not in self._precisions:
            weights = self._times(rows)
            found = [ranked.average_precision(weights) for ranked in self._ranked.values()]
            self._precisions[sample] = np.array(found).reshape(-1, len(IOUS))
        return self._precisions[sample]

    def _mean_precision(self, categories: slice, ious: slice) -> Statistic:
        """The mean over categories that occur; None where none does."""

        def statistic(rows: Rows) -> float | None:
            found = self._precision(rows)[categories, ious]
            known = found[~np.isnan(found)]
            return float(known.mean()) if len(known) else None

        return statistic

    def _times(self, rows: Rows) -> Floats:
        """How often each image is in a sample."""
        return np.bincount(rows, minlength=len(self.truths)).astype(np.float64)

    def _precision_of(self, found: voc_ap.Outcomes | kitti_ap.Ranked, rows: Rows) -> float | None:
        return found.average_precision(self._times(rows))

    def _voc_mean(self, rows: Rows) -> float | None:
        """The mean over categories that occur; None where none does."""
        known = [value for found in self._voc.values() if (value := self._precision_of(found, rows)) is not None]
        return float(np.mean(known)) if known else None

    def _d_ece(self, rows: Rows) -> float | None:
        weights = np.bincount(rows, minlength=len(self.truths))
        sampled = [(given, given.sampled(weights, given.left_out)) for given in self._given]
        said = [given.confidence[boxes] for given, boxes in sampled]
        right = [given.right[boxes] for given, boxes in sampled]
        return d_ece(np.concatenate([[], *said]), np.concatenate([[], *right]))

    def _laece(self, rows: Rows) -> float | None:
        weights = np.bincount(rows, minlength=len(self.truths))
        known = [given for given in self._given if weights @ given.truths]
        sampled = [(given, given.sampled(weights, given.left_out_of_all)) for given in known]
        return laece((given.confidence[boxes], given.overlap[boxes]) for given, boxes in sampled)

    def _precision_recall(self) -> Curves:
        every, curves = np.ones(len(self.truths)), []
        for name in self._commonest:
            if (ranked := self._ranked[name]).truths.any():
                recall, precision = (values[0].tolist() for values in ranked.curves(every))
                points = thinned([*zip(recall, precision, strict=True)])
                curves.append(Curve(f"{name} {ranked.average_precision(every)[0]:.3f}", points, hue(name)))
        note = "at IoU 0.5, from the surest box to the faintest; beside each category its ap50"
        return Curves("Precision and recall", note, "recall", "precision", tuple(curves))

    def _confusion(self) -> Matrix:
        shown = self._commonest
        names = [*shown, *[OTHERS] * (len(self._ranked) > len(shown)), NOTHING]
        pairs = Counter[tuple[str, str]]()
        for said, truth in self._labels:
            rows = match(said.boxes, truth.boxes).tolist()  # whatever their categories
            guesses = [shown.get(box.category, OTHERS) for box in said.boxes]
            truths = [shown.get(box.category, OTHERS) for box in truth.boxes]
            pairs.update(
                (truths[row] if row >= 0 else NOTHING, guess) for row, guess in zip(rows, guesses, strict=True)
            )
            pairs.update((name, NOTHING) for row, name in enumerate(truths) if row not in rows)
        counts = tuple(tuple(pairs[true, guess] for guess in names) for true in names)
        note = "rows are the truth, columns what was handed out, at IoU 0.5 whatever the category"
        return Matrix("Confusion", note, tuple(names), tuple(names), counts)


def _left_out(mark: Mark | None) -> Ignored:
    """What does not count in an image, by the rules of any benchmark."""
    if isinstance(mark, KittiFrame):
        return kitti_ap.left_out(mark.objects)
    return mark if isinstance(mark, Ignored) else Ignored()


def _given(images: Sequence[Mapping[str, Matches]], name: str) -> _Given:
    found, image, truths = of_category(images, name)
    return _Given(
        image=image,
        confidence=np.concatenate([matches.confidence for matches in found]),
        right=np.concatenate([matches.matched[MATCHED_AT_50] for matches in found]),
        overlap=np.concatenate([matches.overlap for matches in found]),
        truths=truths,
        left_out=np.concatenate([matches.ignored[MATCHED_AT_50] for matches in found]),
        left_out_of_all=np.concatenate([matches.ignored[0] for matches in found]),
    )


def _matches(said: Sequence[Box], truth: Sequence[Box]) -> tuple[list[tuple[Box, bool]], list[tuple[Box, bool]]]:
    """The boxes of one image, each with whether it has its counterpart of the same category."""
    ours, theirs = list[tuple[Box, bool]](), list[tuple[Box, bool]]()
    for given, true in by_category(said, truth):
        rows = match(given, true)
        ours += [(box, row >= 0) for box, row in zip(given, rows.tolist(), strict=True)]
        theirs += [(box, row in rows) for row, box in enumerate(true)]
    return ours, theirs


def _size(box: Box) -> float:
    x1, y1, x2, y2 = box.xyxy
    return sqrt((x2 - x1) * (y2 - y1))
