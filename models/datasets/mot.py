"""MOTChallenge, MOT15 to MOT20, as pictures with boxes. Source: MOT16 (arXiv 1603.00831), section 3, and the devkit.

Frames, and the pixels of a box, are counted from 1. A line of ``gt.txt`` is ``frame, track, left, top, width, height,
flag, class, visibility``; in MOT15 world coordinates stand where class and visibility are.
"""

import configparser
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from models.datasets.layout import below, broken, chosen_split, clipped, existing, finite, numbered_lines
from models.datasets.shelf import Shelf
from models.records import Boxes, Item

MIN_VISIBILITY = 0.25
_PEDESTRIAN = 1
_DETECTOR = re.compile(r"-(DPM|FRCNN|SDP)$")  # MOT17 holds each sequence once a detector


def read(root: Path, split: str | None = None) -> Iterator[tuple[Item, Boxes]]:
    """Every frame of every sequence of ``SPLIT/``, or of the sequences that lie in ROOT itself; pedestrians only.

    Kept are boxes that are flagged to be considered, of the class pedestrian, and visible by a quarter or more: the
    official evaluation of detectors on MOT20 asks for no others. Boxes are clipped to the image. The group is the
    sequence; MOT17's three copies of one, which differ in detections alone, are read once.

    Raises:
        InvalidDataset: a broken ``seqinfo.ini`` or line, naming file and line.
        NotFound: no such split.
    """
    if split is None and any(root.glob("*/gt/gt.txt")):
        return _read(root, root)
    splits = sorted({path.parents[2].name for path in root.glob("*/*/gt/gt.txt")})
    return _read(root, root / chosen_split(root, splits, split, "SPLIT/SEQUENCE/gt/gt.txt"))


def _read(root: Path, folder: Path) -> Iterator[tuple[Item, Boxes]]:
    sequences: dict[str, Path] = {}
    for truth in sorted(folder.glob("*/gt/gt.txt")):
        sequences.setdefault(_DETECTOR.sub("", truth.parents[1].name), truth)
    for name, truth in sequences.items():
        info = _info(truth.parents[1] / "seqinfo.ini")
        boxes = Shelf(_boxes(truth, info))
        for frame in range(1, info.length + 1):
            image = existing(f"{truth.parents[1]}/seqinfo.ini:1", info.images / f"{frame:06d}{info.suffix}")
            found = [
                clipped(x - 1, y - 1, x - 1 + w, y - 1 + h, info.width, info.height, "pedestrian")
                for x, y, w, h in boxes.values(str(frame))
            ]
            label = Boxes(info.width, info.height, tuple(box for box in found if box))
            yield Item(below(root, image), str(image), name), label


@dataclass(frozen=True)
class _Info:
    """One sequence: the folder and suffix of its images, how many there are, and their size in pixels."""

    images: Path
    suffix: str
    length: int
    width: int
    height: int


def _info(file: Path) -> _Info:
    where, parser = f"{file}:1", configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(existing(where, file).read_text(encoding="utf-8"))
        told = parser["Sequence"]
        length, width, height = (int(told[key]) for key in ("seqLength", "imWidth", "imHeight"))
        images, suffix = file.parent / told.get("imDir", "img1"), told.get("imExt", ".jpg")
    except (configparser.Error, KeyError, ValueError) as error:
        broken(where, "[Sequence] with seqLength, imWidth and imHeight", " ".join(str(error).split()))
    if min(length, width, height) < 1:
        broken(where, "seqLength, imWidth and imHeight >= 1", (length, width, height))
    return _Info(images, suffix, length, width, height)


def _boxes(file: Path, info: _Info) -> Iterator[tuple[str, list[float]]]:
    """(frame, [left, top, width, height]) of the boxes that count."""
    for where, line in numbered_lines(file):
        columns = line.split(",")
        if len(columns) not in (9, 10):
            broken(where, "9 columns between commas, or the 10 of MOT15", line)
        frame, _, *box, flag, category, visibility = finite(where, "numbers between commas", columns)[:9]
        if frame not in range(1, info.length + 1):
            broken(where, f"a frame from 1 to {info.length}", columns[0])
        if min(box[2:]) < 0:
            broken(where, "width and height >= 0", columns[4:6])
        if flag and (len(columns) == 10 or (category == _PEDESTRIAN and visibility >= MIN_VISIBILITY)):
            yield str(int(frame)), box
