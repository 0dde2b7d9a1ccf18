"""How good and how fast annotators are: shares and medians with exact intervals, from work whose answer is known."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import binom

from models.errors import InvalidInput
from models.records import Seconds
from models.reliability import most_errors

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Share:
    """``right`` of ``of``; ``low`` and ``high`` are the exact 95 % interval of the rate, 0 and 1 where ``of`` is 0.

    Source: Clopper and Pearson 1934.
    """

    right: int
    of: int
    low: float
    high: float


@dataclass(frozen=True)
class Speed:
    """Seconds a label: their sum and median over ``n``, and the median's exact 95 % interval, None from too few.

    The interval lies between two of the values themselves, whatever their distribution (order statistics; Thompson
    1936); a break in the middle of a label hardly moves it.
    """

    n: int
    total: Seconds
    median: Seconds
    low: Seconds | None
    high: Seconds | None


@dataclass(frozen=True)
class Work:
    """One label that somebody gave, and whether it is right: by the known answer of a planted gold item, and by what
    all who labelled the item say together; None where there is nothing to compare with. Where a tool tells no seconds
    they are 0, and do not count."""

    annotator: str
    seconds: Seconds
    right_on_gold: bool | None = None
    right_with_others: bool | None = None


@dataclass(frozen=True)
class Standing:
    """What is known of one annotator; no speed where no tool told seconds. ``gold_speed`` is that on the items of
    ``gold``, ``labels`` the number of all that they gave."""

    annotator: str
    speed: Speed | None
    gold: Share
    consensus: Share
    gold_speed: Speed | None = None
    labels: int = 0


def standings(work: Iterable[Work]) -> list[Standing]:
    """One standing an annotator, by name."""
    by_name: dict[str, list[Work]] = {}
    for one in work:
        by_name.setdefault(one.annotator, []).append(one)
    return [
        Standing(
            annotator=name,
            speed=_told([one.seconds for one in some]),
            gold=share([one.right_on_gold for one in some]),
            consensus=share([one.right_with_others for one in some]),
            gold_speed=_told([one.seconds for one in some if one.right_on_gold is not None]),
            labels=len(some),
        )
        for name, some in sorted(by_name.items())
    ]


def _told(seconds: Sequence[Seconds]) -> Speed | None:
    told = [one for one in seconds if one]
    return speed(told) if told else None


def share(outcomes: Sequence[bool | None]) -> Share:
    """How many of the known outcomes are right."""
    known = [outcome for outcome in outcomes if outcome is not None]
    right, wrong, tail = sum(known), len(known) - sum(known), (1 - CONFIDENCE) / 2
    return Share(right, len(known), 1 - most_errors(wrong, len(known), tail), most_errors(right, len(known), tail))


def speed(seconds: Sequence[Seconds]) -> Speed:
    """The median of at least one number of seconds.

    Raises:
        InvalidInput: there are none, or one is no finite number of at least 0.
    """
    values = np.sort(np.asarray(seconds, np.float64))
    if not len(values) or not (np.isfinite(values) & (values >= 0)).all():
        raise InvalidInput(f"seconds: expected finite numbers >= 0, at least one, got {list(seconds)[:5]}")
    below = int(binom.ppf((1 - CONFIDENCE) / 2, len(values), 0.5))  # so many values may well lie below the median
    if below and binom.cdf(below, len(values), 0.5) > (1 - CONFIDENCE) / 2:
        below -= 1
    known = binom.cdf(below, len(values), 0.5) <= (1 - CONFIDENCE) / 2
    low, high = (float(values[below]), float(values[-1 - below])) if known else (None, None)
    return Speed(len(values), float(values.sum()), float(np.median(values)), low, high)
