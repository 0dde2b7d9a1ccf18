"""Whether the promises for kinds of parts, and for what is missing, hold together, and what they accept where one
promise for all parts pays for the worst class: what ``python -m benchmarks.kinds --parts`` simulates.

Images have up to a number of boxes of each class. In a quarter of the images boxes are wrong two and a half times as
often, in the others half as often, so the boxes of an image are wrong together. They are weighed by the function that
serves (``serving.weighing.weigh_checks``), at four moments, each time from what stood before.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from typing import Any
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from benchmarks import growing
from benchmarks.risk import Rate, flat, in_turn, limit
from models.arrays import Bools, Floats
from models.parts import PartErrors
from models.records import Box, Boxes, PreAnnotation, Uncertainty
from selection.kinds import MISSING, REST
from selection.parts import PartPromise, surest
from selection.risk import Threshold
from selection.rules import About
from serving.store.records import Audited
from serving.weighing import KindPromise, Kinds, Pool, Promise, Terms, weigh_checks

ALPHA, DELTA = 0.1, 0.05
MOMENTS = TOLD = 50, 100, 200, 400  # checked images
POOL, CROWD = 1000, 20000  # images: of which the pool is, and on which promises are judged
TOGETHER = (0.5, 2.5), (0.75, 0.25)  # how many times as often parts of an image are wrong, and in which share of images
BEGUN = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Class:
    """Boxes of one kind: up to so many in an image, evenly; and how often they are wrong at a score."""

    most: int
    rate: Rate


@dataclass(frozen=True)
class Setting:
    """Classes of boxes, and how often something is missing at a doubt; scores and doubts are even over [0, 1]."""

    name: str
    classes: Mapping[str, Class]
    missing: Rate


@dataclass(frozen=True)
class Images:
    """The boxes (p,) of ``n`` images: the row of each one's image, its class and score; and the doubt (n,) about each
    image."""

    item: NDArray[np.int64]
    kinds: NDArray[np.str_]
    scores: Floats
    doubts: Floats


SETTINGS = [
    Setting("cells, of which 2 % are wrong, and platelets, of which 25 % are",
            {REST: Class(6, lambda s: 0.08 * s**3), "platelets": Class(4, lambda s: 0.1 + 0.3 * s)},
            lambda s: 0.1 * s**3),
    Setting("two classes just above alpha, 10.2 %, as is what is missing",
            {REST: Class(3, flat(1.02 * ALPHA)), "platelets": Class(2, flat(1.02 * ALPHA))}, flat(1.02 * ALPHA)),
]  # fmt: skip


def images(setting: Setting, rng: np.random.Generator, n: int) -> Images:
    """As they come."""
    counts = {kind: rng.integers(0, one.most + 1, n) for kind, one in setting.classes.items()}
    item = np.concatenate([np.repeat(np.arange(n), of) for of in counts.values()])
    kinds = np.repeat(list(counts), [int(of.sum()) for of in counts.values()])
    order = np.argsort(item, kind="stable")
    return Images(item[order], kinds[order], rng.random(len(item)), rng.random(n))


def rates(setting: Setting, of: Images) -> Floats:
    """How often boxes (p,) like these are wrong."""
    return np.select([of.kinds == kind for kind in setting.classes], [one.rate(of.scores) for one in
                                                                     setting.classes.values()])  # fmt: skip


def checks_of(setting: Setting, rng: np.random.Generator, n: int) -> list[Audited]:
    """Checked images, in the order in which they were handed out; their truth is what was found of their parts."""
    of, often = images(setting, rng, n), rng.choice(TOGETHER[0], n, p=TOGETHER[1])
    wrong = rng.random(len(of.item)) < rates(setting, of) * often[of.item]
    lacking = rng.random(n) < setting.missing(of.doubts)
    begins = np.searchsorted(of.item, np.arange(n + 1))
    return [check(row, of, slice(*begins[row : row + 2]), wrong, bool(lacking[row])) for row in range(n)]


def check(row: int, of: Images, parts: slice, wrong: Bools, lacking: bool) -> Audited:
    """An image alone in its group."""
    drawn = zip(of.kinds[parts].tolist(), of.scores[parts].tolist(), strict=True)
    boxes = tuple(Box((20.0 * place, 0, 20.0 * place + 10, 10), kind, 1 - score)
                  for place, (kind, score) in enumerate(drawn))  # fmt: skip
    at, doubt = BEGUN + timedelta(seconds=row), float(of.doubts[row])
    features = {"expected_missed": float(-np.log1p(-doubt))}
    said = PreAnnotation(
        str(row), "detection", "v1", Boxes(640, 480, boxes), Uncertainty(doubt, 0.0, doubt), features, ()
    )
    return Audited(str(row), About(), 0.0, said, PartErrors(wrong[parts], int(lacking), None), row, at, at, at, at)


def categories(one: Audited) -> list[str]:
    """The kind of each box of an image."""
    assert isinstance(one.answer.label, Boxes)
    return [box.category for box in one.answer.label.boxes]


def given(_task: Any, _said: Any, truth: PartErrors, _matters: Any) -> PartErrors:
    """What people found, instead of a comparison with their label."""
    return truth


@cache
def crowd(name: str) -> tuple[Images, Floats]:
    """Many images, and how often their boxes are wrong: on what is accepted of them a promise is judged."""
    setting = next(one for one in SETTINGS if one.name == name)
    of = images(setting, np.random.default_rng(43), CROWD)
    return of, rates(setting, of)


def trial(name: str, seed: int) -> dict[str, tuple[bool, tuple[float, ...]]]:
    """Of each way: whether any promise was broken, and the share (len(TOLD),) of the parts that it accepts."""
    setting = next(one for one in SETTINGS if one.name == name)
    rng = np.random.default_rng([47, seed])
    checks, pool = checks_of(setting, rng, MOMENTS[-1]), images(setting, rng, POOL)
    pools = {kind: Pool(pool.scores[pool.kinds == kind]) for kind in setting.classes} | {MISSING: Pool(pool.doubts)}
    all_parts = Terms("detection", 1.0, Pool(pool.doubts, pool.scores, pool.doubts), ALPHA, DELTA)
    kinds = Kinds(pools, lambda _: REST, categories)
    ways = {"one for each kind": replace(all_parts, kinds=kinds), "one for all parts": all_parts}
    with patch("serving.weighing.part_errors", given):
        return {way: followed(setting, checks, terms) for way, terms in ways.items()}


def followed(setting: Setting, checks: Sequence[Audited], terms: Terms) -> tuple[bool, tuple[float, ...]]:
    """Whether any promise that was ever made is broken, and what is accepted at the moments."""
    stood, broken, covered = None, False, []
    of, wrong = crowd(setting.name)
    for n in MOMENTS:
        stood = weigh_checks(checks[:n], None, terms, stood)
        taken, most = accepted(stood.promise, of)
        for each in [within for within in taken if within.any()]:
            broken |= bool(wrong[each].mean() > ALPHA)
        within = of.doubts[of.doubts <= most]
        broken |= bool(len(within) and setting.missing(within).mean() > ALPHA)
        covered.append(float(np.mean(np.any(taken, axis=0))))
    return broken, tuple(covered)


def accepted(promise: Promise, of: Images) -> tuple[list[Bools], float]:
    """Which parts (p,) each promise accepts, and up to which doubt nobody is asked what is missing; -1 for never."""
    if isinstance(promise, KindPromise):
        kinds = [kind for kind in promise.each if kind != MISSING]
        taken, missing = [within(promise.parts_of(kind), of, of.kinds == kind) for kind in kinds], promise.of(MISSING)
    else:
        assert isinstance(promise, PartPromise)
        taken, missing = [within(promise, of, np.ones(len(of.item), np.bool_))], promise.missing
    return taken, limit(missing)


def within(promise: PartPromise, of: Images, those: Bools) -> Bools:
    """Which of some parts (p,) are accepted."""
    taken = np.zeros(len(of.item), np.bool_)
    if isinstance(promise.parts, Threshold):
        may = surest(of.scores[those], of.item[those], promise.most) & (of.scores[those] <= promise.parts.threshold)
        taken[those] = may
    return taken


def report(workers: Executor, trials: int, console: Console) -> None:
    """Simulates, and prints a table a setting."""
    console.print(f"alpha {ALPHA}, delta {DELTA}, kinds of parts")
    for one in SETTINGS:
        outcomes = in_turn(workers, partial(trial, one.name), trials)
        growing.report(one.name, outcomes, console, len(MOMENTS), TOLD)
