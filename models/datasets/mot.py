"""MOTChallenge, MOT15 to MOT20, as pictures with boxes. Source: MOT16 (arXiv 1603.00831), section 3, and the devkit.

Frames, and the pixels of a box, are counted from 1. A line of ``gt.txt`` is ``frame, track, left, top, width, height,
flag, class, visibility``; in MOT15 world coordinates stand where class and visibility are.

CVAT and Datumaro write no ``seqinfo.ini``, but ``gt/labels.txt``, a class a line; they count pixels from 0. Pictures
keep their names there: a name that is a number is that of its frame, others are frames in the order of their names.
"""

import configparser
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from models.datasets.layout import (
    PICTURES,
    below,
    broken,
    chosen_split,
    clipped,
    files_below,
    finite,
    numbered_lines,
    picture,
)
from models.datasets.shelf import Shelf
from models.marks import Ignored
from models.media import image_size
from models.records import LARGEST, Box, Boxes, Item

_CATEGORY = "pedestrian"
_PEDESTRIAN = 1
_DISTRACTORS = (2, 7, 8, 12)  # person on a vehicle, static person, distractor, reflection
_MOT20_DISTRACTORS = (*_DISTRACTORS, 6)  # and a vehicle without a motor
_MIN_VISIBILITY, _MOT20_MIN_VISIBILITY = 0.5, 0.25
_DIGITS = (6, 8)  # of the name of a picture; the latter in DanceTrack
_DETECTOR = re.compile(r"-(DPM|FRCNN|SDP)$")  # MOT17 holds each sequence once a detector


def read(root: Path, split: str | None = None) -> Iterator[tuple[Item, Boxes]]:
    """Every frame of every sequence of ``SPLIT/``, or of those in ROOT, or of ROOT as the only one; pedestrians alone.

    Kept are boxes that are flagged to be considered, of the class pedestrian, and visible by half or more (a quarter
    in sequences of MOT20): the official evaluation of detectors asks for no others. Boxes are clipped to the image.
    The group is the sequence; MOT17's three copies of one, which differ in detections alone, are read once. Without
    ``seqinfo.ini`` the pictures tell their size and frames. With ``gt/labels.txt`` all its classes are kept, however
    visible.

    Raises:
        InvalidDataset: a broken ``seqinfo.ini`` or line, naming file and line.
        NotFound: no such split.
    """
    return ((item, label) for item, label, _ in read_marked(root, split))


def read_marked(root: Path, split: str | None = None) -> Iterator[tuple[Item, Boxes, Ignored]]:
    """The same, each frame with what a predicted pedestrian may match without being right or false.

    Those are people whom it is easy to take for pedestrians (on vehicles, sitting, as statues or reflections), whatever
    is hardly visible, of any class, and pedestrians flagged 0. Other classes are false where they are taken for
    pedestrians. Source: ``evaluateDetection.m`` and ``preprocessResult.m`` of the devkit; the flag: MOT16, table 5.
    """
    if split is None and (root / "gt" / "gt.txt").is_file():
        return _read(root, [root / "gt" / "gt.txt"])
    if split is None and any(root.glob("*/gt/gt.txt")):
        return _read(root, root.glob("*/gt/gt.txt"))
    splits = sorted({path.parents[2].name for path in root.glob("*/*/gt/gt.txt")})
    chosen = chosen_split(root, splits, split, "SPLIT/SEQUENCE/gt/gt.txt")
    return _read(root, (root / chosen).glob("*/gt/gt.txt"))


def _read(root: Path, truths: Iterable[Path]) -> Iterator[tuple[Item, Boxes, Ignored]]:
    sequences: dict[str, Path] = {}
    for truth in sorted(truths):
        sequences.setdefault(_DETECTOR.sub("", truth.parents[1].name), truth)
    for name, truth in sequences.items():
        info = _info(truth.parents[1])
        entries = Shelf(_entries(truth, info, name.startswith("MOT20")))
        for frame, image in info.pictures():
            known = [(_box(info, *box), counts) for *box, counts in entries.values(frame)]
            kept, ignored = (tuple(box for box, counts in known if box and counts == kind) for kind in (True, False))
            yield Item(below(root, image), str(image), name), Boxes(info.width, info.height, kept), Ignored(ignored)


@dataclass(frozen=True)
class _Info:
    """One sequence: the folder of its images, and their size in pixels; its classes where it names them, in the order
    of their numbers. Its frames are all up to ``length``, or those ``seen``, each with the name of its image."""

    where: str
    images: Path
    width: int
    height: int
    suffix: str = ""
    length: int = 0
    seen: Shelf | None = None
    names: tuple[str, ...] = ()

    def pictures(self) -> Iterator[tuple[str, Path]]:
        """Each frame and its image."""
        if self.seen is not None:
            yield from ((frame, (self.images / name).absolute()) for frame, name in self.seen.as_added())
        for frame in range(1, self.length + 1):
            stems = (self.images / f"{frame:0{digits}d}" for digits in _DIGITS)
            yield str(frame), picture(self.where, self.suffix, *stems)

    def require(self, where: str, frame: float, told: str) -> None:
        """Lets a frame pass that there is."""
        if self.seen is not None and not (frame.is_integer() and int(frame) in self.seen):
            broken(where, f"a frame with a picture in {self.images}", told)
        if self.seen is None and frame not in range(1, self.length + 1):
            broken(where, f"a frame from 1 to {self.length}", told)


def _info(folder: Path) -> _Info:
    labels = folder / "gt" / "labels.txt"
    names = tuple(line.strip() for _, line in numbered_lines(labels)) if labels.is_file() else ()
    info = _told(folder / "seqinfo.ini") if (folder / "seqinfo.ini").is_file() else _seen(folder / "img1")
    return replace(info, names=names)


def _seen(images: Path) -> _Info:
    """What pictures tell of a sequence that says nothing of itself."""
    seen = Shelf()
    for place, path in enumerate(files_below(images, PICTURES) if images.is_dir() else (), 1):
        name = path.relative_to(images)
        stem = str(name.with_suffix(""))
        frame = str(int(stem) if stem.isdecimal() else place)
        if frame in seen:
            broken(str(path), "the only picture of a frame", f"another one of {frame}")
        seen.add(frame, str(name))
    first = next(seen.as_added(), None)
    if first is None:
        broken(f"{images.parent}", "seqinfo.ini, or pictures in img1/", "neither")
    return _Info(str(images), images, *image_size(images / first[1]), seen=seen)


def _told(file: Path) -> _Info:
    where, parser = f"{file}:1", configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(file.read_text(encoding="utf-8-sig"))
        told = parser["Sequence"]
        length, width, height = (int(told[key]) for key in ("seqLength", "imWidth", "imHeight"))
        images, suffix = file.parent / told.get("imDir", "img1"), told.get("imExt", ".jpg")
    except (configparser.Error, KeyError, ValueError) as error:
        broken(where, "[Sequence] with seqLength, imWidth and imHeight", " ".join(str(error).split()))
    if min(length, width, height) < 1 or max(length, width, height) > LARGEST:
        broken(where, f"seqLength, imWidth and imHeight from 1 to {LARGEST:g}", (length, width, height))
    return _Info(where, images, width, height, suffix, length)


def _box(info: _Info, category: str, x: float, y: float, width: float, height: float) -> Box | None:
    first = 0 if info.names else 1
    x, y = x - first, y - first
    return clipped(x, y, x + width, y + height, info.width, info.height, category)


def _entries(file: Path, info: _Info, mot20: bool) -> Iterator[tuple[str, tuple[str | float | bool, ...]]]:
    """(frame, (category, left, top, width, height, whether it is to be found)) of all that is to be found or does not
    count."""
    for where, line in numbered_lines(file):
        columns = line.split(",")
        if len(columns) not in (9, 10):
            broken(where, "9 columns between commas, or the 10 of MOT15", line)
        frame, _, *box, flag, number, visibility = finite(where, "numbers between commas", columns)[:9]
        info.require(where, frame, columns[0])
        if min(box[2:]) < 0:
            broken(where, "width and height >= 0", columns[4:6])
        if info.names:
            if number not in range(1, len(info.names) + 1):
                broken(where, f"a class from 1 to {len(info.names)}, as labels.txt has them", columns[7])
            yield str(int(frame)), (info.names[int(number) - 1], *box, bool(flag))
            continue
        counts = bool(flag) if len(columns) == 10 else _counts(flag, number, visibility, mot20)
        if counts is not None:
            yield str(int(frame)), (_CATEGORY, *box, counts)


def _counts(flag: float, category: float, visibility: float, mot20: bool) -> bool | None:
    """Whether an object is to be found; None where it is neither that nor to be left out of the count."""
    least, distractors = (_MOT20_MIN_VISIBILITY, _MOT20_DISTRACTORS) if mot20 else (_MIN_VISIBILITY, _DISTRACTORS)
    if category == _PEDESTRIAN:
        return bool(flag) and visibility >= least
    return False if category in distractors or visibility < least else None
