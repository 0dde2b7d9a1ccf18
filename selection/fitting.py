"""The constants of ``cost``, fitted to the seconds that people really took.

People take breaks, and work at their own pace: what is fitted is the logarithm of the seconds, so that a factor counts
the same upwards and downwards, and far-off seconds pull no harder than near ones (pseudo-Huber loss: Huber 1964;
Charbonnier et al. 1997). A constant that the work at hand says nothing of stays as it was.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from scipy.optimize import minimize

from models.arrays import Floats
from models.errors import InvalidInput
from models.records import Seconds, Task
from selection.actions import Actions
from selection.cost import Costs

MINIMUM = 30  # corrections below which nothing is fitted
NEAR = 0.35  # log seconds: farther off than about 40 %, a correction pulls with constant force
PRIOR = 2.0  # how many corrections a constant of before weighs as much as
LEAST_S = 0.2  # nobody does anything faster


@dataclass(frozen=True)
class FittedCosts:
    """The constants, and how many corrections they were fitted to."""

    costs: Costs
    n: int


def fit_costs(
    task: Task, actions: Sequence[Actions], seconds: Sequence[Seconds], before: Costs | None = None
) -> FittedCosts | None:
    """The constants of a task from what people did (n,) and the seconds (n,) that it took; None from too few.

    Where a tool tells no seconds they are 0, and the correction is left out.

    Raises:
        InvalidInput: lengths that differ, a number of seconds that is not finite, or a sound of unknown length.
    """
    took = np.asarray(seconds, np.float64)
    if took.shape != (len(actions),) or not np.isfinite(took).all():
        raise InvalidInput(
            f"seconds: expected {len(actions)} finite numbers, one for each correction, got {took.shape}"
        )
    told = [one for one, any_s in zip(actions, took > 0, strict=True) if any_s]
    if len(told) < MINIMUM:
        return None
    costs = before or Costs()
    names, predicted = _MODELS[task](told)
    start = np.log(_constants(costs, names))
    spent = np.log(np.maximum(took[took > 0], LEAST_S))

    def loss(x: Floats) -> float:
        off = (spent - np.log(predicted(np.exp(x)))) / NEAR
        return float((np.sqrt(1 + off**2) - 1).sum() + PRIOR / 2 * (((x - start) / NEAR) ** 2).sum())

    fitted = np.exp(minimize(loss, start, method="L-BFGS-B", bounds=[(s - 4, s + 4) for s in start]).x)
    return FittedCosts(_with(costs, names, fitted), len(told))


Model: TypeAlias = tuple[tuple[str, ...], Callable[[Floats], Floats]]  # names of constants; constants -> seconds (n,)


def _image(part: str) -> Callable[[Sequence[Actions]], Model]:
    """A look, a check of each part shown, an adjustment of each wrong one, a drawing of each added one."""

    def model(actions: Sequence[Actions]) -> Model:
        counts = np.array(
            [[1, c.shown, c.altered + c.removed, c.added] for c in (one.changes for one in actions)], np.float64
        )
        names = ("image_s", f"{part}_verify_s", f"{part}_adjust_s", f"{part}_draw_s")
        return names, lambda constants: np.asarray(counts @ constants)

    return model


def _sound(actions: Sequence[Actions]) -> Model:
    """Its length times a ratio: that of checking, rising with the word error rate up to that of starting afresh."""
    if any(one.duration_s is None for one in actions):
        raise InvalidInput("actions of asr: expected the duration in seconds, got none")
    duration = np.array([one.duration_s for one in actions], np.float64)
    changes = [one.changes for one in actions]
    wer = np.array([(c.altered + c.removed + c.added) / max(1, c.given) for c in changes], np.float64)
    shown = np.array([one.shown for one in actions], np.bool_)

    def predicted(constants: Floats) -> Floats:
        check, beyond, break_even = constants
        ratio = check + np.where(shown, np.minimum(1, wer / break_even), 1) * beyond
        return np.asarray(np.maximum(duration, 1e-3) * ratio)

    return ("check_ratio", _BEYOND, "break_even_wer"), predicted


_BEYOND = "transcribe_ratio - check_ratio"  # fitted in its place: starting afresh always takes longer than checking
_MODELS: dict[Task, Callable[[Sequence[Actions]], Model]] = {
    "asr": _sound,
    "detection": _image("box"),
    "lane": _image("lane"),
}


def _constants(costs: Costs, names: Sequence[str]) -> Floats:
    beyond = max(1e-3, costs.transcribe_ratio - costs.check_ratio)
    return np.array([beyond if name == _BEYOND else getattr(costs, name) for name in names], np.float64)


def _with(costs: Costs, names: Sequence[str], values: Floats) -> Costs:
    fitted = dict(zip(names, values.tolist(), strict=True))
    if _BEYOND in fitted:
        fitted["transcribe_ratio"] = fitted["check_ratio"] + fitted.pop(_BEYOND)
    return replace(costs, **fitted)
