"""Lane detection in use: an image to lines, with the doubt of each point and of the whole. Never imports torch."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pictures

from models.arrays import Floats
from models.errors import InvalidInput
from models.lane.metrics import TOLERANCE
from models.lane.tracing import Trace, trace, untraced
from models.media import Image
from models.onnx_files import description, open_session
from models.records import Lane, Lanes, Prediction

STRIDE = 4  # input pixels a cell of the maps
SURE_ENOUGH = 0.4  # lines at least this probable are handed out
SHORTEST = 0.06  # of the picture's width: a shorter line is not handed out
POINTS_APART = 3.0  # cells between the points of a line that is handed out
LINE_LENGTH = 40.0  # cells of untraced line that count as one missed line


class Runtime:
    """An ONNX session that carries its own settings in its metadata."""

    def __init__(self, onnx: Path, threads: int = 2) -> None:
        settings = description(onnx, "lane")["settings"]
        self._session = open_session(onnx, threads)
        self.width, self.height = int(settings["width"]), int(settings["height"])
        self.ridge = float(settings["ridge"])

    def feeds(self, media: Image) -> dict[str, NDArray[np.float32]]:
        """The image (1, 3, height, width) in [0, 1], brought to the network's size whatever its own."""
        small = Pictures.fromarray(media).resize((self.width, self.height), Pictures.Resampling.BILINEAR)
        pixels = np.ascontiguousarray(np.asarray(small).transpose(2, 0, 1)[None])
        return {"images": pixels.astype(np.float32) / np.float32(255)}

    def predict(self, media: Image) -> Prediction:
        """Lines, the doubt about the whole image, features for calibration and an embedding for diversity."""
        heat, directions, embedding = (value[0] for value in self._session.run(None, self.feeds(media)))
        if not np.isfinite(heat).all():
            raise InvalidInput("lane: expected finite heat from the network, got NaN or infinity")
        given = worth_giving(trace(heat, directions, self.ridge), heat.shape[1])
        missed = untraced(heat, given, self.ridge) / LINE_LENGTH
        return prediction_of(given, missed, heat.shape, media.shape[:2], tuple(embedding.tolist()))


def worth_giving(found: Sequence[Trace], columns: int) -> list[Trace]:
    """The lines that are sure and long enough to be handed out."""
    shortest = SHORTEST * columns
    return [line for line in found if line.existence.mean() >= SURE_ENOUGH and line.length >= shortest]


def prediction_of(
    given: Sequence[Trace], missed: float, grid: tuple[int, ...], image: tuple[int, ...], embedding: tuple[float, ...]
) -> Prediction:
    """The label and its doubt, from lines in cells of a ``grid`` over an ``image``, each (rows, columns)."""
    (rows, columns), (height, width) = grid, image
    lanes = tuple(to_lane(line, width / columns, height / rows) for line in given)
    values = features(given, missed, columns)
    return Prediction(Lanes(width, height, lanes), score(given, missed, columns), values, embedding)


def to_lane(line: Trace, across: float, down: float) -> Lane:
    """A trace in pixels of the image, ``across`` and ``down`` pixels a cell, with fewer points.

    A slice along a row meets the line at an angle, so the deviation of x is that across the line over its
    steepness; where a line runs nearly level its x means little, and the factor stops at 5.
    """
    count = max(2, round(line.length / POINTS_APART) + 1)
    rows = np.unique(np.linspace(0, len(line.points) - 1, count).round().astype(int))
    points = (line.points[rows] + 0.5) * (across, down)
    std = line.std[rows] / np.maximum(line.steepness[rows], 0.2) * across
    confidence = float(np.clip(line.existence.mean(), 0, 1))
    return Lane(tuple((float(x), float(y)) for x, y in points), tuple(float(value) for value in std), confidence)


def doubts(line: Trace, columns: int) -> Floats:
    """Each point's probability (n,) that no line is there or that it is off by more than ``TOLERANCE``."""
    tolerance = TOLERANCE * columns
    placed = np.array([math.erf(tolerance / (std * math.sqrt(2))) for std in line.std.tolist()])
    return np.asarray(1 - line.existence * placed)


def score(given: Sequence[Trace], missed: float, columns: int) -> float:
    """The doubt of an image in [0, 1]: the mean doubt of its lines' points, and lines that may have been missed.

    ``missed`` is the expected number of missed lines; if they come independently, none is missed with probability
    exp(-missed). Averaging over lines keeps crowded roads from looking doubtful for being crowded. No line at all
    is 1.0.
    """
    if not given:
        return 1.0
    mean = float(np.mean([doubts(line, columns).mean() for line in given]))
    return float(np.clip(1 - (1 - mean) * math.exp(-missed), 0, 1))


def features(given: Sequence[Trace], missed: float, columns: int) -> dict[str, float]:
    """Numbers from which calibration learns; over no lines, those of a line of which nothing is known."""
    each = [doubts(line, columns) for line in given]
    doubt = [float(points.mean()) for points in each] or [1.0]
    worst = [float(points.max()) for points in each] or [1.0]
    existence = [float(line.existence.mean()) for line in given] or [0.0]
    std = [float(line.std.mean()) / columns for line in given] or [1.0]
    return {
        "lanes": float(len(given)),
        "mean_doubt": float(np.mean(doubt)),
        "max_doubt": max(doubt),
        "worst_point": max(worst),
        "min_existence": min(existence),
        "mean_existence": float(np.mean(existence)),
        "mean_std_share": float(np.mean(std)),
        "max_std_share": max(std),
        "expected_missed": float(missed),
    }
