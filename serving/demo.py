"""The loop on road scenes that the product renders, worked through by a simulated annotator.

The annotator knows the true lines, looks at what the queue hands out, most useful first, and takes the seconds of
``selection.cost``. After each round a candidate is trained on the corrections and promoted if the gold items allow it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console

from models import datasets, scenes, tasks
from models.errors import InvalidInput, Refused
from models.evaluate import read_item
from models.records import Correction, Label, Seconds, Task
from models.versions import read_version
from selection.actions import actions, spent_seconds
from selection.cost import Costs
from serving.loop import Loop, Registration, StoredVersion, utc_now
from serving.promotion import quality_of
from serving.settings import Settings
from serving.simulation.person import Person
from serving.store.database import parse_url, shown
from serving.training import Request, material, train_version

ACTOR = "demo"
ANNOTATOR = "simulated annotator"
TASK: Task = "lane"
SIZE = (512, 288)
EPOCHS = 4
BATCH_SIZE = 4
GOLD_SHARE = 0.25  # so few scenes would hardly hold a gold one otherwise


@dataclass(frozen=True)
class Round:
    """What one round cost: ``changed`` of its ``labels`` needed a correction; everything from nothing would have taken
    ``scratch_seconds``. ``outcome`` says what became of the candidate that was trained after it."""

    number: int
    version: str
    labels: int
    changed: int
    seconds: Seconds
    scratch_seconds: Seconds
    outcome: str

    def __str__(self) -> str:
        """Two lines for a person."""
        per_label, scratch = (seconds / max(1, self.labels) for seconds in (self.seconds, self.scratch_seconds))
        return (
            f"round {self.number}: {self.version} labelled {self.labels} scenes, the annotator changed {self.changed}: "
            f"{per_label:.1f} s a label, {scratch:.1f} s from nothing\n         {self.outcome}"
        )


def demo(settings: Settings, console: Console, *, scene_count: int = 60, rounds: int = 3, seed: int = 0) -> list[Round]:
    """Fills an empty store with rendered scenes and turns the loop ``rounds`` times, telling each round.

    Raises:
        InvalidInput: the store holds items already.
    """
    settings = settings.model_copy(update={"gold_share": GOLD_SHARE})
    loop = Loop.open(settings)
    if any(figures["items"] for figures in loop.report()["tasks"].values()):
        store = shown(parse_url(settings.database_url))
        raise InvalidInput(f"demo: expected an empty store, got items in {store}; name another: --db")
    console.print(f"Rendering {scene_count} road scenes ...")
    truth = _fill(loop, settings.data_dir / "demo", scene_count, seed)
    done = []
    for number in range(1, rounds + 1):
        version = _serving(loop)
        _preannotate(loop, version)
        done.append(_round(loop, settings, version, truth, number, -(-scene_count // rounds), console))
        console.print(str(done[-1]))
    return done


def _fill(loop: Loop, folder: Path, count: int, seed: int) -> Mapping[str, Label]:
    """Renders and registers the scenes; returns the true label of every item."""
    sources = (np.random.default_rng([seed, number]) for number in range(count))
    scenes.write(folder, (scenes.render(rng, *SIZE) for rng in sources))
    pairs = list(datasets.read(f"culane:{folder}:train"))
    loop.register((Registration(item.uri, TASK, Path(item.uri)) for item, _ in pairs), ACTOR)
    labels = {item.uri: label for item, label in pairs}
    return {item.id: labels[item.uri] for item in loop.pending(TASK, count)}


def _preannotate(loop: Loop, version: StoredVersion) -> None:
    """Asks a version about every item it has not seen."""
    runtime = tasks.load_runtime(TASK, version.folder / "model.onnx")
    while waiting := loop.pending(TASK, 100):
        for item in waiting:
            prediction = runtime.predict(read_item(TASK, item))
            loop.record(TASK, item, None, prediction, version.name, None, ACTOR)


def _round(
    loop: Loop,
    settings: Settings,
    version: StoredVersion,
    truth: Mapping[str, Label],
    number: int,
    limit: int,
    console: Console,
) -> Round:
    """The annotator's share of one round, then training and promotion."""
    person, costs, changed, seconds, scratch = Person(), Costs(), 0, 0.0, 0.0
    leased = loop.lease(TASK, limit, ANNOTATOR, ACTOR)
    for work in leased:
        predicted, label = work.answer.preannotation.label, person.label(work.item.id, truth[work.item.id])
        spent = spent_seconds(TASK, actions(TASK, predicted, label), costs)
        changed += tasks.differs(TASK, predicted, label)
        seconds += spent
        scratch += spent_seconds(TASK, actions(TASK, None, label), costs)
        correction = Correction(
            item_id=work.item.id,
            task=TASK,
            label=label,
            annotator=ANNOTATOR,
            seconds=spent,
            tool="demo",
            created_at=utc_now(),
            model_version=version.name,
        )
        loop.correct(correction, work.lease_id, ACTOR)
    outcome = _improve(loop, settings, version, console)
    return Round(number, version.name, len(leased), changed, seconds, scratch, outcome)


def _improve(loop: Loop, settings: Settings, version: StoredVersion, console: Console) -> str:
    """Trains a candidate on all corrections and promotes it if it is no worse on the gold items."""
    request = Request(task=TASK, data=(), epochs=EPOCHS, batch_size=BATCH_SIZE)
    candidate = train_version(
        request,
        material(request, loop),
        start=read_version(version.folder),
        runs_dir=settings.data_dir / "runs",
        versions_dir=settings.data_dir / "models",
        console=console,
    )
    loop.versions.add(candidate.folder, ACTOR)
    try:
        promotion = loop.versions.promote(candidate.name, ACTOR, compare=quality_of)
    except Refused as refused:
        return f"refused: {refused}"
    return f"promoted {candidate.name}: {promotion.comparison.note}"


def _serving(loop: Loop) -> StoredVersion:
    version = loop.versions.serving(TASK)
    if version is None:
        raise InvalidInput(f"demo: expected a serving version of task {TASK}, got none")
    return version
