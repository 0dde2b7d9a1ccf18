"""Thresholds such as ``wer<=0.1`` or ``ap50_by_category.car>=0.7``, for builds that must fail when a model is worse."""

import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from models import tasks
from models.errors import InvalidInput
from models.figures import DOUBT, Named
from models.records import Task
from models.report.document import Threshold, Values

_COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
_SHAPE = re.compile(r"\s*(?P<metric>\w+)(?:\.(?P<part>.+?))?\s*(?P<compare><=|>=|<|>)\s*(?P<limit>[^<>=\s]+)\s*")


T = TypeVar("T")


@dataclass(frozen=True)
class Wish:
    """What a metric, or its ``part`` for one category, should be."""

    text: str
    metric: str
    part: str | None
    compare: str
    limit: float


def parse_wish(task: Task, text: str) -> Wish:
    """A wish about a metric of the task.

    Raises:
        InvalidInput: saying what a wish looks like, or which metrics there are.
    """
    shape = _SHAPE.fullmatch(text)
    limit = _number(shape["limit"]) if shape else None
    if shape is None or limit is None:
        raise InvalidInput(f"threshold: expected METRIC<=NUMBER (or >=, <, >), got {text!r}")
    known = [*tasks.results(task).METRICS, *DOUBT]
    if shape["metric"] not in known:
        raise InvalidInput(f"threshold {text!r}: expected a metric of {task} ({', '.join(known)})")
    return Wish(text, shape["metric"], shape["part"], shape["compare"], limit)


def check(wish: Wish, metrics: Values) -> Threshold:
    """Whether the metrics are as wished; a figure that has no meaning is not.

    Raises:
        InvalidInput: as ``wished`` says.
    """
    value = wished(wish, metrics)
    return Threshold(wish.text, value, value is not None and _COMPARE[wish.compare](value, wish.limit))


def wished(wish: Wish, named: Named[T]) -> T:
    """What of all that is measured the wish is about.

    Raises:
        InvalidInput: the wish is about a category that is not measured, or about all of several.
    """
    value = named[wish.metric]
    if isinstance(value, Mapping):
        if wish.part is None or wish.part not in value:
            known = ", ".join(f"{wish.metric}.{name}" for name in value)
            raise InvalidInput(f"threshold {wish.text!r}: expected one of {known or 'no category at all'}")
        found: T = value[wish.part]
        return found
    if wish.part is not None:
        raise InvalidInput(f"threshold {wish.text!r}: expected {wish.metric} alone, it has no parts")
    return value


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
