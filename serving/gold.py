"""Gold items: no training sees them, they decide promotions, and they may be planted to measure people.

Some are drawn by chance from what people correct, some an operator chooses. A chosen one is gold once it has a label of
a person, or the one that it came with. For a version that was trained on it, and for what comes from that, it is no
yardstick (``Versions``). Choosing draws nothing: evidence for the promise it is only where the router drew it anyway.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import islice
from pathlib import Path

from models.errors import InvalidInput, NotFound, Refused
from models.media import image_size
from models.recordings import duration_s, medium_sha256, stretch
from models.records import Item, Label, Task, Transcript
from serving.calibrations import Calibrations
from serving.deciding import Deciding
from serving.intake import BATCH, Intake, Registration
from serving.media_files import MediaFiles
from serving.policies import Policies
from serving.sizes import Sizes, require_fit
from serving.store import Store
from serving.store.gold import Added
from serving.store.records import Actor, storable_name

IsGold = Callable[[str], bool]


@dataclass(frozen=True)
class Choice:
    """What became of items that were chosen as gold: how many are so since now, how many of all have no label yet, how
    many the serving version, or one that it comes from, was trained on, and how many had another label before."""

    new: int
    unlabelled: int
    trained_on: int
    replaced: int = 0

    @property
    def words(self) -> str:
        """The same as a sentence."""
        told = [f"{self.new} more chosen as gold"]
        if self.replaced:
            told.append(f"{self.replaced} with another label before, which counts no longer")
        if self.unlabelled:
            told.append(f"{self.unlabelled} without a label yet, to count once a person gave one")
        if self.trained_on:
            told.append(
                f"{self.trained_on} seen in training: no yardstick for the serving version and what comes from it"
            )
        return "; ".join(told)


@dataclass(frozen=True)
class Brought:
    """What became of a data set whose labels are known: labels that were new, and what was left out, with the reason:
    media that could not be read, those whose label is of another size, and those that had another label before."""

    choice: Choice
    labels: int
    failed: tuple[tuple[str, str], ...]


class Gold:
    """Says what is gold, lets an operator choose, and takes in labels that are known."""

    def __init__(
        self,
        store: Store,
        deciding: Deciding,
        policies: Policies,
        calibrations: Calibrations,
        intake: Intake,
        files: MediaFiles,
        sizes: Sizes,
        clock: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._deciding = deciding
        self._policies = policies
        self._calibrations = calibrations
        self._intake = intake
        self._files = files
        self._sizes = sizes
        self._clock = clock

    def of(self, task: Task) -> IsGold:
        """Tells by its id whether an item is gold, once it is corrected, by what is chosen now."""
        chosen = self._store.gold.chosen(task)
        return lambda item_id: self._deciding.is_gold(item_id, item_id in chosen)

    def labelled(self, task: Task) -> Iterator[str]:
        """The ids of all items that are gold by now."""
        is_gold = self.of(task)
        return (item.id for item, _ in self._store.queue.corrected(task) if is_gold(item.id))

    def among(self, task: Task, ids: Iterable[str]) -> frozenset[str]:
        """Those of some media that are registered here and gold, or will be gold once somebody labels them."""
        return self._store.items.registered(task, [*filter(self.of(task), ids)])

    def choose(self, task: Task, ids: Sequence[str], actor: Actor) -> Choice:
        """Chooses items as gold, all or none; one without a label is never accepted unseen, and is shown whole.

        Raises:
            NotFound: an item is not registered for the task.
        """
        new = self._store.gold.choose(task, ids, actor, self._clock())
        self._decide_anew(task, new, actor)
        return self._choice(task, ids, len(new))

    def take_back(self, task: Task, ids: Sequence[str], actor: Actor) -> int:
        """Lets items be chosen no longer, all or none, and returns how many were; with a label they train from now on.

        Raises:
            NotFound: an item is not registered for the task.
            Refused: an item was not chosen, but is gold by chance.
        """
        chosen = self._store.gold.chosen(task)
        for item_id in sorted(set(ids) - chosen):
            if self._deciding.is_gold(item_id):
                self._store.items.item(item_id)
                raise Refused(f"gold: expected an item that was chosen, got {item_id}, which is gold by chance")
        gone = self._store.gold.take_back(task, ids, actor, self._clock())
        self._decide_anew(task, gone, actor)
        return len(gone)

    def know(self, task: Task, item_id: str, label: Label, actor: Actor) -> Choice:
        """Chooses a registered item together with its label, which is known to be right and counts from now on.

        Raises:
            InvalidInput: the item's medium cannot be read, or the label is of another size than its picture.
            NotFound: the item is not registered for the task.
        """
        item = self._store.items.item(item_id)
        with suppress(NotFound):
            _require_readable(str(self._files.path(item)), label)
        self._sizes.require(item_id, label)
        before = self._store.gold.chosen(task)
        added = self._store.gold.know(task, [(item_id, label)], actor, actor, self._clock())
        self._calibrations.watch(task, actor)
        return self._choice(task, [item_id], int(item_id not in before), added.replaced)

    def bring(self, task: Task, pairs: Iterable[tuple[Item, Label]], source: str, actor: Actor) -> Brought:
        """Registers media with labels that are known to be right, batch by batch, as gold; ``source`` is who says so.

        Raises:
            InvalidInput: a name that cannot be stored, or no item at all.
        """
        rest, before = iter(pairs), self._store.gold.chosen(task)
        taken, added, failed = dict[str, tuple[str, Label]](), Added(0, 0), list[tuple[str, str]]()
        while batch := list(islice(rest, BATCH)):
            fitting, misfits = _fitting([(str(Path(item.uri).absolute()), item, label) for item, label in batch])
            entries = [Registration(uri, task, stretch(uri) or Path(uri), item.group, item.language)
                       for uri, item, _ in fitting]  # fmt: skip
            broken = dict(self._intake.register(entries, actor, self._clock()).failed)
            known, others = _agreeing([(uri, label) for uri, _, label in fitting if uri not in broken], taken)
            added += self._store.gold.know(
                task, [*known.items()], storable_name(source, "source"), actor, self._clock()
            )
            failed += [*broken.items(), *misfits, *others]
        if not taken and not failed:
            raise InvalidInput(f"gold {task}: expected labelled items from {source}, got none")
        self._calibrations.watch(task, actor)
        choice = self._choice(task, [*taken], len(taken.keys() - before), added.replaced)
        return Brought(choice, added.new, tuple(failed))

    def _choice(self, task: Task, ids: Sequence[str], new: int, replaced: int = 0) -> Choice:
        serving = self._store.versions.serving(task)
        names = self._store.versions.ancestry(serving.name)[0] if serving else []
        trained_on = self._store.versions.trained_on(names) & set(ids)
        return Choice(new, len(set(ids) - self._store.gold.chosen(task, labelled=True)), len(trained_on), replaced)

    def _decide_anew(self, task: Task, ids: Sequence[str], actor: Actor) -> None:
        """Decides about those of some items that wait in the queue."""
        policy = self._policies.of(task)
        for page in self._store.items.open_among(task, ids):
            trusts = [self._calibrations.trust(one.preannotation.model_version, policy) for one in page]
            changes = [self._deciding.anew(one, trust, policy) for one, trust in zip(page, trusts, strict=True)]
            self._store.items.reroute(changes, actor, self._clock())


def _fitting(
    found: Sequence[tuple[str, Item, Label]],
) -> tuple[list[tuple[str, Item, Label]], list[tuple[str, str]]]:
    """Those of labelled items, each with its file, that are a sound, or a picture of the size that its label has, and
    why the others do not fit. What is not there may fit."""
    fitting, misfits = list[tuple[str, Item, Label]](), list[tuple[str, str]]()
    for uri, item, label in found:
        try:
            _require_readable(uri, label)
            require_fit(label, uri, partial(image_size, Path(uri)))
            fitting.append((uri, item, label))
        except InvalidInput as misfit:
            misfits.append((uri, str(misfit)))
    return fitting, misfits


def _require_readable(uri: str, label: Label) -> None:
    """Lets a label pass whose medium can be read or is not there now; others would stand in the way of promotions.

    Raises:
        InvalidInput: it cannot be read.
    """
    with suppress(NotFound, OSError):
        if isinstance(label, Transcript):
            duration_s(uri)
        else:
            image_size(Path(uri))


def _agreeing(
    found: Sequence[tuple[str, Label]], taken: dict[str, tuple[str, Label]]
) -> tuple[dict[str, Label], list[tuple[str, str]]]:
    """The labels of some files by their content, and which files were left out, for the same medium had another label
    before; adds to ``taken``, the file and the label of each medium so far."""
    known, others = dict[str, Label](), list[tuple[str, str]]()
    for uri, label in found:
        item_id = medium_sha256(uri)
        first, before = taken.setdefault(item_id, (uri, label))
        if before == label:
            known[item_id] = label
        else:
            others.append((uri, f"{uri}: expected the label of {first}, the same medium, got another"))
    return known, others
