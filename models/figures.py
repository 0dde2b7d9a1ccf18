"""The figures of an evaluation: the field's metrics and how true the doubt is, each with its interval.

A statistic is a function of rows: indices of items, some of them several times in a bootstrap sample. Whatever is
costly is counted once for every item (edits, matched boxes, points near a line); a statistic only sums those counts.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, TypeVar

import numpy as np

from models.arrays import Bools, Floats
from models.reliability import ROUNDS, Interval, Rows, aurc, auroc, ece, interval, nce

Statistic: TypeAlias = Callable[[Rows], float | None]
Statistics: TypeAlias = Mapping[str, Statistic | Mapping[str, Statistic]]

S = TypeVar("S")
T = TypeVar("T")
Named: TypeAlias = Mapping[str, T | Mapping[str, T]]

FEW = 10  # groups or items, below which percentile intervals of them are clearly too narrow
SEED = 0  # every statistic sees the same bootstrap samples


@dataclass(frozen=True)
class Meaning:
    """What a metric says, in a few words, and whether lower or higher is better."""

    words: str
    better: Literal["lower", "higher"]


DOUBT = {
    "auroc": Meaning("chance that a wrong label is more doubtful than a right one", "higher"),
    "ece": Meaning("expected calibration error of p_error", "lower"),
    "aurc": Meaning("mean share of wrong labels among the surest, over all coverages", "lower"),
    "nce": Meaning("share of the uncertainty about right and wrong that p_error takes away", "higher"),
    "error_rate": Meaning("share of labels that a person would change", "lower"),
    "auroc_max_probability": Meaning("auroc of 1 less the model's probability", "higher"),
    "aurc_max_probability": Meaning("aurc of 1 less the model's probability", "lower"),
}


@dataclass(frozen=True)
class Figures:
    """Metrics of ``n`` items, and the interval of each from samples of items, or of groups where ``groups`` >= 2.

    ``too_few`` says that there are so few of those that the intervals are too narrow.
    """

    n: int
    groups: int
    metrics: Named[float | None]
    intervals: Named[Interval | None]
    too_few: bool


def figures(statistics: Statistics, rows: Rows, groups: Sequence[str | None], rounds: int = ROUNDS) -> Figures:
    """Every statistic over some rows; ``groups`` (of all items) are drawn whole, since their items are not independent.

    Items that all belong to one group are drawn alone: one group has no neighbours to differ from.
    """
    shared = [groups[row] for row in rows]
    count = len({group for group in shared if group is not None})
    drawn = shared if count >= 2 else None

    def between(statistic: Statistic) -> Interval | None:
        return interval(statistic, rows, rng=np.random.default_rng(SEED), groups=drawn, rounds=rounds)

    return Figures(
        n=len(rows),
        groups=count,
        metrics=each(statistics, lambda statistic: statistic(rows)),
        intervals=each(statistics, between),
        too_few=(count + shared.count(None) if drawn else len(rows)) < FEW,
    )


def differences(ours: Statistics, theirs: Statistics) -> Statistics:
    """Ours less theirs, of what both have: the same rows for both, so that intervals of it are paired."""
    both: dict[str, Statistic | Mapping[str, Statistic]] = {}
    for name, one in ours.items():
        other = theirs.get(name)
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            both[name] = {part: _less(one[part], other[part]) for part in one if part in other}
        elif callable(one) and callable(other):
            both[name] = _less(one, other)
    return both


def doubt(p_error: Floats, max_probability: Floats | None, errors: Bools) -> Statistics:
    """How true the doubt ``p_error`` (n,) about labels is, of which ``errors`` (n,) are wrong.

    Args:
        max_probability: (n,) doubt that only looks at the model's probability, to compare with; None if unknown.
    """

    def baseline(statistic: Callable[[Floats, Bools], float | None]) -> Statistic:
        return lambda rows: None if max_probability is None else statistic(max_probability[rows], errors[rows])

    return {
        "auroc": lambda rows: auroc(p_error[rows], errors[rows]),
        "ece": lambda rows: ece(p_error[rows], errors[rows]),
        "aurc": lambda rows: aurc(p_error[rows], errors[rows]),
        "nce": lambda rows: nce(p_error[rows], errors[rows]),
        "error_rate": lambda rows: float(errors[rows].mean()),
        "auroc_max_probability": baseline(auroc),
        "aurc_max_probability": baseline(aurc),
    }


def each(named: Mapping[str, S | Mapping[str, S]], function: Callable[[S], T]) -> Named[T]:
    """The function of every value, under the same names."""
    return {
        name: {part: function(one) for part, one in value.items()} if isinstance(value, Mapping) else function(value)
        for name, value in named.items()
    }


def _less(one: Statistic, other: Statistic) -> Statistic:
    def difference(rows: Rows) -> float | None:
        ours, theirs = one(rows), other(rows)
        return None if ours is None or theirs is None else ours - theirs

    return difference
