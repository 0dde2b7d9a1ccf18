"""CULane: lists of images, and beside each image its lanes. Source: xingangpan.github.io/projects/CULane.html."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from models.datasets.layout import below, broken, existing, finite, numbered_lines, split_file
from models.datasets.output import SPLIT, file_name, names_in, new_folder, number, place
from models.datasets.shelf import Shelf
from models.marks import CulaneImage
from models.media import image_size
from models.records import Item, Lane, Lanes

_CLIP = ".MP4"  # how the folder of a clip ends
_COLUMNS = (1, 6)


def read(root: Path, split: str | None = None) -> Iterator[tuple[Item, Lanes]]:
    """Every image that ``list/SPLIT.txt`` names, with the lanes of its ``.lines.txt``.

    A lane is a line ``x y x y ..``; points may lie outside the image. Lines of a single point are no lanes, though the
    official evaluation asks for them. The group is the clip, where the folder is called one (``..MP4``).

    Raises:
        InvalidDataset: a broken line, naming file and line.
        NotFound: no such split.
        UnreadableMedia: an image whose header does not give its size.
    """
    return ((item, label) for item, label, _ in read_marked(root, split))


def read_marked(root: Path, split: str | None = None) -> Iterator[tuple[Item, Lanes, CulaneImage]]:
    """The same, each image with its category, the NAME of the list ``list/test_split/testN_NAME.txt`` that names it."""
    file, _ = split_file(root / "list", "", split, ".txt")
    return _read(root, file)


def _read(root: Path, file: Path) -> Iterator[tuple[Item, Lanes, CulaneImage]]:
    categories = _categories(root)
    for where, path in _listed(file):
        image = existing(where, root / path)
        lines = [*_lines(existing(where, image.with_suffix(".lines.txt")))]
        lanes = tuple(Lane(points) for points in lines if len(points) >= 2)
        group = below(root, image.parent) if image.parent.suffix.upper() == _CLIP else None
        mark = CulaneImage(next(iter(categories.values(path)), None), len(lines) - len(lanes))
        yield Item(below(root, image), str(image), group), Lanes(*image_size(image), lanes), mark


def _listed(file: Path) -> Iterator[tuple[str, str]]:
    """(where, path of an image below the root) of each line of a list; of ``train_gt.txt`` and its like, too."""
    for where, line in numbered_lines(file):
        columns = line.split()
        if len(columns) not in _COLUMNS:
            broken(where, "1 column, the path of an image, or 6 with its mask and which lanes there are", line)
        yield where, columns[0].lstrip("/")


def _categories(root: Path) -> Shelf:
    """The category of each image that the test lists name."""
    files = sorted((root / "list" / "test_split").glob("test*_*.txt"))
    return Shelf((path, file.stem.partition("_")[2]) for file in files for _, path in _listed(file))


def _lines(path: Path) -> Iterator[tuple[tuple[float, float], ...]]:
    for where, line in numbered_lines(path):
        numbers = finite(where, "finite numbers in pairs x y", line.split())
        if len(numbers) % 2:
            broken(where, "finite numbers in pairs x y", line)
        yield tuple(zip(numbers[::2], numbers[1::2], strict=True))


def write(root: Path, pairs: Iterable[tuple[Item, Lanes]]) -> None:
    """Writes ``list/train.txt`` and the images, each with its ``.lines.txt``, those of a group in ``GROUP.MP4/``.

    Raises:
        InvalidInput, NotFound: as ``new_folder`` and ``place``.
    """
    with new_folder(root) as out:
        (out / "list").mkdir()
        with (out / "list" / f"{SPLIT}.txt").open("w", encoding="utf-8") as listing:
            for item, label in pairs:
                folder, name = _named(item)
                image = place(item, out / folder, name)
                with image.with_suffix(".lines.txt").open("x", encoding="utf-8") as file:
                    for lane in label.lanes:
                        file.write(" ".join(number(value) for point in lane.points for value in point) + "\n")
                listing.write(f"/{image.relative_to(out).as_posix()}\n")


def _named(item: Item) -> tuple[str, str]:
    if not item.group:
        return "images", file_name(item)
    folder, name = names_in(item.group, item)
    return f"{folder.removesuffix(_CLIP)}{_CLIP}", name
