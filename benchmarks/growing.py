"""Checks that become more, weighed again and again: how often any of the promises on the way is broken.

``python -m benchmarks.growing [--trials 2000] [--jobs 2]`` simulates deployments. Of each way to weigh it says in how
many runs a promise was broken, with the exact 95 % interval, and which share of all items was accepted at some numbers
of checks. ``benchmarks/risk.py`` is about a single weighing.
"""

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy.stats import binomtest

from benchmarks.risk import ALPHA, DELTA, POOL, STEPS, Items, Rate, alone, flat, in_turn, limit, parser
from models.arrays import Floats
from selection.growing import ladder, weigh
from selection.looks import begins, level, look
from selection.risk import accept_threshold


@dataclass(frozen=True)
class Setting:
    """Checks that become more, out of a pool that they are drawn from where ``of_pool``; ``rate`` as of ``alone``."""

    name: str
    rate: Rate
    of_pool: bool = False


MOMENTS = [round(100 * 1.2**step) for step in range(22)]  # 100 to 4,600: whenever a fifth more are known
TOLD = 200, 400, 800, 1600, 3200  # checks at which coverage is told
SETTINGS = [
    Setting("just above alpha, 2.04 %", flat(1.02 * ALPHA)),
    Setting("just above alpha, all of a pool of 5,000 checked", flat(1.02 * ALPHA), of_pool=True),
    Setting("good scores", lambda s: 0.158 * s**4.45),
    Setting("even the surest fail, 0.5 %", lambda s: 0.005 + 0.12 * s**3),
    Setting("scores say nothing, 1 %", flat(0.01)),
]


def trial(name: str, seed: int) -> dict[str, tuple[bool, tuple[float, ...]]]:
    """Of each way to weigh: whether any promise was broken, and the coverage (len(TOLD),) at some numbers of checks."""
    rng, of = np.random.default_rng([37, seed]), next(one for one in SETTINGS if one.name == name)
    checks, pool = alone(of.rate)(rng, POOL), rng.random(POOL)
    if of.of_pool:
        pool = checks.scores
        order = np.argsort(pool)
        scores, rates = pool[order], np.cumsum(checks.wrong[order]) / np.arange(1, POOL + 1)
    else:
        scores = (np.arange(STEPS * 20) + 0.5) / (STEPS * 20)
        rates = np.cumsum(of.rate(scores)) / np.arange(1, len(scores) + 1)
    outcomes = {}
    for way, held in ways_to_weigh(checks, pool).items():
        within = [int(np.searchsorted(scores, one, side="right")) for one in held]
        broken = any(n and rates[n - 1] > ALPHA for n in within)
        told = [max(row for row, n in enumerate(MOMENTS) if n <= at) for at in TOLD]
        outcomes[way] = broken, tuple(within[row] / len(scores) for row in told)
    return outcomes


def ways_to_weigh(checks: Items, pool: Floats) -> dict[str, list[float]]:
    """The thresholds (moments,) that stand at each of the moments, -1 for none."""
    by = ladder(pool)

    def once(n: int, delta: float) -> float:
        return limit(accept_threshold(checks.scores[:n], checks.wrong[:n], alpha=ALPHA, delta=delta, pool_scores=pool))

    def at_look(n: int) -> float:
        number = look(n, ALPHA, DELTA)
        return looks[number] if number else -1.0

    numbers = range(1, look(MOMENTS[-1], ALPHA, DELTA) + 1)
    looks = {one: once(begins(one, ALPHA, DELTA), level(one, DELTA)) for one in numbers}
    return {
        "at delta each time": [once(n, DELTA) for n in MOMENTS],
        "at looks": [at_look(n) for n in MOMENTS],
        "prelabel": [limit(weigh(checks.scores[:n], checks.wrong[:n], by, alpha=ALPHA, delta=DELTA)) for n in MOMENTS],
    }


def report(
    name: str,
    outcomes: Sequence[dict[str, tuple[bool, tuple[float, ...]]]],
    console: Console,
    moments: int = len(MOMENTS),
    told: Sequence[int] = TOLD,
) -> None:
    """One table a setting: of each way whether a run was broken, and what it accepted at the moments ``told``."""
    table = Table("weighed", "any promise broken", "95 % interval", *(f"coverage, {n:,}" for n in told), box=None)
    for way in outcomes[0]:
        broken, coverage = [one[way][0] for one in outcomes], np.mean([one[way][1] for one in outcomes], axis=0)
        low, high = binomtest(sum(broken), len(broken)).proportion_ci(0.95, method="exact")
        table.add_row(way, f"{100 * np.mean(broken):.1f} %", f"{100 * low:.1f} to {100 * high:.1f} %",
                      *(f"{one:.3f}" for one in coverage))  # fmt: skip
    console.print(f"\n{name}: weighed at {moments} moments, {len(outcomes)} runs")
    console.print(table)


def main() -> None:
    """Parses, simulates, prints."""
    given, console = parser(__doc__).parse_args(), Console(width=120)
    console.print(f"alpha {ALPHA}, delta {DELTA}")
    with ProcessPoolExecutor(given.jobs) as workers:
        for one in SETTINGS:
            report(one.name, in_turn(workers, partial(trial, one.name), given.trials), console)


if __name__ == "__main__":
    main()
