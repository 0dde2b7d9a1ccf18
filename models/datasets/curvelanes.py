"""CurveLanes: ``SPLIT/SPLIT.txt`` lists images, ``labels/`` their lanes. Source: github.com/SoulmateB/CurveLanes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from models.datasets.layout import below, broken, chosen_split, existing, finite, json_object, numbered_lines
from models.media import image_size
from models.records import Item, Lane, Lanes


def read(root: Path, split: str | None = None) -> Iterator[tuple[Item, Lanes]]:
    """Every image that ``SPLIT/SPLIT.txt`` names, with the lanes of its ``.lines.json``; points may lie outside it.

    The official splits with labels are ``train`` and ``valid``. Lanes of a single point are left out.

    Raises:
        InvalidDataset: a broken list or label file, naming file and line.
        NotFound: no such split.
        UnreadableMedia: an image whose header does not give its size.
    """
    splits = sorted(path.stem for path in root.glob("*/*.txt") if path.stem == path.parent.name)
    return _read(root, root / chosen_split(root, splits, split, "SPLIT/SPLIT.txt"))


def _read(root: Path, folder: Path) -> Iterator[tuple[Item, Lanes]]:
    for where, line in numbered_lines(folder / f"{folder.name}.txt"):
        image = existing(where, folder / line.strip())
        labels = existing(where, folder / "labels" / f"{image.stem}.lines.json")
        yield Item(below(root, image), str(image)), Lanes(*image_size(image), tuple(_lanes(labels)))


def _lanes(file: Path) -> Iterator[Lane]:
    for index, points in enumerate(_lines(file)):
        where = f"{file}:Lines[{index}]"
        if not isinstance(points, list) or not all(isinstance(point, dict) for point in points):
            broken(where, "a list of points {x, y}", points)
        pairs = [finite(where, "numbers in x and y", [p.get("x"), p.get("y")], (str, int, float)) for p in points]
        if len(pairs) >= 2:
            yield Lane(tuple((x, y) for x, y in pairs))


def _lines(file: Path) -> list[Any]:
    values = json_object(file)
    lines = values.get("Lines")
    if not isinstance(lines, list):
        broken(f"{file}:1", "a list under 'Lines'", values)
    return lines
