"""What a simulation works on: items whose labels are known, and which of them the first model has seen already."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from models import datasets
from models.errors import InvalidInput
from models.media import image_size
from models.recordings import medium_sha256
from models.records import Item, Label, Task, Transcript
from serving.sizes import require_fit
from serving.training import hold_out

HELD_OUT_SHARE = 0.2  # of the groups, where no other data measures the model
Pairs = list[tuple[Item, Label]]


@dataclass(frozen=True)
class Source:
    """A data set: how many of its items take part, and how many do not because the first model was trained on them
    (``trained_on``) or because the same bytes are there already (``repeated``)."""

    data: str
    items: int
    trained_on: int
    repeated: int


@dataclass(frozen=True)
class Pool:
    """Items to be labelled with their true labels, and others on which models are measured.

    An item's id is the SHA-256 of its bytes, as in the store, and its uri the path of its file.
    """

    pairs: Pairs
    held_out: Pairs
    sources: tuple[Source, ...]
    held_out_sources: tuple[Source, ...]

    @property
    def truths(self) -> Mapping[str, Label]:
        """The true label of every item of the pool, by id."""
        return {item.id: label for item, label in self.pairs}

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """Every word that is said in the pool."""
        texts = (label.text for _, label in self.pairs if isinstance(label, Transcript))
        return tuple(sorted({word for text in texts for word in text.split()}))


def read_pool(
    task: Task, data: Sequence[str], held_out: Sequence[str], seen: frozenset[str], limit: int | None, groups: bool
) -> Pool:
    """The pool of some data sets, without what the first model has ``seen``, which would not be new to it.

    Without ``held_out`` a fifth of the groups is held out of the pool, or a fifth of the items without ``groups``.

    Args:
        limit: the most items of the pool, drawn at random.
        groups: whether items of one group belong together; else each is taken for independent of all others.

    Raises:
        InvalidInput: no data, data of another task, a label that has not the size of its picture, or nothing is left.
    """
    datasets.require_task("simulate", task, (*data, *held_out))
    known: set[str] = set()
    measured, held_out_sources = _unseen(held_out, seen, known)
    pairs, sources = _unseen(data, seen, known)
    if limit is not None and len(pairs) > limit:
        chosen = np.random.default_rng(0).choice(len(pairs), limit, replace=False)
        pairs = [pairs[row] for row in sorted(chosen)]
    if not held_out:
        pairs, measured = _parted(pairs, groups)
    for name, found, among in (("label", pairs, sources), ("measure models on", measured, held_out_sources or sources)):
        if not found:
            told = ", ".join(f"{one.data} ({one.trained_on} trained on)" for one in among) or "no data"
            raise InvalidInput(
                f"simulate {task}: expected items to {name} that the first model has not seen, got {told}"
            )
    return Pool(pairs, measured, sources, held_out_sources)


def _parted(pairs: Pairs, groups: bool) -> tuple[Pairs, Pairs]:
    """Most for the pool, and a fifth to measure on."""
    if groups:
        return hold_out(pairs, 0, HELD_OUT_SHARE)
    alone = [(replace(item, group=None), label) for item, label in pairs]
    kept = {item.id for item, _ in hold_out(alone, 0, HELD_OUT_SHARE)[0]}
    return [pair for pair in pairs if pair[0].id in kept], [pair for pair in pairs if pair[0].id not in kept]


def _unseen(specs: Iterable[str], seen: frozenset[str], known: set[str]) -> tuple[Pairs, tuple[Source, ...]]:
    """The items of some data sets that are new, and what became of the others; adds their ids to ``known``."""
    kept: Pairs = []
    sources = []
    for spec in specs:
        before, trained_on, repeated = len(kept), 0, 0
        for item, label in datasets.read(spec):
            item_id = medium_sha256(item.uri)
            if item_id in known:
                repeated += 1
            elif item_id in seen:
                trained_on += 1
            else:
                require_fit(label, item.uri, partial(image_size, Path(item.uri)))
                known.add(item_id)
                kept.append((replace(item, id=item_id), label))
        sources.append(Source(spec, len(kept) - before, trained_on, repeated))
    return kept, tuple(sources)
