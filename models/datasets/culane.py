"""CULane: lists of images, and beside each image its lanes. Source: xingangpan.github.io/projects/CULane.html."""

import math
from collections.abc import Iterator
from pathlib import Path

from models.datasets.layout import below, broken, existing, numbered_lines, split_file
from models.media import image_size
from models.records import Item, Lane, Lanes


def read(root: Path, split: str | None = None) -> Iterator[tuple[Item, Lanes]]:
    """Every image that ``list/SPLIT.txt`` names, with the lanes of its ``.lines.txt``.

    A lane is a line ``x y x y ..``; points may lie outside the image. Lines of a single point, which the official
    evaluation leaves out too, are no lanes. The group is the clip, where the folder is called one (``..MP4``).

    Raises:
        InvalidDataset: a broken line, naming file and line.
        NotFound: no such split.
        UnreadableMedia: an image whose header does not give its size.
    """
    file, _ = split_file(root / "list", "", split, ".txt")
    return _read(root, file)


def _read(root: Path, file: Path) -> Iterator[tuple[Item, Lanes]]:
    for where, line in numbered_lines(file):
        columns = line.split()
        if len(columns) != 1:
            broken(where, "1 column, the path of an image", line)
        image = existing(where, root / columns[0].lstrip("/"))
        lines = existing(where, image.with_suffix(".lines.txt"))
        group = below(root, image.parent) if image.parent.suffix.upper() == ".MP4" else None
        yield Item(below(root, image), str(image), group), Lanes(*image_size(image), tuple(_lanes(lines)))


def _lanes(path: Path) -> Iterator[Lane]:
    for where, line in numbered_lines(path):
        try:
            numbers = [float(value) for value in line.split()]
        except ValueError:
            broken(where, "numbers x y x y ..", line)
        if len(numbers) % 2 or not all(map(math.isfinite, numbers)):
            broken(where, "finite numbers in pairs x y", line)
        points = tuple(zip(numbers[::2], numbers[1::2], strict=True))
        if len(points) >= 2:
            yield Lane(points)
