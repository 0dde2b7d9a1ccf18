"""What labels there are: those that people gave, what several of them agree on, and those accepted unseen."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import chain
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from models.matters import Matters
from models.records import TASKS, Item, Label, Task
from selection.annotators import Standing
from serving import opinions
from serving.gold import IsGold
from serving.media_files import MediaFiles
from serving.opinions import Agreed
from serving.people import People
from serving.policies import Policies
from serving.store import Store
from serving.store.planting import Measured
from serving.store.records import Actor, Opinions, SaidChanges


class Labelled:
    """The labels in the store, with the files of their media; ``gold_of`` a task tells by its id which items train
    nothing. What is an error of a person, the policy's rule says, as of a version."""

    def __init__(self, store: Store, files: MediaFiles, gold_of: Callable[[Task], IsGold], policies: Policies) -> None:
        self._store = store
        self._files = files
        self._gold_of = gold_of
        self._policies = policies
        self._people = {task: People(task, store, gold_of, policies) for task in TASKS}
        self._right: dict[tuple[int, int, Matters], bool] = {}  # of an answer to a planted item and the known one

    def training_data(self, task: Task) -> Iterator[tuple[Item, Label]]:
        """Corrected items that are not gold, by id; their uri is the path of a file.

        Raises:
            NotFound: a medium is gone.
            InvalidInput: a file was changed since it was registered.
        """
        return self._corrected(task, gold=False)

    def gold_data(self, task: Task) -> Iterator[tuple[Item, Label]]:
        """Corrected items that no training sees, drawn by id or chosen; otherwise like ``training_data``."""
        return self._corrected(task, gold=True)

    def _corrected(self, task: Task, gold: bool) -> Iterator[tuple[Item, Label]]:
        is_gold = self._gold_of(task)
        for item, label in self._store.queue.corrected(task):
            if is_gold(item.id) == gold:
                yield self._files.unchanged(item), label

    def labels(self, task: Task, accepted: bool = False, consensus: bool = False) -> Iterator[tuple[Item, Label]]:
        """Every corrected item, gold or not, and where asked those accepted unseen; otherwise like ``training_data``.

        Of an item that several people labelled, the newest label or, where asked, what they agree on. Their id is one
        for people: the name of the medium, and the beginning of its hash.
        """
        unseen = self._store.queue.accepted(task) if accepted else ()
        agreed = ((one.item, one.label) for one in opinions.agreed(task, lambda: self.opinions(task)))
        for item, label in chain(agreed if consensus else self._store.queue.corrected(task), unseen):
            yield replace(self._files.unchanged(item), id=_readable_id(item)), label

    def opinions(self, task: Task) -> Iterator[Opinions]:
        """Every corrected item with what each person said of it, by id."""
        return self._store.said.of(task)

    def consensus(self, item_id: str, asker: Actor) -> dict[Task, tuple[Opinions, Agreed]]:
        """Of each task that the item is corrected for, what each person said and what they agree on.

        Who asks, and was handed the item planted, is told when they have answered.

        Raises:
            NotFound: there is no such item.
        """
        self._store.items.item(item_id)
        found = {task: people.consensus(item_id) for task, people in self._people.items()
                 if item_id not in self._store.planting.owed(task, asker)}  # fmt: skip
        return {task: one for task, one in found.items() if one is not None}

    def changes(self, task: Task) -> SaidChanges:
        """Numbers that change whenever people's labels of a task do; cheap to ask often."""
        return self._store.said.changes(task)

    def annotators(self, task: Task) -> list[Standing]:
        """How good and how fast each person is at a task, by name."""
        return self._people[task].standings()

    def planted(self, task: Task) -> dict[str, Any]:
        """What became of the items whose known answers people were handed without being told, as in the report."""
        newest = {(one.known_id, one.annotator): one for one in self._store.planting.measured(task)}
        matters = self._policies.of(task).matters
        right = [self._is_right(task, one, matters) for one in newest.values()]
        return {
            "handed_out": self._store.planting.handed_out(task),
            "answered": len(right),
            "right": sum(right),
            "human_seconds": self._store.planting.seconds(task),
        }

    def _is_right(self, task: Task, one: Measured, matters: Matters) -> bool:
        key = one.given_id, one.known_id, matters
        if key not in self._right:
            self._right[key] = opinions.right(task, one.given, one.known, matters)
        return self._right[key]


def _readable_id(item: Item) -> str:
    name = PurePosixPath(urlsplit(item.uri).path).stem
    return item.id if name == item.id else f"{name}-{item.id[:12]}"
