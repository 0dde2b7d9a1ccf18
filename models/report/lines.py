"""The metrics of a report one by one, for a page or a terminal."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from models import tasks
from models.figures import DOUBT, Meaning
from models.reliability import Interval
from models.report.document import Report

T = TypeVar("T")


@dataclass(frozen=True)
class Line:
    """A metric, or its part for one category, and where there is another model, how it compares."""

    name: str
    part: str | None
    meaning: Meaning
    value: float | None
    interval: Interval | None
    other: float | None = None
    difference: float | None = None
    difference_interval: Interval | None = None

    @property
    def label(self) -> str:
        """As thresholds name it."""
        return self.name if self.part is None else f"{self.name}.{self.part}"

    @property
    def verdict(self) -> str:
        """Whether the difference to the other model is beyond chance, and which way."""
        low, high = self.difference_interval or (0.0, 0.0)
        if low <= 0 <= high:
            return "same"
        return "better" if (low > 0) == (self.meaning.better == "higher") else "worse"


def lines(report: Report) -> Iterator[Line]:
    """Every metric of a report, in its order."""
    meanings = {**tasks.results(report.task).METRICS, **DOUBT}
    intervals, against = dict(flat(report.intervals)), report.against
    other = dict(flat(against.metrics)) if against else {}
    less = dict(flat(against.differences)) if against else {}
    less_intervals = dict(flat(against.difference_intervals)) if against else {}
    for key, value in flat(report.metrics):
        name, part = key
        about = (other.get(key), less.get(key), less_intervals.get(key))
        yield Line(name, part, meanings[name], value, intervals[key], *about)


def flat(named: Mapping[str, T | Mapping[str, T]]) -> Iterator[tuple[tuple[str, str | None], T]]:
    """Every value behind its name and, in a metric by category, its part."""
    for name, value in named.items():
        if isinstance(value, Mapping):
            yield from (((name, part), one) for part, one in value.items())
        else:
            yield (name, None), value


def shown(value: float | None) -> str:
    """A figure for a person."""
    return "–" if value is None else f"{value:.3f}"


def span(interval: Interval | None) -> str:
    """An interval for a person."""
    return "–" if interval is None else f"{shown(interval[0])} – {shown(interval[1])}"


def measured(metrics: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What a version's figures are called, as a threshold calls them, and each for a person."""
    for name, value in metrics.items():
        if isinstance(value, Mapping):
            yield from ((f"{name}.{part}", figure) for part, figure in measured(value))
        else:
            yield name, shown(value) if isinstance(value, float | None) else str(value)
