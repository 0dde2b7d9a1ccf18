"""How true the doubt is, in pictures: the reliability diagram, and what accepting the surest items costs."""

from collections.abc import Mapping

from models.arrays import Bools, Floats
from models.reliability import reliability_bins, risk_coverage
from models.report.charts import Chart, Curve, Curves, Dot, rounded_up, share_interval, thinned
from models.report.judged import Judged

BINS = 10


def doubt_charts(judged: Judged) -> list[Chart]:
    """Of calibrated doubt; risk and coverage also of the model's probability alone, where it is known."""
    errors, doubts = judged.evaluation.errors, {"p_error": judged.p_error}
    if judged.max_probability is not None:
        doubts["1 − max probability"] = judged.max_probability
    return [reliability(judged.p_error, errors), risk(doubts, errors)]


def reliability(p_error: Floats, errors: Bools) -> Curves:
    """Of doubts (n,) in [0, 1] and whether labels were wrong (n,): the error rate where a doubt was said."""
    bins = reliability_bins(p_error, errors, BINS)
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


def risk(doubts: Mapping[str, Floats], errors: Bools) -> Curves:
    """Of doubts (n,) by their name: the share that is wrong (n,) of the surest items, by how many they are."""
    curves = [_curve(name, doubt, errors) for name, doubt in doubts.items()]
    highest = max(y for curve in curves for _, y in curve.points)
    return Curves(
        title="Risk and coverage",
        note="labels wrong among the surest items, by the share of items accepted",
        x="coverage",
        y="labels wrong",
        curves=tuple(curves),
        y_most=rounded_up(highest, least=0.05),
    )


def _curve(name: str, doubt: Floats, errors: Bools) -> Curve:
    found = risk_coverage(doubt, errors)
    return Curve(name, thinned(list(zip(found.coverage.tolist(), found.risk.tolist(), strict=True))))
