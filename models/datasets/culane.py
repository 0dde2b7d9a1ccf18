"""CULane: lists of images, and beside each image its lanes. Source: xingangpan.github.io/projects/CULane.html."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from models.datasets.layout import below, broken, existing, finite, numbered_lines, split_file
from models.datasets.output import SPLIT, file_name, new_folder, number, place, token
from models.media import image_size
from models.records import Item, Lane, Lanes

_CLIP = ".MP4"  # how the folder of a clip ends


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
        group = below(root, image.parent) if image.parent.suffix.upper() == _CLIP else None
        yield Item(below(root, image), str(image), group), Lanes(*image_size(image), tuple(_lanes(lines)))


def _lanes(path: Path) -> Iterator[Lane]:
    for where, line in numbered_lines(path):
        numbers = finite(where, "finite numbers in pairs x y", line.split())
        if len(numbers) % 2:
            broken(where, "finite numbers in pairs x y", line)
        points = tuple(zip(numbers[::2], numbers[1::2], strict=True))
        if len(points) >= 2:
            yield Lane(points)


def write(root: Path, pairs: Iterable[tuple[Item, Lanes]]) -> None:
    """Writes ``list/train.txt`` and the images, each with its ``.lines.txt``, those of a group in ``GROUP.MP4/``.

    Raises:
        InvalidInput, NotFound: as ``new_folder`` and ``place``.
    """
    with new_folder(root) as out:
        (out / "list").mkdir()
        with (out / "list" / f"{SPLIT}.txt").open("w", encoding="utf-8") as listing:
            for item, label in pairs:
                image = place(item, out / _folder(item), file_name(item))
                with image.with_suffix(".lines.txt").open("x", encoding="utf-8") as file:
                    for lane in label.lanes:
                        file.write(" ".join(number(value) for point in lane.points for value in point) + "\n")
                listing.write(f"/{image.relative_to(out).as_posix()}\n")


def _folder(item: Item) -> str:
    return f"{token(item.group.removesuffix(_CLIP))}{_CLIP}" if item.group else "images"
