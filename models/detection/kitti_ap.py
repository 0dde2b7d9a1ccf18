"""KITTI's average precision at 40 recalls in the image plane, by the rules of its development kit.

How hard an object is follows from its height, occlusion and truncation, which stand in the label files and in no other
label: ``read_objects`` takes them from there. Source: ``cpp/evaluate_object.cpp`` of the kit for 40 recall positions.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from models.datasets.layout import broken, numbered_lines
from models.detection.suppression import pairwise_iou
from models.records import Box

Floats: TypeAlias = NDArray[np.float64]

LEAST_OVERLAP = {"Car": 0.7, "Pedestrian": 0.5, "Cyclist": 0.5}
NEIGHBOURS = {"Car": "Van", "Pedestrian": "Person_sitting"}  # neither to be found nor wrong
REGION = "DontCare"
RECALLS = 40
_COLUMNS = 15


@dataclass(frozen=True)
class Difficulty:
    """Which objects are to be found: those higher than ``height`` pixels, no more occluded, no more truncated."""

    height: int
    occlusion: int
    truncation: float


DIFFICULTIES = {
    "easy": Difficulty(40, 0, 0.15),
    "moderate": Difficulty(25, 1, 0.3),
    "hard": Difficulty(25, 2, 0.5),
}


@dataclass(frozen=True)
class KittiObject:
    """A labelled object: corners in pixels, the share of it beyond the image, and 0 visible, 1 partly, 2 largely
    occluded, 3 unknown. Regions that do not count are of the category ``DontCare``; there both are -1."""

    category: str
    xyxy: tuple[float, float, float, float]
    truncation: float
    occlusion: int


Frame: TypeAlias = tuple[Sequence[Box], Sequence[KittiObject]]  # predicted boxes, labelled objects


def read_objects(file: Path) -> tuple[KittiObject, ...]:
    """The objects of a label file, regions that do not count included.

    Raises:
        InvalidDataset: a broken line, naming file and line.
    """
    return tuple(_object(where, line) for where, line in numbered_lines(file))


def average_precision(frames: Iterable[Frame]) -> dict[str, dict[str, float | None]]:
    """By category and difficulty, in [0, 1]; None where there is nothing to find.

    Categories are compared without regard to case, and overlaps must be larger than asked, not equal. Precision is
    taken at up to 41 scores, from one to the next of which recall grows by about a 40th; the best at a score or a
    lower one counts. Their mean leaves out the first, at which hardly anything is found.
    """
    kept = [*frames]
    return {
        category: {
            name: _average_precision([_Scene.of(frame, category, difficulty) for frame in kept])
            for name, difficulty in DIFFICULTIES.items()
        }
        for category in LEAST_OVERLAP
    }


@dataclass(frozen=True)
class _Scene:
    """One frame as one category and difficulty see it: n predicted boxes, m objects.

    ``counted`` (n,) is false for boxes that are too low, of whatever category, which are neither right nor wrong.
    ``to_find`` (m,) is false for objects that may be found and need not be. ``near`` lists, for each object, the boxes
    that overlap it enough, with their overlaps; ``spared`` (n,) marks boxes that lie in regions that do not count.
    """

    scores: list[float]
    counted: list[bool]
    to_find: list[bool]
    near: list[list[tuple[int, float]]]
    spared: list[bool]

    @classmethod
    def of(cls, frame: Frame, category: str, difficulty: Difficulty) -> "_Scene":
        """The frame without what neither matters nor is ignored."""
        least = LEAST_OVERLAP[category]
        low = [int(box.xyxy[3] - box.xyxy[1]) < difficulty.height for box in frame[0]]
        boxes = [(b, is_low) for b, is_low in zip(frame[0], low, strict=True) if is_low or _same(b.category, category)]
        there = [o for o in frame[1] if _same(o.category, category) or _same(o.category, NEIGHBOURS.get(category, ""))]
        regions = [o for o in frame[1] if _same(o.category, REGION)]
        corners, objects, areas = (
            np.array([one.xyxy for one in some], np.float64).reshape(-1, 4)
            for some in ([box for box, _ in boxes], there, regions)
        )
        overlap = pairwise_iou(objects, corners)
        return cls(
            scores=[box.confidence for box, _ in boxes],
            counted=[not is_low for _, is_low in boxes],
            to_find=[_same(o.category, category) and _visible(o, difficulty) for o in there],
            near=[[(j, value) for j, value in enumerate(row) if value > least] for row in overlap.tolist()],
            spared=[bool(row.any()) for row in _share_inside(corners, areas) > least],
        )


def _average_precision(scenes: Sequence[_Scene]) -> float | None:
    to_find = sum(sum(scene.to_find) for scene in scenes)
    if not to_find:
        return None
    scores = sorted((score for scene in scenes for score in _found_scores(scene)), reverse=True)
    precision = np.zeros(RECALLS + 1)
    for i, threshold in enumerate(thresholds(scores, to_find)):
        counts = [_right_and_false(scene, threshold) for scene in scenes]
        right, false = (sum(each) for each in zip(*counts, strict=True))
        precision[i] = right / (right + false) if right + false else 0.0
    best = np.maximum.accumulate(precision[::-1])[::-1]
    return float(best[1:].sum() / RECALLS)


def thresholds(scores: Sequence[float], to_find: int) -> list[float]:
    """The scores, of those found from the highest down, at which recall is nearest to the next 40th, and the last."""
    kept, recall = list[float](), 0.0
    for i, score in enumerate(scores):
        last = i == len(scores) - 1
        here, beyond = (i + 1) / to_find, (i + 1 if last else i + 2) / to_find
        if beyond - recall < recall - here and not last:
            continue
        kept.append(score)
        recall += 1 / RECALLS
    return kept


def _found_scores(scene: _Scene) -> list[float]:
    """The score of each box that finds an object: each object takes its surest free box."""
    found, taken = list[float](), set[int]()
    for to_find, near in zip(scene.to_find, scene.near, strict=True):
        free = [j for j, _ in near if j not in taken]
        if free:
            best = max(free, key=lambda j: scene.scores[j])
            taken.add(best)
            if to_find and scene.counted[best]:
                found.append(scene.scores[best])
    return found


def _right_and_false(scene: _Scene, threshold: float) -> tuple[int, int]:
    """Of boxes at least as sure: each object takes the free box that fits best, one too low only without another."""
    right, taken = 0, set[int]()
    for to_find, near in zip(scene.to_find, scene.near, strict=True):
        free = [(j, overlap) for j, overlap in near if j not in taken and scene.scores[j] >= threshold]
        counted = [(overlap, -j) for j, overlap in free if scene.counted[j]]
        if free:
            best = -max(counted)[1] if counted else free[0][0]
            taken.add(best)
            right += to_find and scene.counted[best]
    rest = (j for j, score in enumerate(scene.scores) if score >= threshold and scene.counted[j] and j not in taken)
    return right, sum(not scene.spared[j] for j in rest)


def _visible(found: KittiObject, difficulty: Difficulty) -> bool:
    height = found.xyxy[3] - found.xyxy[1]
    hidden = found.occlusion > difficulty.occlusion or found.truncation > difficulty.truncation
    return height > difficulty.height and not hidden


def _share_inside(boxes: Floats, regions: Floats) -> Floats:
    """Share (n, m) of each box that lies in each region."""
    sizes = np.minimum(boxes[:, None, 2:], regions[None, :, 2:]) - np.maximum(boxes[:, None, :2], regions[None, :, :2])
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    return np.asarray(sizes.clip(min=0).prod(axis=2) / areas[:, None])


def _same(one: str, other: str) -> bool:
    return one.casefold() == other.casefold()


def _object(where: str, line: str) -> KittiObject:
    columns = line.split()
    if len(columns) != _COLUMNS:
        broken(where, f"{_COLUMNS} columns", line)
    try:
        truncation, occlusion = float(columns[1]), int(columns[2])
        x1, y1, x2, y2 = map(float, columns[4:8])
    except ValueError:
        broken(where, "numbers for truncation, occlusion and the box", line)
    return KittiObject(columns[0], (x1, y1, x2, y2), truncation, occlusion)
