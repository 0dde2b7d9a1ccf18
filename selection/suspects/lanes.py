"""Lines that are probably drawn wrong: their distance from the distribution that a model predicts.

At each place of a given line, the model's chance that a line runs there is ``confidence * exp(-d^2 / 2 s^2)`` for the
predicted line that gives most, ``d`` pixels away, where ``s^2`` is its own variance there and that of what people call
the same place; at each place of a predicted line, the chance that none does is one less its confidence where nobody
drew one. The negative logarithms of these chances along a line are how surprising the line is; of a label, the root of
the sum of the squares of its lines', so that one great surprise counts for more than many small ones.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.arrays import Floats
from models.lane.metrics import TOLERANCE, distances, points_along
from models.records import Lane, Lanes, Prediction
from selection.suspects.findings import Finding, Suspicion

SPREAD = 0.75 * TOLERANCE  # of the image's width: the deviation of what people call the same place
FLOOR = 0.3  # nothing is less likely: a model knows little of what it has not seen
HALF = 50.0  # nats at which the score is 0.5
SPURIOUS = 0.5  # of a line's places are near no predicted one: it is not badly located but not there


@dataclass(frozen=True)
class _Line:
    """Places (n, 2) along a predicted line with their deviations (n,), both in pixels."""

    lane: Lane
    points: Floats
    std: Floats


def suspicions(labels: Sequence[Lanes], said: Sequence[Prediction]) -> list[Suspicion]:
    """One suspicion a label, by the surprises of its lines and of those that it lacks."""
    return [_suspicion(label, one) for label, one in zip(labels, said, strict=True)]


def _suspicion(label: Lanes, said: Prediction) -> Suspicion:
    assert isinstance(said.label, Lanes)
    lines = [line for lane in said.label.lanes if len((line := _line(lane, label)).points)]
    found = [_given(lane, lines, label) for lane in label.lanes] + [_predicted(line, label) for line in lines]
    told = sorted((one for one in found if one), key=lambda one: -one.score)
    return Suspicion(_score(math.hypot(*(_nats(one.score) for one in told))), tuple(told))


def _given(lane: Lane, lines: Sequence[_Line], image: Lanes) -> Finding | None:
    """What speaks against a line that was given; None where it lies outside of the image."""
    points = points_along(lane, image)
    if not len(points):
        return None
    chances, away = np.zeros(len(points)), np.full(len(points), np.inf)
    for line in lines:
        distance = distances(points, line.lane)
        std = line.std[np.linalg.norm(points[:, None] - line.points[None], axis=2).argmin(axis=1)]
        chances = np.maximum(chances, line.lane.confidence * _near(distance, std, image.width))
        away = np.minimum(away, distance)
    score = _score(_surprise(chances))
    lonely = away > 3 * TOLERANCE * image.width
    if lonely.mean() >= SPURIOUS:
        return Finding("spurious", score, f"the model sees no line {_where(points)}", _frame(points))
    far = float(np.median(away[~lonely]))
    apart = f"more than {far:.0f} px beside" if far >= 0.5 else "within 1 px of"
    reason = f"half of the line {_where(points)} is {apart} the one that the model sees"
    if lonely.any():
        reason += f", and for {100 * lonely.mean():.0f} % of it the model sees none"
    return Finding("badly located", score, reason, _frame(points))


def _predicted(line: _Line, image: Lanes) -> Finding:
    """What speaks for a line that nobody drew."""
    near = np.zeros(len(line.points))
    for lane in image.lanes:
        near = np.maximum(near, _near(distances(line.points, lane), line.std, image.width))
    score = _score(_surprise(1 - line.lane.confidence * (1 - near)))
    share = 100 * float((near < 0.5).mean())
    seen = f"the model sees a line {_where(line.points)} (confidence {line.lane.confidence:.2f})"
    reason = f"{seen}, and {share:.0f} % of it is not drawn"
    return Finding("overlooked", score, reason, _frame(line.points))


def _line(lane: Lane, image: Lanes) -> _Line:
    points = points_along(lane, image)
    drawn = np.array(lane.points)
    std = np.array(lane.std_px) if lane.std_px else np.zeros(len(drawn))
    nearest = np.linalg.norm(points[:, None] - drawn[None], axis=2).argmin(axis=1) if len(points) else []
    return _Line(lane, points, std[np.asarray(nearest, np.intp)])


def _near(distance: Floats, std: Floats, width: int) -> Floats:
    """The chance (n,) of a place so far from the middle of a distribution, 1 in the middle."""
    return np.asarray(np.exp(-0.5 * distance**2 / ((SPREAD * width) ** 2 + std**2)))


def _surprise(chances: Floats) -> float:
    """Nats over all places."""
    return float(-np.log(chances.clip(FLOOR, 1)).sum())


def _score(nats: float) -> float:
    return nats / (nats + HALF)


def _nats(score: float) -> float:
    return HALF * score / (1 - score)


def _where(points: Floats) -> str:
    (x1, y1), (x2, y2) = points[0], points[-1]
    return f"from ({x1:.0f}, {y1:.0f}) to ({x2:.0f}, {y2:.0f})"


def _frame(points: Floats) -> tuple[float, float, float, float]:
    (x1, y1), (x2, y2) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
    return x1, y1, x2, y2
