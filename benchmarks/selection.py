"""What choosing costs: every strategy from ten thousand to ten million items, and beside its peers, in one run.

``python -m benchmarks.selection [--quick] [--only peers|large|growth] [--items 10000 100000 ..]`` measures each
contestant in a process of its own: processor seconds (of all threads), seconds by the clock, and the most memory that
the process ever held, embeddings and libraries included. Pools are made up: embeddings from one normal distribution,
where almost no item is much nearer than another, or from a hundred clusters. Of k-center it also says whether the picks
are those of the plain greedy algorithm. What was measured stands in docs/choosing.md.

The peers, scikit-activeml (1.0.1) and modAL (0.4.2.1), are no part of the product: ``pip install --no-deps --target
FOLDER scikit-activeml==1.0.1 makefun modAL-python==0.4.2.1 pandas python-dateutil six``, then ``PYTHONPATH=FOLDER``.
Without them the benchmark says so and runs the others.
"""

import argparse
import importlib
import importlib.util
import os
import resource
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from multiprocessing import get_context
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from models.arrays import Floats
from selection.strategies import (
    Covering,
    badge,
    cluster_margin,
    k_center,
    margin,
    typiclust,
    uncertainty,
    within_seconds,
)

Picks: TypeAlias = NDArray[np.intp]
CLASSES = 10
LABELLED = 50  # items that the peers' classifiers are taught with
SHAPES = ("normal", "clusters")
# The race and the large pool, each in items, numbers of an embedding and picks; the items of growing pools.
FULL = (10_000, 128, 1000), (1_000_000, 64, 500), (10_000, 100_000, 1_000_000, 10_000_000)
QUICK = (1000, 32, 100), (20_000, 16, 50), (1000, 10_000)
PRODUCTS, DIFFERENCES = "numpy k-center, products", "numpy k-center, differences"
PEERS = {"scikit-activeml": "skactiveml", "modAL": "modAL"}


@dataclass(frozen=True)
class Case:
    """One contestant on one pool, and how many seconds it should take at most, where that is a goal."""

    contestant: str
    items: int
    width: int
    picks: int
    shape: str = "normal"
    goal_s: float | None = None


@dataclass(frozen=True)
class Figures:
    """What a case took, and what was picked."""

    cpu_s: float
    clock_s: float
    peak_gb: float
    picks: Picks


class Pool:
    """Made-up items: the same for every contestant of a case."""

    def __init__(self, case: Case) -> None:
        rng = np.random.default_rng(0)
        self.points = rng.standard_normal((case.items, case.width), dtype=np.float32)
        if case.shape == "clusters":
            centres = 2 * rng.standard_normal((100, case.width), dtype=np.float32)
            self.points *= 0.5
            for first in range(0, case.items, 1 << 16):
                part = self.points[first : first + (1 << 16)]
                part += centres[rng.integers(100, size=len(part))]
        self.scores = rng.random(case.items)
        self.seconds = rng.gamma(2, 10, case.items) + 1

    @cached_property
    def probabilities(self) -> NDArray[np.float32]:
        """Of classes (n, K), mostly sure."""
        chances = np.random.default_rng(1).standard_gamma(0.3, (len(self.scores), CLASSES), dtype=np.float32) + 1e-6
        chances /= chances.sum(axis=1, keepdims=True)
        return chances

    @cached_property
    def labels(self) -> Floats:
        """Of the first items; NaN for the others."""
        labels = np.full(len(self.scores), np.nan)
        labels[:LABELLED] = np.arange(LABELLED) % CLASSES
        return labels


Contestant: TypeAlias = Callable[[Pool, int, np.random.Generator], Picks]


def stream(pool: Pool, picks: int, rng: np.random.Generator) -> Picks:
    """k-center in one pass."""
    cover = Covering(picks)
    for first in range(0, len(pool.scores), 1 << 16):
        cover.offer(pool.points[first : first + (1 << 16)])
    return cover.picks


def in_seconds(pool: Pool, picks: int, rng: np.random.Generator) -> Picks:
    """A day's work of as many mean items as are to be picked."""
    return within_seconds(uncertainty, pool.scores, pool.points, pool.seconds, 21.0 * picks, rng)


def plain_products(pool: Pool, picks: int, rng: np.random.Generator) -> Picks:
    """k-center as it is mostly written: every distance, from products in single precision; ties fall as they may."""
    points, chosen = pool.points, [int(np.argmax(pool.scores))]
    lengths = np.einsum("nd,nd->n", points, points)
    nearest = np.full(len(points), np.inf, np.float32)
    while len(chosen) < picks:
        away = lengths + lengths[chosen[-1]] - 2 * (points @ points[chosen[-1]])
        np.minimum(nearest, away, out=nearest)
        nearest[chosen[-1]] = -1
        chosen.append(int(np.argmax(nearest)))
    return np.array(chosen)


def plain_differences(pool: Pool, picks: int, rng: np.random.Generator) -> Picks:
    """k-center to the letter: every distance, from differences in double precision."""
    points, chosen = pool.points, [int(np.argmax(pool.scores))]
    nearest = np.full(len(points), np.inf)
    while len(chosen) < picks:
        centre = points[chosen[-1]].astype(np.float64)
        for first in range(0, len(points), 1024):
            away = points[first : first + 1024] - centre
            part = nearest[first : first + 1024]
            np.minimum(part, np.einsum("nd,nd->n", away, away), out=part)
        nearest[chosen[-1]] = -1
        chosen.append(int(np.argmax(nearest)))
    return np.array(chosen)


def skactiveml(name: str, **settings: Any) -> Contestant:
    """A query strategy of scikit-activeml."""

    def contestant(pool: Pool, picks: int, rng: np.random.Generator) -> Picks:
        query = getattr(importlib.import_module("skactiveml.pool"), name)(random_state=0, **settings)
        if name in ("CoreSet", "TypiClust"):
            return np.asarray(query.query(pool.points, np.full(len(pool.scores), np.nan), batch_size=picks))
        classifier = importlib.import_module("skactiveml.classifier").SklearnClassifier(
            _regression(), classes=np.arange(CLASSES)
        )
        return np.asarray(query.query(pool.points, pool.labels, clf=classifier, batch_size=picks))

    return contestant


def modal_ranked_batch(pool: Pool, picks: int, rng: np.random.Generator) -> Picks:
    """modAL's batch mode: doubt and distance from what is chosen, together."""
    learner = importlib.import_module("modAL.models").ActiveLearner(
        _regression(), X_training=pool.points[:LABELLED], y_training=pool.labels[:LABELLED]
    )
    batch = importlib.import_module("modAL.batch").uncertainty_batch_sampling
    found = batch(learner, pool.points, n_instances=picks, n_jobs=1)
    return np.asarray(found[0] if isinstance(found, tuple) else found)


def _regression() -> Any:
    return importlib.import_module("sklearn.linear_model").LogisticRegression(max_iter=200)


OURS: dict[str, Contestant] = {
    "uncertainty": lambda pool, picks, rng: uncertainty(pool.scores, pool.points, picks, rng),
    "margin": lambda pool, picks, rng: uncertainty(margin(pool.probabilities), pool.points, picks, rng),
    "within_seconds": in_seconds,
    "k_center": lambda pool, picks, rng: k_center(pool.scores, pool.points, picks, rng),
    "Covering": stream,
    "badge": lambda pool, picks, rng: badge(pool.probabilities, pool.points, picks, rng),
    "typiclust": lambda pool, picks, rng: typiclust(pool.scores, pool.points, picks, rng),
    "cluster_margin": lambda pool, picks, rng: cluster_margin(margin(pool.probabilities), pool.points, picks, rng),
}
OTHERS: dict[str, Contestant] = {
    PRODUCTS: plain_products,
    DIFFERENCES: plain_differences,
    "scikit-activeml CoreSet": skactiveml("CoreSet"),
    "scikit-activeml Badge": skactiveml("Badge"),
    "scikit-activeml TypiClust": skactiveml("TypiClust"),
    "scikit-activeml margin": skactiveml("UncertaintySampling", method="margin_sampling"),
    "modAL ranked batch": modal_ranked_batch,
}


def main() -> None:
    """Parses, measures, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small pools, to see that all of it runs")
    parser.add_argument("--only", choices=("peers", "large", "growth"), help="one of the three tables")
    parser.add_argument("--items", type=int, nargs="+", help="how many, for the growth of each strategy")
    given = parser.parse_args()
    console = Console(width=120)
    missing = tuple(name for name, module in PEERS.items() if importlib.util.find_spec(module) is None)
    for name in missing:
        console.print(f"{name} is not installed: it is left out")
    race, large, items = QUICK if given.quick else FULL
    if given.only in (None, "peers"):
        run("Beside peers", [case for case in races(*race) if not case.contestant.startswith(missing)], console)
    if given.only in (None, "large"):
        run("k-center in a large pool", coverings(*large, goal_s=4), console)
    if given.only in (None, "growth"):
        run("Growth", [Case(name, n, large[1], large[2]) for name in OURS for n in given.items or items], console)


def races(items: int, width: int, picks: int) -> list[Case]:
    """Every strategy that a peer has, too."""
    names = ("scikit-activeml CoreSet", "badge", "scikit-activeml Badge", "typiclust", "scikit-activeml TypiClust",
             "cluster_margin", "modAL ranked batch", "margin", "scikit-activeml margin")  # fmt: skip
    goals = {"badge": 0.3}
    others = [Case(name, items, width, picks, goal_s=goals.get(name)) for name in names]
    return [*coverings(items, width, picks, goal_s=0.3), *others]


def coverings(items: int, width: int, picks: int, goal_s: float) -> list[Case]:
    """k-center in pools of both shapes, after the plain ways to it."""
    return [
        Case(name, items, width, picks, shape, goal_s if name == "k_center" else None)
        for shape in SHAPES
        for name in (DIFFERENCES, PRODUCTS, "k_center")
    ]


def run(title: str, cases: Sequence[Case], console: Console) -> None:
    """Measures the cases one after the other and prints a table."""
    table = Table(title=f"{title}: {len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.1f}")
    for column in ("contestant", "pool", "items", "picks", "CPU s", "clock s", "peak GB", "goal", "plain picks"):
        table.add_column(column, justify="left" if column in ("contestant", "pool") else "right")
    letter: dict[str, Picks] = {}  # what the plain greedy algorithm picks, by the pool's shape
    for case in cases:
        with ProcessPoolExecutor(1, get_context("spawn")) as process:
            figures = process.submit(measure, case).result()
        same = ""
        if case.contestant == DIFFERENCES:
            letter[case.shape] = figures.picks
        elif case.contestant in ("k_center", PRODUCTS) and case.shape in letter:
            same = f"{int((figures.picks == letter[case.shape]).sum())} of {case.picks}"
        goal = f"{case.goal_s} s" if case.goal_s else ""
        sizes = (f"{case.items:,} x {case.width}", f"{len(figures.picks):,}")
        took = (f"{figures.cpu_s:.2f}", f"{figures.clock_s:.2f}", f"{figures.peak_gb:.2f}")
        table.add_row(case.contestant, case.shape, *sizes, *took, goal, same)
    console.print(table)


def measure(case: Case) -> Figures:
    """Runs a case in this process, once on a tiny pool so that everything is loaded, then in earnest."""
    contestant = {**OURS, **OTHERS}[case.contestant]
    contestant(Pool(replace(case, items=200)), 20, np.random.default_rng(0))
    pool, rng = Pool(case), np.random.default_rng(0)
    cpu, clock = time.process_time(), time.perf_counter()
    picks = contestant(pool, case.picks, rng)
    cpu, clock = time.process_time() - cpu, time.perf_counter() - clock
    return Figures(cpu, clock, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, picks)


if __name__ == "__main__":
    main()
