"""A detector in use: an image to boxes, and how much may be wrong with or missing from them. Never imports torch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pictures

from models.arrays import AnyFloats, Bools, Floats
from models.certainty import Certainty
from models.detection.heads import Candidates
from models.detection.seen import Seen
from models.detection.suppression import fuse, suppress
from models.errors import InvalidInput
from models.media import Image
from models.onnx_files import BOX_CERTAINTY, description, open_session
from models.records import Box, Boxes, Prediction

LONG_SIDE = 640  # pixels of the longer side at which an image is read
MOST_ENLARGED = 1.5  # an image is never enlarged further than this: it would show no more
STEP = 32  # height and width of what the network reads are multiples of this
GREY = 114  # what lies beside the image where it was filled up to a multiple
OPERATING_POINT = 0.5  # boxes at least this certain are handed out: showing one costs people as much as drawing it
FAINTEST = 0.02  # boxes less confident than this are no candidates for a missed object
MOST_CANDIDATES = 1000
GLIMPSED = 0.003  # what is less probable than this is not even considered
MOST_CONSIDERED = 3000
TWINS = 0.9  # IoU above which two boxes that are considered are one
ONCE = 0.6  # ``most_overlap`` of files that do not say: versions from before boxes were fused answer as they did


@dataclass(frozen=True)
class Detections:
    """What survived suppression, most confident first: boxes (n, 4) in image pixels, (n,) confidences and categories.

    ``given`` (n,) marks those that are handed out, a point in its surest category alone, if at all. ``doubt`` (n,) is
    the mean standard deviation of the sides as a share of the box's own size; ``faintest_trace`` the highest confidence
    of all that was too faint to become a candidate.
    """

    boxes: Floats
    confidences: Floats
    categories: NDArray[np.int64]
    given: Bools
    doubt: Floats
    faintest_trace: float


class Runtime:
    """An ONNX session that carries its own settings in its metadata."""

    def __init__(self, onnx: Path, threads: int = 2) -> None:
        about = description(onnx, "detection")
        settings = about["settings"]
        self._session = open_session(onnx, threads)
        self.categories: tuple[str, ...] = tuple(settings["categories"])
        self.long_side = int(settings["long_side"])
        self.certainties = certainties(about, self.categories)
        self.least: float | Floats = OPERATING_POINT
        self.most_overlap: float | None = settings.get("most_overlap", ONCE)

    def feeds(self, media: Image) -> dict[str, NDArray[Any]]:
        """The image (1, 3, height, width) in [0, 1]: fitted to the long side, filled up to multiples of 32."""
        image = fit(media, self.long_side)
        height, width = image.shape[:2]
        canvas = np.full((-(-height // STEP) * STEP, -(-width // STEP) * STEP, 3), GREY, np.uint8)
        canvas[:height, :width] = image
        pixels = np.ascontiguousarray(canvas.transpose(2, 0, 1)[None])
        return {"images": pixels.astype(np.float32) / np.float32(255)}

    def predict(self, media: Image) -> Prediction:
        """Boxes, the doubt about the whole image, features for calibration and an embedding for diversity."""
        return self._said(media, *self._asked(media))

    def see(self, media: Image) -> Seen:
        """The same, and every box that was considered for it."""
        candidates, embedding = self._asked(media)
        height, width = media.shape[:2]
        boxes = considered(candidates, width, height, self.certainties, self.categories)
        return Seen(self._said(media, candidates, embedding), boxes)

    def _asked(self, media: Image) -> tuple[Candidates, Floats]:
        """What the network answers, in pixels of the image, and the embedding (n,)."""
        probabilities, boxes, side_std, embedding = (value[0] for value in self._session.run(None, self.feeds(media)))
        height, width = media.shape[:2]
        read = fitted_size(width, height, self.long_side)
        scale = np.array([width / read[0], height / read[1]] * 2)
        return Candidates(probabilities, boxes * scale, side_std * scale), embedding

    def _said(self, media: Image, candidates: Candidates, embedding: Floats) -> Prediction:
        height, width = media.shape[:2]
        found = detections(candidates.probabilities, candidates.boxes, candidates.side_std, width, height,
                           self.certainties, self.least, self.most_overlap)  # fmt: skip
        label, faint = boxes_of(found, self.categories, width, height)
        return Prediction(label, score(found), features(found), tuple(embedding.tolist()), faint)


def certainties(about: Mapping[str, Any], categories: Sequence[str]) -> tuple[Certainty, ...]:
    """What makes the confidences of each category true, as far as a model's file knows."""
    known = about.get(BOX_CERTAINTY, {})
    return tuple(Certainty(**known.get(name, {})) for name in categories)


def boxes_of(found: Detections, categories: Sequence[str], width: int, height: int) -> tuple[Boxes, tuple[Box, ...]]:
    """The label, whose boxes are confident enough to be handed out, and the fainter boxes."""
    named = [
        Box(tuple(found.boxes[i].tolist()), categories[found.categories[i]], float(found.confidences[i]))
        for i in range(len(found.confidences))
    ]
    given = Boxes(width, height, tuple(compress(named, found.given)))
    return given, tuple(compress(named, ~found.given))


def detections(
    probabilities: AnyFloats, boxes: AnyFloats, side_std: AnyFloats,
    width: int, height: int, certain: Sequence[Certainty],
    least: float | Floats = OPERATING_POINT, most_overlap: float | None = None,
) -> Detections:  # fmt: skip
    """The network's answer for one image, reduced to one box an object.

    Args:
        probabilities: (points, categories).
        boxes: (points, 4) xyxy in pixels of the image.
        side_std: (points, 4) in the same pixels.
        width: of the image; boxes are cut off at its border.
        height: likewise.
        certain: (categories,) what makes the probabilities of each true.
        least: true confidence from which on a box is handed out, or (categories,) of them.
        most_overlap: IoU above which the less confident of two boxes of a category goes; None: they are fused.
    """
    inside, likely = _inside(probabilities, boxes, width, height)
    size = inside[:, 2:] - inside[:, :2]
    points, categories = _best(likely, FAINTEST, MOST_CANDIDATES)
    confidences, places = likely[points, categories], inside[points]
    enough = np.broadcast_to(least, probabilities.shape[1:])
    sure = _true(certain, categories, confidences)
    surest = _surest(points, np.where(sure >= enough[categories], sure, 0.0))
    if most_overlap is None:
        fused = fuse(places, confidences, categories, FAINTEST)
        rows, places, confidences = fused.rows, fused.boxes.clip(0, [width, height, width, height]), fused.confidences
    else:
        rows = suppress(places, confidences, categories, most_overlap)
        places, confidences = places[rows], confidences[rows]
    true = _true(certain, categories[rows], confidences)
    order = np.argsort(-true, kind="stable")
    rows, places, true = rows[order], places[order], true[order]
    chosen, named = points[rows], categories[rows]
    doubt = (side_std[chosen] / np.tile(size[chosen], 2)).mean(axis=1) if len(chosen) else np.zeros(0)
    traces = np.where(likely < FAINTEST, likely, 0.0).max(axis=0, initial=0.0)
    traced = np.flatnonzero(traces)
    trace = float(_true(certain, traced, traces[traced]).max(initial=0.0))
    given = (true >= enough[named]) & surest[rows]
    return Detections(places, true, named, given, doubt, trace)


def considered(
    candidates: Candidates, width: int, height: int, certain: Sequence[Certainty], names: Sequence[str]
) -> tuple[Box, ...]:
    """Every box that the network considers, near twins once: before those of one object are fused, and fainter ones
    than any that could be a missed object. ``certain`` and ``names`` are of the categories."""
    inside, likely = _inside(candidates.probabilities, candidates.boxes, width, height)
    points, categories = _best(likely, GLIMPSED, MOST_CONSIDERED)
    rows = suppress(inside[points], likely[points, categories], categories, TWINS)
    points, categories = points[rows], categories[rows]
    true = _true(certain, categories, likely[points, categories])
    each = zip(inside[points].tolist(), categories.tolist(), true.tolist(), strict=True)
    return tuple(Box(tuple(corners), names[number], confidence) for corners, number, confidence in each)


def _inside(probabilities: AnyFloats, boxes: AnyFloats, width: int, height: int) -> tuple[Floats, Floats]:
    """Boxes (points, 4) cut off at the border, and probabilities (points, categories), 0 of what lies beyond."""
    if not np.isfinite(probabilities).all():
        raise InvalidInput("detection: expected finite probabilities from the network, got NaN or infinity")
    inside = boxes.astype(np.float64).clip(0, [width, height, width, height])
    beyond = (inside[:, 2:] <= inside[:, :2]).any(axis=1)
    likely = probabilities.astype(np.float64)
    likely[beyond] = 0
    return inside, likely


def _best(likely: Floats, least: float, most: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Points and categories (n,) of at least that probability, at most so many, the most probable first."""
    points, categories = np.nonzero(likely >= least)
    best = np.argsort(-likely[points, categories], kind="stable")[:most]
    return points[best], categories[best]


def _true(certain: Sequence[Certainty], categories: NDArray[np.int64], confidences: Floats) -> Floats:
    """The probabilities (n,) of boxes of such categories (n,) and confidences (n,)."""
    true = np.zeros(len(confidences))
    for number, line in enumerate(certain):
        true[categories == number] = line.of(confidences[categories == number])
    return true


def _surest(points: NDArray[np.int64], confidences: Floats) -> Bools:
    """Which (n,) of such confidences (n,) are the highest of their points (n,)."""
    order = np.lexsort((-confidences, points))
    firsts = np.unique(points[order], return_index=True)[1]
    return np.isin(np.arange(len(points)), order[firsts])


def score(found: Detections) -> float:
    """The doubt in [0, 1] that somebody would change anything: 1 - prod(p of the boxes given) * exp(-missed).

    ``missed`` is the number of objects expected among the boxes not given: the sum of their probabilities, and the
    faintest trace beside them. If boxes are right independently and missed objects follow a Poisson law, this is
    the probability that the image is not entirely right. "Nothing is here" is an answer like any other: an
    image without boxes is as doubtful as its faint candidates are many, and near 0 only if there are none.
    """
    return float(1 - np.prod(found.confidences[found.given]) * np.exp(-_missed(found)))


def features(found: Detections) -> dict[str, float]:
    """Numbers from which calibration learns; a mean or an extreme over no boxes is that of a box without doubt."""
    given = found.given
    sure, faint = found.confidences[given], found.confidences[~given]
    p = np.clip(found.confidences, 1e-9, 1 - 1e-9)
    entropy = -(p * np.log2(p) + (1 - p) * np.log2(1 - p))
    doubt = found.doubt[given]
    size = np.sqrt((found.boxes[given, 2:] - found.boxes[given, :2]).prod(axis=1))
    return {
        "boxes": float(len(sure)),
        "min_confidence": float(sure.min(initial=1.0)),
        "mean_confidence": float(sure.mean()) if len(sure) else 1.0,
        "expected_wrong": float((1 - sure).sum()),
        "expected_missed": _missed(found),
        "best_faint": float(faint.max(initial=0.0)),
        "entropy_bits": float(entropy.sum()),
        "mean_side_doubt": float(doubt.mean()) if len(doubt) else 0.0,
        "max_side_doubt": float(doubt.max(initial=0.0)),
        "smallest_box_px": float(size.min()) if len(size) else 0.0,
    }


def fitted_size(width: int, height: int, long_side: int) -> tuple[int, int]:
    """Width and height at which an image is read: the longer side ``long_side`` if not too small for it, at least 1."""
    factor = min(MOST_ENLARGED, long_side / max(width, height))
    return max(1, round(width * factor)), max(1, round(height * factor))


def fit(image: Image, long_side: int) -> Image:
    """The image at the size at which it is read, smoothed where it shrinks."""
    height, width = image.shape[:2]
    size = fitted_size(width, height, long_side)
    if size == (width, height):
        return image
    return np.asarray(Pictures.fromarray(image).resize(size, Pictures.Resampling.BILINEAR, reducing_gap=2.0))


def _missed(found: Detections) -> float:
    return float(found.confidences[~found.given].sum()) + found.faintest_trace
