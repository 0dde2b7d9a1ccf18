"""How true the doubt is, in pictures: the reliability diagram, and what accepting the surest items costs."""

import numpy as np
from numpy.typing import NDArray

from models.reliability import reliability_bins, risk_coverage
from models.report.charts import Chart, Curve, Curves, Dot, rounded_up, share_interval, thinned
from models.report.judged import Judged

BINS = 10


def doubt_charts(judged: Judged) -> list[Chart]:
    """Of calibrated doubt; risk and coverage also of the model's probability alone, where it is known."""
    return [_reliability(judged), _risk(judged)]


def _reliability(judged: Judged) -> Curves:
    bins = reliability_bins(judged.p_error, judged.evaluation.errors, BINS)
    return Curves(
        title="Reliability",
        note="error rate where p_error was said; a dot's size is the number of items, its line the 95 % interval",
        x="p_error",
        y="labels wrong",
        dots=tuple(
            Dot(each.p_error, each.error_rate, *share_interval(round(each.error_rate * each.n), each.n), each.n)
            for each in bins
        ),
        diagonal=True,
    )


def _risk(judged: Judged) -> Curves:
    errors = judged.evaluation.errors
    curves = [_curve("p_error", judged.p_error, errors)]
    if judged.max_probability is not None:
        curves.append(_curve("1 − max probability", judged.max_probability, errors))
    highest = max(y for curve in curves for _, y in curve.points)
    return Curves(
        title="Risk and coverage",
        note="labels wrong among the surest items, by the share of items accepted",
        x="coverage",
        y="labels wrong",
        curves=tuple(curves),
        y_most=rounded_up(highest),
    )


def _curve(name: str, doubt: NDArray[np.float64], errors: NDArray[np.bool_]) -> Curve:
    found = risk_coverage(doubt, errors)
    return Curve(name, thinned(list(zip(found.coverage.tolist(), found.risk.tolist(), strict=True))))
