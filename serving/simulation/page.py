"""``report.html`` of a simulation: one page for people, with everything it needs inside."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache

from jinja2 import Environment

from models.report.charts import Curve, Curves, Point, rounded_up
from models.report.page import environment
from serving.simulation.arms import ArmName
from serving.simulation.document import ArmReport, Estimate, SimulationReport
from serving.simulation.document import Point as State

HUES: Mapping[ArmName, int] = {"all-human": 220, "pre-annotation": 35, "random": 280, "active": 190, "system": 145}
Value = Callable[[State], Estimate | None]


def render(report: SimulationReport) -> str:
    """The page of a simulation."""
    arms = {arm.name: arm for arm in report.arms}
    return (
        _templates()
        .get_template("simulation.html")
        .render(report=report, system=arms["system"], charts=charts(report.arms, report.quality))
    )


def charts(arms: Sequence[ArmReport], quality: str) -> list[Curves]:
    """What labels cost and how good they are, and the model that comes of them, against people's hours."""
    labels = "share of the pool's labels that are wrong, if all were handed over now"
    lacks, needed = f"what it lacks to 1; quality is {quality}", "what people needed for an item of each round"
    return [
        _against_hours("Labels wrong", labels, "labels wrong", arms, lambda at: at.labels_wrong),
        _against_hours("The model on unseen data", lacks, "missing to 1", arms, _missing),
        _curves(
            "Seconds a label", needed, "round", "seconds", arms, lambda at: at.round, lambda at: at.seconds_per_label
        ),
    ]


def _missing(at: State) -> Estimate:
    value = at.model_quality
    low, high = (None if end is None else 1 - end for end in (value.high, value.low))
    return Estimate(1 - value.mean, low, high, value.n)


def _against_hours(title: str, note: str, y: str, arms: Sequence[ArmReport], value: Value) -> Curves:
    return _curves(title, note, "human hours", y, arms, lambda at: at.human_hours.mean, value)


def _curves(
    title: str, note: str, x: str, y: str, arms: Sequence[ArmReport], across: Callable[[State], float], value: Value
) -> Curves:
    """One curve an arm, with the interval over seeds as a band."""
    curves = []
    for arm in arms:
        told = [(across(at), found) for at in arm.points if (found := value(at)) is not None]
        points = tuple((at, found.mean) for at, found in told)
        curves.append(Curve(arm.name, points, HUES[arm.name], _band(told)))
    ends = [point for curve in curves for point in curve.points]
    return Curves(
        title=title,
        note=note,
        x=x,
        y=y,
        curves=tuple(curves),
        x_most=rounded_up(max((at for at, _ in ends), default=1.0)),
        y_most=rounded_up(max((at for _, at in ends), default=1.0)),
    )


def _band(told: Sequence[tuple[float, Estimate]]) -> tuple[Point, ...]:
    upper = [(at, found.high) for at, found in told if found.high is not None]
    lower = [(at, max(0.0, found.low)) for at, found in told if found.low is not None]
    return (*upper, *reversed(lower))


def hours(value: float) -> str:
    """Hours for a person: minutes where they are few."""
    return f"{60 * value:.1f} min" if value < 1 else f"{value:.2f} h"


def percent(value: float | None) -> str:
    """A share for a person."""
    return "–" if value is None else f"{100 * value:.1f} %"


def between(found: Estimate) -> str:
    """The interval of a share, where there is one."""
    if found.low is None or found.high is None:
        return "one seed"
    return f"{100 * found.low:.1f} – {100 * found.high:.1f} %"


@cache
def _templates() -> Environment:
    templates = environment("serving.simulation", "models.report", "models.drawing")
    templates.filters |= {"hours": hours, "percent": percent, "between": between}
    return templates
