"""Data sets in their public on-disk formats, named ``FORMAT:ROOT[:SPLIT]``.

==============  ==============================================================================================
``coco``        folder with ``annotations/instances_SPLIT.json`` and ``images/`` (or a folder called ``SPLIT``)
``voc``         folder with ``ImageSets/Main/SPLIT.txt``, ``Annotations/``, ``JPEGImages/``
``culane``      folder with ``list/SPLIT.txt``; beside each image its ``.lines.txt``
``tusimple``    a JSON-lines file, or a folder with ``label_data_SPLIT.json``
``commonvoice`` folder with ``SPLIT.tsv`` and ``clips/``
``nemo``        a JSON-lines manifest, or a folder with ``SPLIT.jsonl``
==============  ==============================================================================================

SPLIT may be left out where there is only one. ROOT may hold colons: where the whole rest of the name exists on disk
it is the root; otherwise what follows its last colon is the split.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

from models.datasets import coco, commonvoice, culane, nemo, tusimple, voc
from models.errors import InvalidDataset, NotFound
from models.records import Item, Label

Reader: TypeAlias = Callable[[Path, str | None], Iterator[tuple[Item, Label]]]

READERS: dict[str, Reader] = {
    "coco": coco.read,
    "voc": voc.read,
    "culane": culane.read,
    "tusimple": tusimple.read,
    "commonvoice": commonvoice.read,
    "nemo": nemo.read,
}


def read(spec: str) -> Iterator[tuple[Item, Label]]:
    """The labelled items of ``FORMAT:ROOT[:SPLIT]``, in the order of the files, read as they are asked for.

    Raises:
        InvalidDataset: an unknown format at once; while reading, a broken line as ``file:line: expected .., got ..``.
        NotFound: no such root or split; the message lists the splits that are there.
    """
    name, _, rest = spec.partition(":")
    if name not in READERS or not rest:
        raise InvalidDataset(
            f"data set: expected FORMAT:ROOT[:SPLIT], FORMAT one of {', '.join(READERS)}, got {spec!r}"
        )
    root, split = _root_and_split(rest)
    return READERS[name](root, split)


def _root_and_split(rest: str) -> tuple[Path, str | None]:
    if Path(rest).exists():
        return Path(rest).absolute(), None
    root, colon, split = rest.rpartition(":")
    if not colon or not split or not Path(root).exists():
        raise NotFound(f"data set: expected an existing file or folder, got {root or rest}")
    return Path(root).absolute(), split
