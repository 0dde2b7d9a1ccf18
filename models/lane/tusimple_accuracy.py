"""TuSimple's lane accuracy, by the official ``evaluate/lane.py``, its odd rules included.

A frame is compared row by row: a line is a column for each row, below 0 where it is not there. Frames of other sizes
than 1280 x 720 are compared on rows and by distances that are scaled with their height and width.
"""

from dataclasses import dataclass

import numpy as np

from models.arrays import Floats
from models.errors import InvalidInput
from models.marks import TusimpleFrame
from models.records import Lane, Lanes

ROWS = np.arange(160, 720, 10)  # of the benchmark's test frames, 720 high
NEAR = 20 / 1280  # of the width: a point this near, across the line, is right
FOUND = 0.85  # of the rows: a line as right as this is found
MOST_SECONDS = 0.2  # for a frame; a slower answer counts as none
ABSENT = -2.0
_NOWHERE = -100.0  # the column of absent points when distances are taken


@dataclass(frozen=True)
class FrameScore:
    """Of one frame: the mean over true lines of the share of rows that are right, and the shares of predicted lines
    that are false and of true lines that are missed."""

    accuracy: float
    false: float
    missed: float


def score(predicted: Lanes, truth: Lanes, frame: TusimpleFrame | None = None) -> FrameScore:
    """The score of one frame.

    Args:
        predicted: lines of an image of the same size as ``truth``.
        frame: the label as it stands, where the data set is TuSimple's; otherwise ``truth`` is looked at every 10
            pixels from 160 to 710 of 720, scaled with the height.
    """
    rows = ROWS * truth.height / 720 if frame is None else np.array(frame.rows, np.float64)
    ours, theirs = (
        np.array([columns(lane, rows, label.width) for lane in label.lanes]).reshape(-1, len(rows))
        for label in (predicted, truth)
    )
    if frame is not None:
        theirs = np.array(frame.lines, np.float64).reshape(-1, len(rows))
    return compare(ours, theirs, rows, near=NEAR * truth.width)


def compare(predicted: Floats, truth: Floats, rows: Floats, *, near: float = 20.0, seconds: float = 0.0) -> FrameScore:
    """What the official script says of lines sampled on rows, to the letter.

    A point is right within ``near`` / cos(angle of the true line) pixels, and **so is one that is absent in both**.
    Each true line takes its best predicted one, which may be the best of several. More than two lines too many, or a
    slow answer, and all is missed and nothing false. With more than four true lines the worst is left out of the
    accuracy, one missed line is not counted, and the sums are over four. A frame without true lines has accuracy 0.

    Args:
        predicted: (p, r) columns, below 0 where absent.
        truth: (t, r) columns, below 0 where absent.
        rows: (r,) in pixels.
        near: in pixels.
        seconds: that the answer took.

    Raises:
        InvalidInput: lines and rows of different lengths.
    """
    if predicted.shape[1:] != rows.shape or truth.shape[1:] != rows.shape:
        got = f"{predicted.shape[1:]} and {truth.shape[1:]}"
        raise InvalidInput(f"tusimple accuracy: expected lines with a column for each of {len(rows)} rows, got {got}")
    n_predicted, n_true = len(predicted), len(truth)
    if seconds > MOST_SECONDS or n_predicted > n_true + 2:
        return FrameScore(0.0, 0.0, 1.0)
    best = _shares_right(predicted, truth, rows, near).max(axis=1, initial=0.0)
    found = int((best >= FOUND).sum())
    counted, missed, right = min(n_true, 4), n_true - found, float(best.sum())
    if n_true > 4:
        missed, right = max(0, missed - 1), right - float(best.min())
    false = (n_predicted - found) / n_predicted if n_predicted else 0.0
    return FrameScore(right / max(1, counted), false, missed / max(1, counted))


def columns(lane: Lane, rows: Floats, width: int) -> Floats:
    """The column (r,) at which a line crosses each row, ``ABSENT`` beyond its ends and beyond the image.

    Where it crosses a row more than once, the crossing at the lowest part of the line counts: labels begin there.
    """
    points = np.array(lane.points, np.float64)
    points = points if points[0, 1] >= points[-1, 1] else points[::-1]
    higher = np.append(True, points[1:, 1] < np.minimum.accumulate(points[:, 1])[:-1])
    x, y = points[higher][::-1].T
    found = np.interp(rows, y, x, left=ABSENT, right=ABSENT)
    return np.where((found >= 0) & (found < width), found, ABSENT)


def _shares_right(predicted: Floats, truth: Floats, rows: Floats, near: float) -> Floats:
    """Shares (true lines, predicted lines) of the rows that are right."""
    ours, theirs = (np.where(lines >= 0, lines, _NOWHERE) for lines in (predicted, truth))
    within = near * np.sqrt(1 + _slopes(truth, rows) ** 2)  # 1 / cos(arctan(slope)) of each true line
    right = np.abs(ours[None] - theirs[:, None]) < within[:, None, None]
    return np.asarray(right.mean(axis=2))


def _slopes(lines: Floats, rows: Floats) -> Floats:
    """Columns a row (n,) that each line gains, by least squares; 0 for fewer than two points."""
    there = lines >= 0
    count = np.maximum(there.sum(axis=1, keepdims=True), 1)
    y = np.where(there, rows - np.where(there, rows, 0).sum(axis=1, keepdims=True) / count, 0)
    spread = (y * y).sum(axis=1)
    gain = (y * np.where(there, lines, 0)).sum(axis=1)
    return np.asarray(np.divide(gain, spread, out=np.zeros(len(lines)), where=spread > 0))
