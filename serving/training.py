"""One training command: from data sets or the store's corrections to a published candidate version."""

import hashlib
import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from models import datasets
from models.counting import counted
from models.errors import InvalidInput
from models.importing import is_pretrained
from models.marks import Mark, Marks
from models.onnx_files import TUNED, description
from models.parts import tell_empty
from models.recordings import medium_sha256
from models.records import Boxes, Item, Label, Task
from models.versions import Version, read_version
from selection.calibration import MINIMUM
from serving.label_names import names_unknown
from serving.loop import Actor, Loop
from serving.settings import Settings
from serving.store.records import storable
from serving.tuning import first_calibration, tuned

# Beside a service the cores are busy: torch's threads then wait asleep, for spinning would take the time of those that
# they wait for. It must be said before torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

if TYPE_CHECKING:
    from models.export import Origin
    from models.pretrained import Pretrained
    from models.train import Plan

HELD_OUT_SHARE = 0.1  # of the groups, where no other data measures the result
CALIBRATION_SHARE = 0.05  # of the groups, where other data does
MOST_HELD_OUT = 0.2  # of the groups, where that many more make a first calibration possible
ENOUGH = 2 * MINIMUM  # items for that calibration
GENTLER = 0.1  # times the task's learning rate, where training goes on from a trained version
Pairs = list[tuple[Item, Label]]


@dataclass(frozen=True)
class Request:
    """What to train, on what and how; None means the task's own default."""

    task: Task
    data: tuple[str, ...]
    held_out: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()
    init: str | None = None
    epochs: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    keep: float = 0.0
    strong: bool = False
    seed: int = 0
    notes: str = ""

    def __post_init__(self) -> None:
        for text in (*self.data, *self.held_out, *self.unseen, self.notes):
            storable(text, f"train {self.task}")  # the version's card names them


@dataclass(frozen=True)
class Material:
    """Labelled items to train on; ``gold`` counts those that were left out, for no training sees gold items. ``marks``
    are what their data sets say of them beside the labels."""

    pairs: Pairs
    gold: int = 0
    marks: Marks = field(default_factory=dict)


def train_candidate(
    request: Request,
    loop: Loop,
    settings: Settings,
    actor: Actor,
    *,
    runs: Path | None = None,
    out: Path | None = None,
) -> Version:
    """Trains a version and makes it a candidate in the store, unless ``out`` names another folder for it.

    On the store's corrections training starts from the serving version; on data sets from nothing, or ``request.init``:
    a version, or a library's pretrained model as ``models.pretrained`` names it.

    Raises:
        NotFound: there is no version ``request.init`` of the task.
        InvalidInput: data of another task; the version was imported without a checkpoint; and, like LossNotFinite and
            Refused, as ``train_version``.
    """
    datasets.require_task("train", request.task, (*request.data, *request.held_out, *request.unseen))
    serving = loop.versions.serving(request.task)
    name = request.init or (serving.name if serving and not request.data else None)
    runs_dir = runs or settings.data_dir / "runs"
    start = _start(request.task, name, loop, runs_dir) if name else None
    _plan(request, start)  # what is no plan is told before the data is read
    version = train_version(
        request,
        material(request, loop),
        start=start,
        runs_dir=runs_dir,
        versions_dir=out or settings.data_dir / "models",
    )
    if out is None:
        loop.versions.add(version.folder, actor)
    return version


def _start(task: Task, name: str, loop: Loop, runs_dir: Path) -> "Version | Pretrained":
    """The version of that name, or a library's pretrained model."""
    if is_pretrained(name):
        from models.pretrained import start_from  # torch is loaded by training alone

        return start_from(task, name, runs_dir / "pretrained")
    version = read_version(loop.versions.of_task(task, name).folder, name)
    if not version.checkpoint.is_file():
        raise InvalidInput(f"train {version.task}: expected a version with a checkpoint to start from, "
                           f"got {version.name}, imported without one; name another with --init")  # fmt: skip
    return version


def material(request: Request, loop: Loop) -> Material:
    """The items of the request's data sets or, without any, the store's corrected ones; but for what is gold there."""
    if not request.data:
        gold_here = sum(1 for _ in loop.gold.labelled(request.task))
        return Material(list(loop.labelled.training_data(request.task)), gold_here)
    pairs, marks = read_marked(request.data)
    ids = _contents(pairs)
    gold = loop.gold.among(request.task, ids.values())
    return Material([pair for pair in pairs if ids[pair[0].uri] not in gold], len(gold), marks)


def train_version(
    request: Request,
    material: Material,
    *,
    start: "Version | Pretrained | None",
    runs_dir: Path,
    versions_dir: Path,
    console: Console | None = None,
) -> Version:
    """Trains, exports and measures a candidate; the same request on the same items goes on where it stopped.

    ``request.held_out`` gives its figures and ``request.unseen``, or else a share of the items (whole groups),
    calibrates its doubt and, without the former, gives them too. Both stay out of training.

    Raises:
        InvalidInput: nothing to train on.
        LossNotFinite: the loss stopped being a number; names the items.
        Refused: the exported model disagrees with the trained one.
    """
    from models.export import publish  # torch is loaded by training alone
    from models.train import train

    console = console or Console(stderr=True)
    if not material.pairs:
        source = ", ".join(request.data) or "the store's corrections"
        got = f"{counted(material.gold, 'gold item')} alone" if material.gold else "none"
        raise InvalidInput(f"train {request.task}: expected labelled items from {source}, got {got}")
    if material.gold:
        console.print(f"train {request.task}: {counted(material.gold, 'gold item')} left out of training")
    if told := tell_empty([label for _, label in material.pairs]):
        console.print(f"train {request.task}: {told}")
    shared = _share_out(material, request)
    if not shared.kept:
        raise InvalidInput(
            f"train {request.task}: expected items to train on besides those held out or unseen, got none"
        )
    _tell_unknown(request.task, shared, start, console)
    plan = _plan(request, start)
    run_dir = runs_dir / plan.run_name(shared.kept)
    network, settings = train(plan, shared.kept, run_dir, start=start, console=console)
    return publish(
        _origin(request, plan, start, shared.told, material.gold),
        network,
        settings,
        shared.kept,
        shared.held_out,
        versions_dir,
        unseen=shared.unseen,
        marks=shared.marks,
        tune=tuned,
        before=_tuned_before(request.task, start),
        calibrate=first_calibration,
        kept=f"what was trained is kept in {run_dir}, and the same command goes on from there",
    )


def _tuned_before(task: Task, start: "Version | Pretrained | None") -> dict[str, Any]:
    """What the file of a start says that was learnt on items kept out of its training."""
    about = description(start.onnx, task) if isinstance(start, Version) else {}
    return {name: about[name] for name in TUNED if name in about}


def _tell_unknown(task: Task, shared: "Shared", start: "Version | Pretrained | None", console: Console) -> None:
    known = set(start.settings.get("categories", ())) if start else set[str]()
    known |= {box.category for _, label in shared.kept if isinstance(label, Boxes) for box in label.boxes}
    if told := names_unknown((label for _, label in shared.held_out), known):
        console.print(f"train {task}: {told}", markup=False, highlight=False)


@dataclass(frozen=True)
class Shared:
    """What labelled items are for: ``kept`` are trained on; ``unseen``, other data or whole groups of the same, tune
    and calibrate the version; ``held_out`` give its figures, ``told`` says what those are; ``marks`` are of both."""

    kept: Pairs
    unseen: Pairs
    held_out: Pairs
    told: str
    marks: Marks


def _share_out(material: Material, request: Request) -> Shared:
    """The items shared out; without ``request.held_out`` the unseen ones give the figures too."""
    named = request.held_out or request.unseen
    (unseen, of_unseen), (held_out, of_held_out) = read_marked(request.unseen), read_marked(request.held_out)
    marks = {**material.marks, **of_unseen, **of_held_out}
    kept = without(material.pairs, [*unseen, *held_out])
    if not request.unseen:
        kept, unseen = hold_out(kept, request.seed, CALIBRATION_SHARE if named else HELD_OUT_SHARE)
    if named:
        figures = held_out if request.held_out else unseen
        return Shared(kept, unseen, figures, ", ".join(map(short_name, named)), marks)
    told = f"{len(unseen)} of {len(material.pairs)} items, whole groups drawn at random"
    return Shared(kept, unseen, unseen, told, marks)


def _plan(request: Request, start: "Version | Pretrained | None") -> "Plan":
    """What was asked for, and the task's own defaults where nothing was."""
    from models import tasks
    from models.train import Plan

    recipe = tasks.recipe(request.task, tasks.architecture(start.settings) if start else None)
    usual = recipe.LEARNING_RATE * (GENTLER if _trained_here(start) else 1)
    return Plan(
        task=request.task,
        data=tuple(map(short_name, request.data)) or ("corrections",),
        epochs=request.epochs or recipe.EPOCHS,
        batch_size=request.batch_size or recipe.BATCH_SIZE,
        learning_rate=usual if request.learning_rate is None else request.learning_rate,
        seed=request.seed,
        parent=start.name if start else None,
        keep=request.keep,
        strong=request.strong,
    )


def _origin(request: Request, plan: "Plan", start: "Version | Pretrained | None", held_out: str, gold: int) -> "Origin":
    """Where the version comes from, for its manifest and its card."""
    from models.export import Origin

    training = {key: value for key, value in asdict(plan).items() if key not in ("task", "data", "parent")}
    training["gold_left_out"] = gold
    if start and not isinstance(start, Version):
        training["start"] = start.name
    return Origin(
        task=request.task,
        parent=start.name if isinstance(start, Version) else None,
        created_at=datetime.now(UTC),
        data=plan.data,
        held_out=held_out,
        training=training,
        notes=request.notes,
    )


def _trained_here(start: "Version | Pretrained | None") -> bool:
    """Whether training goes on from what this product has trained; what others made has yet to learn the task."""
    return isinstance(start, Version) and "imported" not in start.training


def read_marked(specs: Sequence[str]) -> tuple[Pairs, Marks]:
    """All labelled items of some data sets, and what these say of them beside the labels.

    Raises:
        InvalidInput: one that has none.
        InvalidDataset, NotFound: as ``datasets.read``.
    """
    marked = list[tuple[Item, Label, Mark | None]]()
    for spec in specs:
        before = len(marked)
        marked += datasets.read_marked(spec)
        if len(marked) == before:
            raise InvalidInput(f"data set: expected labelled items, got none in {spec}")
    return [(item, label) for item, label, _ in marked], {item.uri: mark for item, _, mark in marked if mark}


def short_name(spec: str) -> str:
    """A data set's name without the folders of one machine: its format and the end of its path."""
    data_format, _, rest = spec.partition(":")
    return f"{data_format}:{'/'.join(rest.split('/')[-2:])}"


def without(pairs: Pairs, others: Pairs) -> Pairs:
    """Those whose medium, known by its bytes, is none of the others'."""
    known = set(_contents(others).values())
    ids = _contents(pairs) if known else {}
    return [pair for pair in pairs if ids.get(pair[0].uri) not in known]


def _contents(pairs: Pairs) -> dict[str, str]:
    """The id of each medium by its URI."""
    return {uri: medium_sha256(uri) for uri in {item.uri for item, _ in pairs}}


def hold_out(pairs: Pairs, seed: int, share: float = HELD_OUT_SHARE) -> tuple[Pairs, Pairs]:
    """(training, held out): whole groups go to one side, by a draw that depends on the group's name and the seed alone.

    A share of the groups is held out, and more as long as they hold fewer than ``ENOUGH`` items to calibrate on, up to
    a fifth of them; where even a fifth holds fewer than ``MINIMUM``, more would calibrate nothing: the share remains.
    What is trained on more than once is held out once. A group with which more than half of the items would be held out
    is passed over. Fewer than two groups leave nothing to hold out.
    """
    members: dict[str, set[str]] = defaultdict(set)
    for item, _ in pairs:
        members[_group(item)].add(item.uri)
    room, drawn = sum(map(len, members.values())) // 2, list[str]()
    for group in sorted(members, key=lambda group: _draw(group, seed)):
        if len(members[group]) <= room:
            drawn.append(group)
            room -= len(members[group])
    held = set(drawn[: _count([len(members[group]) for group in drawn], len(members), share)])
    kept = [pair for pair in pairs if _group(pair[0]) not in held]
    return kept, list({pair[0].uri: pair for pair in pairs if _group(pair[0]) in held}.values())


def _count(sizes: Sequence[int], groups: int, share: float) -> int:
    """How many of so many groups, from the first one of these sizes on, are held out."""
    if groups < 2:
        return 0
    least, most = (max(1, round(part * groups)) for part in (share, MOST_HELD_OUT))
    if sum(sizes[:most]) < MINIMUM:
        return least
    return next((count for count in range(least, most) if sum(sizes[:count]) >= ENOUGH), max(least, most))


def _group(item: Item) -> str:
    return item.group or item.id


def _draw(group: str, seed: int) -> str:
    return hashlib.sha256(f"{seed}:{group}".encode()).hexdigest()
