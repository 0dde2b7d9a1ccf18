"""One simulation command: the loop on items with known labels, in several ways of working, and what each cost.

Each round of an arm and a seed is finished or not there, and every core works at one of its own; the same command
goes on where it was stopped, and with more seeds it adds those.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from itertools import product
from pathlib import Path

from rich.console import Console

from models import tasks
from models.counting import counted
from models.errors import InvalidInput, NotFound
from models.parts import nothing
from models.progress import progress_bar
from models.records import Task, to_json
from models.report.files import appearing
from models.room import room
from models.versions import Version, read_version, starters
from selection.cost import Costs
from selection.policy import Policy
from serving.loop import Loop
from serving.policies import read_policy
from serving.settings import Settings
from serving.simulation import document, page
from serving.simulation.arms import ARMS, Arm, ArmName
from serving.simulation.document import SimulationReport
from serving.simulation.figures import Before, arm_reports, sensitivity
from serving.simulation.plan import Plan
from serving.simulation.pool import read_pool
from serving.simulation.rounds import Round, turn
from serving.simulation.workers import workers
from serving.store.records import storable

QUALITY: Mapping[Task, str] = {
    "asr": "1 less the character error rate",
    "detection": "average precision at IoU 0.5",
    "lane": "F1 of points within 8 px of 512",
}
TERMS = "promise_of", "alpha", "delta", "audit_share", "calibration_share"  # of a policy, told in the report
DECIDING = "gold_share", "balance", "frames_apart"  # settings that are in no policy


@dataclass(frozen=True)
class Request:
    """What to simulate: ``rounds`` of twice as many labels each, from the version ``model`` (None: the serving one).

    ``from_nothing`` there is no model: the first round's labels make it, in ``first_epochs`` or as many as the task's
    recipe has. After each round a candidate is trained for ``epochs``; 0 leaves the first model as it is. ``costs``
    names a JSON file with constants of ``selection.cost``, those that it lacks being as they are there; without one,
    what people's corrections of that version in the store really cost counts, where there are enough of them.
    ``policy`` names a TOML file by which is decided instead of the settings, but for its people, days and dates.
    ``learn_until`` in [0, 1] and ``mistakes`` in [0, 1) are shares of the items.
    """

    task: Task
    data: tuple[str, ...]
    held_out: tuple[str, ...] = ()
    model: str | None = None
    rounds: int = 5
    seeds: int = 5
    epochs: int = 4
    learn_until: float = 0.25
    mistakes: float = 0.01
    limit: int | None = None
    groups: bool = True
    costs: Path | None = None
    from_nothing: bool = False
    first_epochs: int | None = None
    policy: Path | None = None

    def __post_init__(self) -> None:
        if not (0 <= self.learn_until <= 1 and 0 <= self.mistakes < 1):
            raise InvalidInput(f"simulate {self.task}: expected a share from 0 to 1 until which is learnt, and one of "
                               f"mistakes below 1, got {self.learn_until} and {self.mistakes}")  # fmt: skip
        if self.first_epochs is not None and not self.from_nothing:
            raise InvalidInput(f"simulate {self.task}: expected epochs of the first model only where there is none "
                               f"(--from-nothing), got {self.first_epochs}")  # fmt: skip
        for text in (*self.data, *self.held_out, str(self.costs or "")):
            storable(text, f"simulate {self.task}")  # the report names them


def simulate(
    request: Request,
    loop: Loop,
    settings: Settings,
    out: Path,
    now: datetime,
    *,
    console: Console | None = None,
    processes: int | None = None,
) -> SimulationReport:
    """Writes ``report.json`` and ``report.html`` below ``out``.

    Args:
        processes: that work side by side, each with one thread; None for one a core, 1 for this one alone.

    Raises:
        InvalidInput: nothing to label or to measure on that the first model has not seen, no constants in the file, a
            single round from nothing, which would leave the first model nothing to say, ``out`` is no folder, or its
            disk is full.
        NotFound: there is no such version, data or file.
    """
    if out.exists() and not out.is_dir():
        raise InvalidInput(f"{out}: expected a folder to write to, got a file")
    start, ancestors = _start(request, loop)
    seen, unknown = _seen(loop, start)
    pool = read_pool(request.task, request.data, request.held_out, seen, request.limit, request.groups)
    console = console or Console(stderr=True)
    if left_out := sum(one.trained_on for one in pool.sources):
        told = f"{counted(left_out, 'item')} left out, on which the first model was trained"
        console.print(f"simulate {request.task}: {told}; {counted(len(pool.pairs), 'item')} to label")
    costs, costs_from = _costs(request, loop, start)
    shares = tuple(2.0 ** (number - request.rounds) for number in range(1, request.rounds + 1))
    plan = Plan(
        task=request.task,
        start=start,
        pool=pool,
        settings=settings,
        shares=shares,
        epochs=request.epochs,
        learn_until=request.learn_until,
        mistakes=request.mistakes,
        folder=Path(),
        costs=costs,
        first_epochs=request.first_epochs,
        ancestors=ancestors,
        policy=_policy(request.policy, loop.policies.default) if request.policy else None,
        groups=request.groups,
    )
    plan = replace(plan, folder=(out / f"work-{_digest(plan)}").absolute())
    with room(out, "a round", "those that are done are kept there, and the same command goes on from them"):
        before = _before(plan)
        runs = _turned(plan, request.seeds, console, processes or len(os.sched_getaffinity(0)))
    report = _report(request, plan, unknown, costs_from, runs, before, now)
    _write(out, report)
    return report


def _report(
    request: Request,
    plan: Plan,
    unknown: bool,
    costs_from: str,
    runs: Mapping[ArmName, list[list[Round]]],
    before: Before,
    now: datetime,
) -> SimulationReport:
    pool, costs, policy = plan.pool, plan.costs, plan.decided_by
    return SimulationReport(
        task=plan.task,
        created_at=now,
        start=plan.start.name if plan.start else None,
        ancestors_unknown=unknown,
        data=pool.sources,
        held_out=pool.held_out_sources,
        n=len(pool.pairs),
        groups=len({item.group for item, _ in pool.pairs if item.group}) if policy.groups else 0,
        held_out_n=len(pool.held_out),
        seeds=request.seeds,
        shares=plan.shares,
        epochs_per_round=plan.epochs,
        learn_until=plan.learn_until,
        mistakes=plan.mistakes,
        promise_of=policy.promise_of,
        terms=_terms(plan),
        quality=QUALITY[plan.task],
        costs=asdict(costs),
        costs_from=costs_from,
        arms=arm_reports(plan.task, runs, before, costs, policy.of_parts),
        sensitivity=sensitivity(plan.task, runs, costs),
    )


def overview(report: SimulationReport) -> tuple[list[str], list[list[str]]]:
    """A report as a table for a terminal: its columns and its rows."""
    columns = ["arm", "human time", "of all-human", "95 % over seeds", "labels wrong", "model"]
    rows = [
        [
            arm.name,
            page.hours(arm.human_hours.mean),
            page.percent(arm.of_all_human.mean),
            page.between(arm.of_all_human),
            page.percent(arm.labels_wrong.mean),
            f"{arm.model_quality.mean:.3f}",
        ]
        for arm in report.arms
    ]
    return columns, rows


def _start(request: Request, loop: Loop) -> tuple[Version | None, tuple[Version, ...]]:
    """The first model, and the versions that it descends from."""
    if request.from_nothing:
        if request.model or request.rounds < 2:
            got = f"version {request.model}" if request.model else "1 round"
            raise InvalidInput(
                f"simulate {request.task} from nothing: expected no version and 2 rounds or more, got {got}"
            )
        return None, ()
    stored = loop.versions.of_task(request.task, request.model)
    version = read_version(stored.folder, stored.name)
    if request.epochs and not version.checkpoint.is_file():
        raise InvalidInput(f"simulate {request.task}: expected a version with a checkpoint to learn from, "
                           f"got {version.name}; let it be with --no-retrain")  # fmt: skip
    names, _ = loop.store.versions.ancestry(stored.name)
    return version, tuple(read_version(loop.versions.get(name).folder, name) for name in names[1:])


def _seen(loop: Loop, start: Version | None) -> tuple[frozenset[str], bool]:
    """All items that the first model or an ancestor was trained on, and whether some of those may be unknown."""
    if start is None:
        return frozenset(), False
    names, unknown = loop.store.versions.ancestry(start.name)
    seen = start.training_ids() | frozenset(loop.store.versions.trained_on(names))
    return seen, unknown is not None or "imported" in start.training


def _costs(request: Request, loop: Loop, start: Version | None) -> tuple[Costs, str]:
    """What people's work takes in this simulation, and where that comes from."""
    if request.costs is not None:
        return _read_costs(request.costs), str(request.costs)
    fitted = loop.trust(start.name).costs if start else None
    if fitted is None:
        return Costs(), "assumptions and published figures"
    return fitted.costs, f"fitted to the seconds of {fitted.n} corrections"


def _read_costs(path: Path) -> Costs:
    try:
        given = json.loads(path.read_bytes())
    except OSError as error:
        raise NotFound(f"{path}: expected constants of the cost model, got {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{path}: expected JSON, got {error}") from error
    names = [constant.name for constant in fields(Costs)]
    if not isinstance(given, dict) or not set(given) <= set(names):
        raise InvalidInput(f"{path}: expected an object with some of {', '.join(names)}, got {given!r}")
    wrong = [name for name, value in given.items() if isinstance(value, bool) or not isinstance(value, int | float)]
    if wrong:
        raise InvalidInput(f"{path}: {wrong[0]}: expected a number, got {given[wrong[0]]!r}")
    return Costs(**given)


def starter(task: Task) -> str:
    """The name of the version that comes with the product."""
    return next(version.name for version in starters() if version.task == task)


def _digest(plan: Plan) -> str:
    """What a simulation is, but for its number of seeds: its work is kept under this name."""
    start = plan.start.name if plan.start else ["nothing", plan.first_epochs]
    known = [
        plan.task,
        start,
        plan.shares,
        plan.epochs,
        plan.learn_until,
        plan.mistakes,
        asdict(plan.costs),
        plan.groups,
        plan.decided_by.version,
        [getattr(plan.settings, name) for name in DECIDING],
    ]
    labels = [
        [[item.id, item.group, item.language, to_json(label)] for item, label in pairs]
        for pairs in (plan.pool.pairs, plan.pool.held_out)
    ]
    return hashlib.sha256(json.dumps([known, labels]).encode()).hexdigest()[:12]


def _policy(file: Path, default: Policy) -> Policy:
    """The policy of a file, without what speaks of real people and days: a simulation has neither."""
    policy = read_policy(file, default)
    return replace(policy, budget_s_per_day=None, checks_from=None, annotators={}, deadlines=())


def _terms(plan: Plan) -> dict[str, float | str]:
    """By what the arms decide that choose, and what is wrong in all of them, for the report."""
    policy = plan.decided_by
    strategies = ", ".join(one.words for one in policy.strategies)
    terms = {name: getattr(policy, name) for name in TERMS}
    terms |= {"gold_share": plan.settings.gold_share, "strategy": strategies, "wrong": policy.matters.told(plan.task)}
    return terms | ({"policy": plan.policy.version} if plan.policy else {})


def _before(plan: Plan) -> Before:
    """What the first model says of everything, which every arm begins with; from nothing, it says nothing."""
    pairs, start = plan.pool.pairs, plan.start
    empty = [(nothing(label), label) for _, label in pairs]
    labels, quality = empty, 0.0
    if start:
        said = plan.workshop.answers(start, [item for item, _ in pairs])
        labels = [(said[item.id].label, label) for item, label in pairs]
        quality = plan.workshop.quality(start, plan.pool.held_out)
    return Before(
        n=len(pairs),
        labels_wrong=sum(plan.wrong(*pair) for pair in labels),
        label_quality=tasks.measure(plan.task, labels).quality,
        model_quality=quality,
        nothing_wrong=sum(plan.wrong(*pair) for pair in empty),
        nothing_quality=tasks.measure(plan.task, empty).quality,
    )


def _turned(plan: Plan, seeds: int, console: Console, processes: int) -> dict[ArmName, list[list[Round]]]:
    """All rounds of all arms and seeds; those of one arm and seed follow one another, others run side by side."""
    runs: dict[ArmName, list[list[Round]]] = {arm.name: [[] for _ in range(seeds)] for arm in ARMS}
    with progress_bar(console) as progress, workers(processes) as hands:
        bar = progress.add_task("rounds", total=len(ARMS) * seeds * len(plan.shares))
        waiting: dict[Future[Round], Arm] = {
            hands.submit(turn, plan, arm, seed, 1): arm for seed, arm in product(range(seeds), ARMS)
        }
        while waiting:
            for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                arm, done = waiting.pop(future), future.result()
                runs[arm.name][done.seed].append(done)
                left = len(plan.shares) - done.number
                progress.advance(bar, 1 + left if done.finished else 1)
                if not done.finished:
                    waiting[hands.submit(turn, plan, arm, done.seed, done.number + 1)] = arm
    return runs


def _write(out: Path, report: SimulationReport) -> None:
    """Each file appears whole or not at all, the report for programs last."""
    with appearing(out) as work:
        text = json.dumps(document.to_json(report), indent=2, ensure_ascii=False, allow_nan=False)
        (work / "report.json").write_text(text + "\n", encoding="utf-8")
        (work / "report.html").write_text(page.render(report), encoding="utf-8")
