"""Average precision by COCO's rules, by pycocotools, its official evaluator: image by image, and without its talk."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import FunctionType
from typing import Any

import numpy as np
from pycocotools.cocoeval import COCOeval

from models.arrays import Bools, Floats
from models.marks import NOTHING, Ignored
from models.records import Box

MOST_DETECTIONS = 100  # of one category in one image; the surest ones
IOUS = np.linspace(0.5, 0.95, 10)
MATCHED_AT_50 = 1  # the row of ``Matches`` at IoU 0.5, after that of boxes that only touch
_TOUCHING = 1e-9  # an IoU below all others: boxes that touch at all match
_IMAGE = 1


@dataclass(frozen=True)
class Matches:
    """What the evaluator finds of one category in one image: d predicted boxes, surest first, and t true ones.

    ``matched`` and ``ignored`` (11, d) are for boxes that touch at all, then at each of ``IOUS``; ``overlap`` (d,) is
    the IoU with the box that it touches and takes, or 0. ``to_find`` (t,) is false for what is left out of the count.
    """

    confidence: Floats
    matched: Bools
    ignored: Bools
    overlap: Floats
    to_find: Bools


def compare(predicted: Sequence[Box], truth: Sequence[Box], ignored: Ignored = NOTHING) -> dict[str, Matches]:
    """The boxes of one image compared, by category.

    From the surest on, each predicted box takes the free true box that it overlaps most, and at least as much as asked;
    what is ignored only where there is none. Source: ``COCOeval.evaluateImg``, over all areas.
    """
    evaluator, kinds = _Evaluator(), (predicted, truth, ignored.objects, ignored.crowds)
    found = dict[str, Matches]()
    for name in sorted({box.category for boxes in kinds for box in boxes}):
        ours, theirs = ([box for box in boxes if box.category == name] for boxes in (predicted, truth))
        found[name] = _compared(evaluator, name, ours, theirs, *ignored.of(name))
    return found


def average_precision(images: Sequence[Mapping[str, Matches]]) -> dict[str, Floats]:
    """Average precision at each of ``IOUS`` (10,), of the categories in which there is something to find.

    It is the mean over 101 recalls of the best precision at that recall or beyond. Source: ``COCOeval.accumulate``.
    """
    names = sorted({name for image in images for name, found in image.items() if found.to_find.any()})
    if not names:
        return {}
    evaluator = _Evaluator()
    evaluator.params.imgIds, evaluator.params.catIds = list(range(len(images))), names
    evaluator.evalImgs = [_entry(image[name]) if name in image else None for name in names for image in images]
    evaluator._paramsEval = evaluator.params
    evaluator.accumulate()
    precision = evaluator.eval["precision"][1:, :, :, 0, 0]  # (ious, recalls, categories)
    return dict(zip(names, precision.mean(axis=1).T, strict=True))


def _silent(function: Callable[..., Any]) -> FunctionType:
    """The same function, which prints nothing: standard output belongs to whoever measures."""
    assert isinstance(function, FunctionType)
    quiet = {**function.__globals__, "print": lambda *_, **__: None}
    return FunctionType(function.__code__, quiet, function.__name__, function.__defaults__, function.__closure__)


class _Evaluator(COCOeval):  # type: ignore[misc]  # it comes without types
    accumulate = _silent(COCOeval.accumulate)

    def __init__(self) -> None:
        super().__init__(iouType="bbox")
        self.params.iouThrs = np.array([_TOUCHING, *IOUS])
        self.params.maxDets = [MOST_DETECTIONS]
        self.params.areaRng, self.params.areaRngLbl = [[0, 1e10]], ["all"]


def _compared(
    evaluator: _Evaluator, name: str, predicted: list[Box], truth: list[Box], objects: list[Box], crowds: list[Box]
) -> Matches:
    """One category of one image. The evaluator knows boxes by numbers from 1: 0 is its word for no match."""
    there, key = [*truth, *objects, *crowds], (_IMAGE, name)
    evaluator._dts[key] = [{**_object(i, box), "score": box.confidence} for i, box in enumerate(predicted, 1)]
    evaluator._gts[key] = [
        {**_object(i, box), "ignore": i > len(truth), "iscrowd": i > len(truth) + len(objects)}
        for i, box in enumerate(there, 1)
    ]
    evaluator.ious[key] = overlaps = evaluator.computeIoU(*key)
    entry = evaluator.evaluateImg(*key, evaluator.params.areaRng[0], MOST_DETECTIONS)
    partners = entry["dtMatches"][0].astype(int)
    return Matches(
        confidence=np.array(entry["dtScores"], np.float64),
        matched=entry["dtMatches"] > 0,
        ignored=entry["dtIgnore"].astype(bool),
        overlap=np.array([overlaps[row][of - 1] if of else 0 for row, of in enumerate(partners)], np.float64),
        to_find=np.arange(len(there)) < len(truth),
    )


def _object(number: int, box: Box) -> dict[str, Any]:
    x1, y1, x2, y2 = box.xyxy
    return {"id": number, "bbox": [x1, y1, x2 - x1, y2 - y1], "area": (x2 - x1) * (y2 - y1)}


def _entry(found: Matches) -> dict[str, Any]:
    """As the evaluator itself keeps it."""
    return {
        "dtScores": found.confidence,
        "dtMatches": found.matched,
        "dtIgnore": found.ignored,
        "gtIgnore": ~found.to_find,
    }
