"""Whether the promise is kept, and what it covers, beside other ways to choose a threshold, in one run.

``python -m benchmarks.risk [--trials 2000] [--only NAME]`` simulates calibrations. Of each threshold it says how often
it accepts more wrong labels than promised, with the exact 95 % interval of that share, and which share of all items it
accepts on average, where no threshold accepts none. ``oracle`` is the best that is possible with the truth at hand.
``--jobs 1`` keeps it to one core.

The peer is MAPIE (1.6.0), which is no part of the product: ``pip install --no-deps --target FOLDER mapie==1.6.0``, then
``PYTHONPATH=FOLDER``. Without it the benchmark says so and runs the others.
"""

import argparse
import importlib
import importlib.util
import os
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy.special import bdtr
from scipy.stats import binomtest

from models.arrays import Bools, Floats
from selection.audit import AuditBound
from selection.checks import RandomChecks
from selection.parts import PartChecks, promise_parts, surest
from selection.risk import NoPromise, Threshold, accept_threshold

Rng: TypeAlias = np.random.Generator
Rate: TypeAlias = Callable[[Floats], Floats]  # scores (n,) -> how often such items are wrong
T = TypeVar("T")

ALPHA, DELTA = 0.02, 0.05
POOL = 5000
CROWD = 400_000  # items whose error rates stand for the truth
STEPS = 200
HAS_MAPIE = importlib.util.find_spec("mapie") is not None


@dataclass(frozen=True)
class Items:
    """Scores (n,), the probability of an error given all that the items share (n,), errors (n,), and groups (n,)."""

    scores: Floats
    rates: Floats
    wrong: Bools
    groups: NDArray[np.int64]

    def some(self, rows: NDArray[np.int64]) -> "Items":
        """The items of those rows."""
        return Items(self.scores[rows], self.rates[rows], self.wrong[rows], self.groups[rows])


Draw: TypeAlias = Callable[[Rng, int], Items]  # n items, or as many whole groups as hold about n
Method: TypeAlias = Callable[[Items, Floats], float | None]


@dataclass(frozen=True)
class Setting:
    """Items, how many of them are checked, of how large a pool, and whether the promise is for that pool alone."""

    name: str
    draw: Draw
    n: int
    pool: int = POOL
    grouped: bool = False
    of_pool: bool = False


def alone(rate: Rate, levels: int = 0) -> Draw:
    """Independent items, scores evenly over [0, 1] (in equal steps, if any), wrong with probability ``rate(score)``."""

    def draw(rng: Rng, n: int) -> Items:
        scores = rng.random(n)
        if levels:
            scores = np.floor(scores * levels) / levels
        rates = rate(scores)
        return Items(scores, rates, rng.random(n) < rates, np.arange(n))

    return draw


def clips(rng: Rng, n: int, whole: float = 1.0, worst: float = 1.0) -> Items:
    """Clips of 1 to 9 items about one score. A share ``whole`` of clips is right or wrong as a whole, in the others
    each item for itself; the largest clips are ``worst`` times as often wrong."""
    sizes = rng.integers(1, 10, max(1, n // 5))
    clip = np.repeat(np.arange(len(sizes)), sizes)
    level = rng.random(len(sizes))
    rates = np.minimum(1, 0.12 * level**3 * np.where(sizes == 9, worst, 1))
    together = (rng.random(len(sizes)) < whole)[clip]
    wrong = np.where(together, (rng.random(len(sizes)) < rates)[clip], rng.random(len(clip)) < rates[clip])
    scores = np.clip(level[clip] + rng.normal(0, 0.03, len(clip)), 0, 1)
    return Items(scores, rates[clip], wrong, clip)


def flat(rate: float) -> Rate:
    """The same whatever the score."""
    return lambda scores: np.full(len(scores), rate)


def surest_worst(scores: Floats) -> Floats:
    """The surest tenth is wrong far too often, as where a model is sure of what it never learnt."""
    return np.where(scores < 0.1, 0.06, 0.004 + 0.1 * scores**4)


SETTINGS = [
    Setting("good scores, n = 1,000", alone(lambda s: 0.158 * s**4.45), 1000),  # 2.9 % of all are wrong
    Setting("good scores, n = 3,000", alone(lambda s: 0.158 * s**4.45), 3000),
    Setting("good scores, n = 10,000", alone(lambda s: 0.158 * s**4.45), 10_000),
    Setting("even the surest fail, 0.5 %", alone(lambda s: 0.005 + 0.12 * s**3), 3000),
    Setting("the surest are the worst", alone(surest_worst), 3000),
    Setting("scores say nothing, 2.1 %", alone(flat(0.021)), 3000),
    Setting("scores say nothing, 1 %", alone(flat(0.01)), 3000),
    Setting("five levels of ties", alone(lambda s: 0.002 + 0.1 * s**3, levels=5), 2000),
    Setting("a pool of 20", alone(lambda s: 0.158 * s**4.45), 1000, pool=20),
    Setting("few checks, n = 200", alone(lambda s: 0.158 * s**4.45), 200),
    Setting("clips wrong as a whole", clips, 6000, grouped=True),
    Setting("clips, errors of their own", partial(clips, whole=0.0), 6000, grouped=True),
    Setting("clips, the largest the worst", partial(clips, worst=3.0), 6000, grouped=True),
    Setting("clips, promise for the pool", partial(clips, worst=3.0), 1500, pool=8000, of_pool=True),
]


def limit(found: Threshold | NoPromise) -> float:
    """The threshold, -1 for none."""
    return found.threshold if isinstance(found, Threshold) else -1.0


def ours(items: Items, pool: Floats, grouped: bool = False) -> float | None:
    """The promise of ``selection.risk``."""
    groups = items.groups.tolist() if grouped else None
    held = accept_threshold(items.scores, items.wrong, alpha=ALPHA, delta=DELTA, pool_scores=pool, groups=groups)
    return held.threshold if isinstance(held, Threshold) else None


def bonferroni(items: Items, pool: Floats) -> float | None:
    """The loosest quantile of the pool whose own test passes at delta divided by their number."""
    grid = np.unique(np.quantile(pool, np.arange(1, STEPS + 1) / STEPS, method="inverted_cdf"))
    accepted, wrong = _counts(items, grid)
    passed = np.flatnonzero(bdtr(wrong, accepted, ALPHA) <= DELTA / len(grid))
    return float(grid[passed[-1]]) if len(passed) else None


def naive(items: Items, pool: Floats) -> float | None:
    """The loosest score up to which the checks themselves have no more errors than allowed."""
    grid = np.unique(items.scores)
    accepted, wrong = _counts(items, grid)
    allowed = np.flatnonzero(wrong <= ALPHA * accepted)
    return float(grid[allowed[-1]]) if len(allowed) else None


def mapie(items: Items, pool: Floats, fwer: str) -> float | None:
    """MAPIE's control of precision, of 'this label is right', over the quantiles of the pool."""
    grid = np.unique(np.quantile(pool, np.arange(1, STEPS + 1) / STEPS, method="inverted_cdf"))
    control = importlib.import_module("mapie.risk_control").BinaryClassificationController(
        predict_function=lambda scores: np.column_stack([scores, 1 - scores]),
        risk="precision",
        target_level=1 - ALPHA,
        confidence_level=1 - DELTA,
        list_predict_params=np.sort(1 - grid)[::-1],
        fwer_method=fwer,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        control.calibrate(items.scores, (~items.wrong).astype(int))
    valid = np.atleast_1d(control.valid_predict_params)
    return float(1 - valid.min()) if len(valid) else None


def _counts(items: Items, grid: Floats) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    order = np.argsort(items.scores)
    accepted = np.searchsorted(items.scores[order], grid, side="right")
    return accepted, np.concatenate([[0], np.cumsum(items.wrong[order])])[accepted]


def methods(setting: Setting) -> dict[str, Method]:
    """The contestants by name; MAPIE knows no groups, nor do the plain ones."""
    ways: dict[str, Method] = {"prelabel": partial(ours, grouped=setting.grouped)}
    if setting.grouped:
        ways["prelabel without groups"] = ours
    ways |= {"Bonferroni": bonferroni, "naive": naive}
    if HAS_MAPIE and not setting.grouped:
        ways["MAPIE, default"] = partial(mapie, fwer="bonferroni_holm")
        ways["MAPIE, fixed sequence"] = partial(mapie, fwer="fixed_sequence")
    return ways


@cache
def truth(name: str) -> tuple[Floats, Floats]:
    """Sorted scores (n,) of a crowd and the true error rate (n,) among all up to each."""
    crowd = _named(name).draw(np.random.default_rng(0), CROWD)
    order = np.argsort(crowd.scores, kind="stable")
    return crowd.scores[order], np.cumsum(crowd.rates[order]) / np.arange(1, len(order) + 1)


def trial(name: str, seed: int) -> dict[str, tuple[bool, bool, float]]:
    """Of each method: whether there was a threshold, whether it broke the promise, and the share that it accepts.

    A setting goes by its name: its functions do not travel between processes.
    """
    setting, rng = _named(name), np.random.default_rng([17, seed])
    if setting.of_pool:
        pool = setting.draw(rng, setting.pool)
        checked = pool.some(rng.permutation(len(pool.scores))[: setting.n])  # drawn item by item
        order = np.argsort(pool.scores, kind="stable")
        scores, rates = pool.scores[order], np.cumsum(pool.wrong[order]) / np.arange(1, len(order) + 1)
    else:
        checked, pool = setting.draw(rng, setting.n), setting.draw(rng, setting.pool)
        scores, rates = truth(setting.name)
    outcomes = {}
    for way, method in methods(setting).items():
        threshold = method(checked, pool.scores)
        within = 0 if threshold is None else int(np.searchsorted(scores, threshold, side="right"))
        outcomes[way] = threshold is not None, bool(within and rates[within - 1] > ALPHA), within / len(scores)
    return outcomes


def _named(name: str) -> Setting:
    return next(one for one in SETTINGS if one.name == name)


def report(setting: Setting, outcomes: Sequence[dict[str, tuple[bool, bool, float]]], console: Console) -> None:
    """One table a setting."""
    _, rates = truth(setting.name)
    oracle = (np.flatnonzero(rates <= ALPHA) + 1).max(initial=0) / len(rates)
    table = Table("method", "coverage", "with a threshold", "promise broken", "95 % interval", box=None)
    for name in outcomes[0]:
        given, broken, coverage = np.array([one[name] for one in outcomes]).T
        low, high = binomtest(int(broken.sum()), len(broken)).proportion_ci(0.95, method="exact")
        verdict = "" if low <= DELTA else "  more often than promised"
        table.add_row(name, f"{coverage.mean():.3f}", f"{given.mean():.3f}", f"{100 * broken.mean():.1f} %",
                      f"{100 * low:.1f} to {100 * high:.1f} %{verdict}")  # fmt: skip
    console.print(f"\n{setting.name}: {setting.n} checks, oracle coverage {oracle:.3f}, {len(outcomes)} calibrations")
    console.print(table)


@dataclass(frozen=True)
class Parts:
    """Items (n,) with parts (p,): of each part its score, error rate, error and item; of each item the doubt whether
    something is missing, the rate of that, and whether something is."""

    scores: Floats
    rates: Floats
    wrong: Bools
    item: NDArray[np.int64]
    doubts: Floats
    lacking: Floats
    lacks: Bools


def parts_of(rng: Rng, n: int) -> Parts:
    """Items of 1 to 12 parts about one score; in half of the items they are right or wrong together."""
    item = np.repeat(np.arange(n), rng.integers(1, 13, n))
    level, doubts = rng.random(n), rng.random(n)
    scores = np.clip(level[item] + rng.normal(0, 0.1, len(item)), 0, 1)
    rates, together = 0.12 * level[item] ** 3, (rng.random(n) < 0.5)[item]
    wrong = np.where(together, rng.random(n)[item], rng.random(len(item))) < rates
    return Parts(scores, rates, wrong, item, doubts, 0.1 * doubts**3, rng.random(n) < 0.1 * doubts**3)


@cache
def parts_crowd() -> Parts:
    """Items whose rates stand for the truth."""
    return parts_of(np.random.default_rng(1), CROWD // 8)


def parts_trial(seed: int) -> tuple[bool, bool, float, float]:
    """Whether either promise for parts is broken: for those accepted, for what is missing; and what both cover."""
    rng = np.random.default_rng([31, seed])
    checked, pool, crowd = parts_of(rng, 3000), parts_of(rng, POOL), parts_crowd()
    names = [str(number) for number in range(len(checked.doubts))]
    items = RandomChecks.of(names, checked.doubts, checked.lacks, np.zeros(len(names)), 1.0)
    held = promise_parts(PartChecks.of(items, checked.scores, checked.wrong, checked.item),
                         alpha=ALPHA, delta=DELTA, pool_parts=pool.scores, pool_missing=pool.doubts)  # fmt: skip
    broken, covered = [], []
    kept = surest(crowd.scores, crowd.item, held.most)
    for one, scores, rates in ((held.parts, np.where(kept, crowd.scores, 2.0), crowd.rates),
                               (held.missing, crowd.doubts, crowd.lacking)):  # fmt: skip
        within = scores <= limit(one)
        broken.append(bool(within.any() and rates[within].mean() > ALPHA))
        covered.append(float(within.mean()))
    return broken[0], broken[1], covered[0], covered[1]


def parts_report(outcomes: Sequence[tuple[bool, bool, float, float]], console: Console) -> None:
    """One line: how often either of the two promises was broken."""
    of_parts, of_missing, parts, missing = np.array(outcomes).T
    either = int((of_parts.astype(bool) | of_missing.astype(bool)).sum())
    low, high = binomtest(either, len(outcomes)).proportion_ci(0.95, method="exact")
    console.print(f"\nparts of 3,000 items, {len(outcomes)} calibrations: either promise broken in "
                  f"{100 * either / len(outcomes):.1f} % ({100 * low:.1f} to {100 * high:.1f} %), accepted "
                  f"{parts.mean():.3f} of the parts, not asked {missing.mean():.3f} of the items")  # fmt: skip


def audit_trial(rate: float, before: int, seed: int) -> int | None:
    """After how many audits the promise is found broken, of 3,000; 1 % are wrong in the first ``before``."""
    rng = np.random.default_rng([29, seed])
    bound = AuditBound(ALPHA, DELTA)
    for number in range(3000):
        bound = bound.after(bool(rng.random() < (0.01 if number < before else rate)))
        if bound.crosses:
            return bound.n
    return None


def audits(trials: int, run: Callable[[Callable[[int], Any], int], list[Any]], console: Console) -> None:
    """False alarms of the endless audit, and how soon it finds a rise."""
    table = Table("errors", "good audits before", "found", "false or early", "median delay", box=None)
    for rate, before in [
        (0.02, 0),
        (0.04, 0),
        (0.06, 0),
        (0.06, 300),
        (0.06, 1000),
        (0.2, 0),
        (0.2, 1000),
        (1.0, 1000),
    ]:
        some = trials if rate == ALPHA else max(100, trials // 10)
        found = run(partial(audit_trial, rate, before), some)
        late = [n - before for n in found if n is not None and n > before]
        early = sum(n is not None and (rate <= ALPHA or n <= before) for n in found)
        low, high = binomtest(early, some).proportion_ci(0.95, method="exact")
        table.add_row(f"{100 * rate:.0f} %", str(before), f"{len(late) / some:.2f}",
                      f"{100 * early / some:.1f} % ({100 * low:.1f} to {100 * high:.1f} %)",
                      f"{np.median(late):.0f} audits" if late else "never")  # fmt: skip
    console.print(f"\naudits of accepted labels, alpha {ALPHA}, delta {DELTA}, up to 3,000 of them")
    console.print(table)


def parser(description: str | None) -> argparse.ArgumentParser:
    """Of a simulation: how many trials, in how many processes."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--trials", type=int, default=2000)
    made.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    return made


def in_turn(workers: Executor, one: Callable[[int], T], trials: int) -> list[T]:
    """What comes of each trial, in their order."""
    return list(workers.map(one, range(trials), chunksize=10))


def main() -> None:
    """Parses, simulates, prints."""
    of_this = parser(__doc__)
    of_this.add_argument("--only", default="", help="settings whose names hold this; also parts, audits")
    given = of_this.parse_args()
    console = Console(width=120)
    console.print(f"alpha {ALPHA}, delta {DELTA}; MAPIE is {'here' if HAS_MAPIE else 'not installed: left out'}")
    with ProcessPoolExecutor(given.jobs) as workers:
        run = partial(in_turn, workers)
        for setting in SETTINGS:
            if given.only in setting.name:
                report(setting, run(partial(trial, setting.name), given.trials), console)
        if given.only in "parts":
            parts_report(run(parts_trial, given.trials), console)
        if given.only in "audits":
            audits(given.trials, run, console)


if __name__ == "__main__":
    main()
