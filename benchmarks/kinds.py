"""Whether all promises of kinds hold together, and what they accept where one promise for all pays for the weakest.

``python -m benchmarks.kinds [--trials 2000] [--jobs 2]`` lets checks become more in simulated deployments, and has them
weighed at nine moments by the function that serves (``serving.weighing.weigh_checks``), each time from what stood
before. A run is broken if any promise of any kind on the way accepted more wrong labels than alpha. It says in how many
runs, with the exact 95 % interval, and which share of all items is accepted at some moments on average.

``--parts`` does the same for kinds of parts: images with boxes of several classes, which are wrong more often together
than by chance, and the question what is missing. What people find of a box is given, so nothing is matched.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cache, partial

import numpy as np
from rich.console import Console

from benchmarks import growing, kinds_of_parts
from benchmarks.kinds_of_parts import BEGUN
from benchmarks.risk import ALPHA, DELTA, POOL, Rate, flat, in_turn, limit, parser
from models.arrays import Floats
from models.records import PreAnnotation, Transcript, Uncertainty
from selection.kinds import REST, Kind
from selection.policy import Policy
from selection.risk import NoPromise, Threshold
from selection.rules import About
from serving.store.records import Audited
from serving.weighing import KindPromise, Kinds, Pool, Promise, Terms, weigh_checks

MOMENTS = [round(200 * 2 ** (step / 2)) for step in range(9)]  # 200 to 3,200 checks of all kinds together
TOLD = 400, 800, 1600, 3200
GRID = (np.arange(4000) + 0.5) / 4000  # scores, for the truth


@dataclass(frozen=True)
class Setting:
    """Kinds that are equally frequent: the error rate of each at a score, and scores evenly over [0, 1]."""

    name: str
    rates: Mapping[str, Rate]

    @property
    def policy(self) -> Policy:
        """That names them by their languages, the last being the rest."""
        return Policy(kinds=tuple(Kind("asr", name, language=name) for name in list(self.rates)[:-1]))

    def wrong_within(self, kind: str) -> Floats:
        """The share (grid,) of a kind that is wrong up to each score of the grid."""
        return np.cumsum(self.rates[kind](GRID)) / np.arange(1, len(GRID) + 1)


SETTINGS = [
    Setting("three corpora, of which 0.5 %, 3 % and 12 % are wrong",
            {"known": lambda s: 0.02 * s**3, "new": lambda s: 0.12 * s**3, REST: lambda s: 0.02 + 0.3 * s**2}),
    Setting("four kinds just above alpha, 2.04 %", dict.fromkeys(("a", "b", "c", REST), flat(1.02 * ALPHA))),
]  # fmt: skip


@cache
def said(wrong: bool) -> tuple[Transcript, Transcript]:
    """What a version says, and the truth."""
    return Transcript(""), Transcript("yes" if wrong else "")


def checks_of(setting: Setting, rng: np.random.Generator, n: int) -> list[Audited]:
    """Checks in the order in which they were handed out."""
    kinds, scores = rng.choice(list(setting.rates), n), rng.random(n)
    rates = np.select([kinds == name for name in setting.rates], [rate(scores) for rate in setting.rates.values()])
    found = zip(range(n), kinds.tolist(), scores.tolist(), (rng.random(n) < rates).tolist(), strict=True)
    return [check(*one) for one in found]


def check(number: int, kind: str, score: float, wrong: bool) -> Audited:
    """An item that a person checked, alone in its group."""
    label, truth = said(wrong)
    at = BEGUN + timedelta(seconds=number)
    answer = PreAnnotation(str(number), "asr", "v1", label, Uncertainty(score, 0.0, score), {}, ())
    return Audited(str(number), About(language=kind), 0.0, answer, truth, number, at, at, at, at)


def trial(name: str, seed: int) -> dict[str, tuple[bool, tuple[float, ...]]]:
    """Of each way: whether any promise was broken, and the coverage (len(TOLD),) at some numbers of checks."""
    setting = next(one for one in SETTINGS if one.name == name)
    rng = np.random.default_rng([41, seed])
    checks, policy = checks_of(setting, rng, MOMENTS[-1]), setting.policy
    pools = {name: Pool(rng.random(POOL // len(setting.rates))) for name in setting.rates}
    kinds = Kinds(pools, lambda one: policy.kind_of("asr", one.answer.label, one.about) or REST)
    together = Pool(np.concatenate([pool.scores for pool in pools.values()]))
    each = Terms("asr", 1.0, together, ALPHA, DELTA, kinds=kinds)
    ways = {"one for each kind": each}
    if len(set(setting.rates.values())) > 1:  # else there is nothing to compare
        ways["one for all"] = replace(each, kinds=None)
    return {way: followed(setting, checks, terms) for way, terms in ways.items()}


def followed(setting: Setting, checks: Sequence[Audited], terms: Terms) -> tuple[bool, tuple[float, ...]]:
    """Whether any promise that was ever made is broken, and the coverage at the moments that are told."""
    stood, broken, covered = None, False, {}
    for n in MOMENTS:
        stood = weigh_checks(checks[:n], None, terms, stood)
        within = {kind: np.searchsorted(GRID, most, side="right") for kind, most in limits(setting, stood.promise)}
        rates = {kind: setting.wrong_within(kind)[rows - 1] if rows else 0.0 for kind, rows in within.items()}
        if terms.kinds is None:  # the kinds are equally frequent, so all that is accepted of them is wrong as often as:
            broken |= float(np.mean(list(rates.values()))) > ALPHA
        else:
            broken |= any(rate > ALPHA for rate in rates.values())
        covered[n] = float(np.mean(list(within.values()))) / len(GRID)
    return broken, tuple(covered[n] for n in TOLD)


def limits(setting: Setting, promise: Promise) -> list[tuple[str, float]]:
    """Up to which score the items of each kind are accepted; -1 for none."""
    found = list[tuple[str, float]]()
    for kind in setting.rates:
        one = promise.of(kind) if isinstance(promise, KindPromise) else promise
        assert isinstance(one, Threshold | NoPromise)
        found.append((kind, limit(one)))
    return found


def main() -> None:
    """Parses, simulates, prints."""
    of_this = parser(__doc__)
    of_this.add_argument("--parts", action="store_true", help="kinds of parts instead of items")
    given = of_this.parse_args()
    console = Console(width=120)
    with ProcessPoolExecutor(given.jobs) as workers:
        if given.parts:
            kinds_of_parts.report(workers, given.trials, console)
            return
        console.print(f"alpha {ALPHA}, delta {DELTA}")
        for one in SETTINGS:
            outcomes = in_turn(workers, partial(trial, one.name), given.trials)
            growing.report(one.name, outcomes, console, len(MOMENTS), TOLD)


if __name__ == "__main__":
    main()
