"""From rounds to figures: curves with intervals over seeds, shares of all-human hours, and what the costs assume."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import accumulate

import numpy as np
from scipy.special import stdtrit

from models.errors import InvalidInput
from models.records import Task
from models.reliability import most_errors
from selection.cost import Costs
from serving.simulation.arms import ARMS, Arm, ArmName
from serving.simulation.document import ArmReport, Audit, Estimate, Point, Sensitivity
from serving.simulation.rounds import Round, seconds

HOUR = 3600.0
FULL = 0.01  # of the figure that decides promotions: as good as full supervision
FACTORS = (0.5, 1.5)
Runs = Mapping[ArmName, Sequence[Sequence[Round]]]  # of each arm, the rounds of each seed


@dataclass(frozen=True)
class Before:
    """How things stand before anybody works: what the first model says of the pool, and of unseen data."""

    n: int
    labels_wrong: int
    label_quality: float
    model_quality: float
    nothing_wrong: int
    nothing_quality: float


def estimate(values: Sequence[float], most: float = math.inf) -> Estimate:
    """The mean with its 95 % interval, from one value a seed.

    It is cut at 0, or at the least value where that is below, and at the ``most`` that a value can be.

    Raises:
        InvalidInput: there are none.
    """
    n = len(values)
    if not n:
        raise InvalidInput("estimate: expected at least one value, got none")
    mean = float(np.mean(values))
    if n == 1:
        return Estimate(mean, None, None, 1)
    half = float(stdtrit(n - 1, 0.975) * np.std(values, ddof=1) / np.sqrt(n))
    return Estimate(mean, max(mean - half, min(0.0, *values)), min(mean + half, most), n)


def arm_reports(task: Task, runs: Runs, before: Before, costs: Costs, of_parts: bool) -> tuple[ArmReport, ...]:
    """Every arm's figures; ``runs`` holds all arms, each with the same seeds in the same order.

    What was accepted unseen are labels or, ``of_parts``, parts.
    """
    return tuple(_arm_report(task, one, runs, before, costs, of_parts) for one in ARMS)


def sensitivity(task: Task, runs: Runs, costs: Costs) -> tuple[Sensitivity, ...]:
    """The same work at other costs, each constant on its own; constants that play no part are left out."""
    nominal = _shares(task, runs, costs)
    found = []
    for name in (constant.name for constant in fields(Costs)):
        value = getattr(costs, name)
        told = [
            Sensitivity(name, factor, factor * value, _shares(task, runs, replace(costs, **{name: factor * value})))
            for factor in FACTORS
        ]
        if any(one.of_all_human != nominal for one in told):
            found += told
    return tuple(found)


def _shares(task: Task, runs: Runs, costs: Costs) -> dict[ArmName, float]:
    """The mean share of all-human hours of each arm."""
    hours = {name: [_total(task, rounds, costs) for rounds in seeds] for name, seeds in runs.items()}
    return {name: float(np.mean(np.divide(mine, hours["all-human"]))) for name, mine in hours.items()}


def _total(task: Task, rounds: Sequence[Round], costs: Costs) -> float:
    return sum(seconds(task, one.work, costs) for one in rounds) / HOUR


def _arm_report(task: Task, one: Arm, runs: Runs, before: Before, costs: Costs, of_parts: bool) -> ArmReport:
    mine, all_human = runs[one.name], runs["all-human"]
    hours = [_total(task, rounds, costs) for rounds in mine]
    whole = [_total(task, rounds, costs) for rounds in all_human]
    reached = [
        share
        for rounds, human, most in zip(mine, all_human, whole, strict=True)
        if (share := _to_full_model(task, rounds, human[-1].model_quality, most, before, costs)) is not None
    ]
    return ArmReport(
        name=one.name,
        words=one.words,
        points=_points(task, one, mine, before, costs),
        human_hours=estimate(hours),
        of_all_human=estimate([had / most for had, most in zip(hours, whole, strict=True)]),
        labels_wrong=estimate([rounds[-1].labels_wrong / before.n for rounds in mine], 1),
        model_quality=estimate([rounds[-1].model_quality for rounds in mine], 1),
        of_all_human_to_full_model=estimate(reached) if reached else None,
        audits=tuple(_audit(rounds[-1], of_parts) for rounds in mine) if one.accepts else (),
        learnt=tuple(f"seed {each.seed}, round {each.number}: {each.learnt}" for rounds in mine for each in rounds),
    )


def _to_full_model(
    task: Task, rounds: Sequence[Round], full: float, all_human_hours: float, before: Before, costs: Costs
) -> float | None:
    """The share of all-human hours until the model is as good as one that has seen the whole pool."""
    if before.model_quality >= full - FULL:
        return 0.0
    spent = 0.0
    for one in rounds:
        spent += seconds(task, one.work, costs) / HOUR
        if one.model_quality >= full - FULL:
            return spent / all_human_hours
    return None


def _audit(last: Round, of_parts: bool) -> Audit:
    if not of_parts:
        return Audit(last.seed, last.accepted, last.accepted_wrong, _most(last.accepted_wrong, last.accepted))
    found = last.unseen
    missing = found.unasked, found.lacking, _most(found.lacking, found.unasked)
    return Audit(last.seed, found.parts, found.wrong, _most(found.wrong, found.parts), *missing)


def _most(wrong: int, n: int) -> float | None:
    return most_errors(wrong, n) if n else None


def _points(task: Task, one: Arm, mine: Sequence[Sequence[Round]], before: Before, costs: Costs) -> tuple[Point, ...]:
    """The state before the first round and after each; a seed that is done early stays where it is."""
    longest = max(map(len, mine))
    spent = [[seconds(task, each.work, costs) for each in rounds] for rounds in mine]
    hours = [[total / HOUR for total in accumulate(each)] for each in spent]

    def over(value: Callable[[Round], float], number: int) -> Estimate:
        return estimate([value(rounds[min(number, len(rounds)) - 1]) for rounds in mine], 1)

    points = [_first(one, before, len(mine))]
    for number in range(1, longest + 1):
        worked = [
            of_seed[number - 1] / len(rounds[number - 1].work)
            for of_seed, rounds in zip(spent, mine, strict=True)
            if number <= len(rounds) and rounds[number - 1].work
        ]
        points.append(
            Point(
                round=number,
                human_hours=estimate([each[min(number, len(each)) - 1] for each in hours]),
                labelled=over(lambda each: each.labelled / before.n, number),
                accepted=over(lambda each: each.accepted / before.n, number),
                labels_wrong=over(lambda each: each.labels_wrong / before.n, number),
                label_quality=over(lambda each: each.label_quality, number),
                model_quality=over(lambda each: each.model_quality, number),
                seconds_per_label=estimate(worked) if worked else None,
            )
        )
    return tuple(points)


def _first(one: Arm, before: Before, seeds: int) -> Point:
    def same(value: float) -> Estimate:
        return estimate([value] * seeds)

    wrong, quality = (
        (before.labels_wrong, before.label_quality) if one.shown else (before.nothing_wrong, before.nothing_quality)
    )
    nothing = same(0.0)
    return Point(
        round=0,
        human_hours=nothing,
        labelled=nothing,
        accepted=nothing,
        labels_wrong=same(wrong / before.n),
        label_quality=same(quality),
        model_quality=same(before.model_quality),
        seconds_per_label=None,
    )
