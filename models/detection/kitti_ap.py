"""KITTI's average precision at 40 recalls in the image plane, by the rules of its development kit.

How hard an object is follows from its height, occlusion and truncation, which stand in the label files and in no other
label, so the reader hands them on as marks. Source: ``cpp/evaluate_object.cpp`` of the kit for 40 recall positions.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from models.arrays import Floats
from models.datasets.kitti import REGION
from models.detection.overlap import pairwise_iou, share_inside
from models.marks import Ignored, KittiObject
from models.records import Box

Indices: TypeAlias = NDArray[np.intp]

LEAST_OVERLAP = {"Car": 0.7, "Pedestrian": 0.5, "Cyclist": 0.5}
NEIGHBOURS = {"Car": "Van", "Pedestrian": "Person_sitting"}  # neither to be found nor wrong
RECALLS = 40


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


Frame: TypeAlias = tuple[Sequence[Box], Sequence[KittiObject]]  # predicted boxes, labelled objects


def left_out(objects: Iterable[KittiObject]) -> Ignored:
    """The regions that do not count, for the rules of other benchmarks: a box of any category may lie in them."""
    corners = [(max(x1, 0.0), max(y1, 0.0), x2, y2) for x1, y1, x2, y2 in (o.xyxy for o in objects if _is_region(o))]
    return Ignored(regions=tuple(each for each in corners if each[0] < each[2] and each[1] < each[3]))


def average_precision(frames: Iterable[Frame]) -> dict[str, dict[str, float | None]]:
    """By category and difficulty, in [0, 1]; None where there is nothing to find.

    Categories are compared without regard to case, and overlaps must be larger than asked, not equal. Precision is
    taken at up to 41 scores, from one to the next of which recall grows by about a 40th; the best at a score or a
    lower one counts. Their mean leaves out the first, at which hardly anything is found.
    """
    kept = [*frames]
    every = np.ones(len(kept))
    return {
        category: {level: rank(kept, category, level).average_precision(every) for level in DIFFICULTIES}
        for category in LEAST_OVERLAP
    }


@dataclass(frozen=True)
class Ranked:
    """One category at one difficulty in n frames, for any sample of them.

    ``found`` (f,) are the scores of boxes that find an object, highest first, and ``found_frame`` (f,) the rows of
    their frames. Lowering the threshold to ``score`` (s,), highest first, adds ``right`` and ``false`` (s,) boxes in
    the frame ``frame``. ``truths`` (n,) counts what is to be found in each frame.
    """

    found: Floats
    found_frame: Indices
    score: Floats
    frame: Indices
    right: Indices
    false: Indices
    truths: Indices

    def average_precision(self, weights: Floats) -> float | None:
        """In [0, 1], if frame i were there ``weights[i]`` times; None where there is nothing to find."""
        to_find = int(weights @ self.truths)
        if not to_find:
            return None
        reached = np.cumsum(weights[self.found_frame]).astype(int)  # boxes that have found something
        places = positions(int(reached[-1]) if len(reached) else 0, to_find)
        thresholds = self.found[np.searchsorted(reached, places, side="right")]
        steps = np.searchsorted(-self.score, -thresholds, side="right") - 1
        right, false = (np.cumsum(weights[self.frame] * each)[steps] for each in (self.right, self.false))
        precision = np.zeros(RECALLS + 1)
        precision[: len(steps)] = right / np.maximum(right + false, 1)
        best = np.maximum.accumulate(precision[::-1])[::-1]
        return float(best[1:].sum() / RECALLS)


def rank(frames: Sequence[Frame], category: str, level: str) -> Ranked:
    """The boxes of a category of ``LEAST_OVERLAP`` in n frames, as one of ``DIFFICULTIES`` sees them."""
    scenes = [_Scene.of(frame, category, DIFFICULTIES[level]) for frame in frames]
    found = sorted(((-score, row) for row, scene in enumerate(scenes) for score in _found_scores(scene)))
    steps = sorted((step for row, scene in enumerate(scenes) for step in _steps(row, scene)), reverse=True)
    score, frame, right, false = np.array(steps, np.float64).reshape(-1, 4).T
    return Ranked(
        found=np.array([-negative for negative, _ in found], np.float64),
        found_frame=np.array([row for _, row in found], np.intp),
        score=score,
        frame=frame.astype(np.intp),
        right=right.astype(np.intp),
        false=false.astype(np.intp),
        truths=np.array([sum(scene.to_find) for scene in scenes], np.intp),
    )


def _steps(row: int, scene: "_Scene") -> Iterator[tuple[float, int, int, int]]:
    """(score, row, right, false): what each lower threshold adds in a frame."""
    before = (0, 0)
    for score in sorted(set(scene.scores), reverse=True):
        now = _right_and_false(scene, score)
        yield score, row, now[0] - before[0], now[1] - before[1]
        before = now


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
        regions = [o for o in frame[1] if _is_region(o)]
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
            spared=[bool(row.any()) for row in share_inside(corners, areas) > least],
        )


def positions(found: int, to_find: int) -> list[int]:
    """The places, among scores of ``found`` boxes from the highest down, at which recall is nearest to the next 40th,
    and the last."""
    kept, recall, i = list[int](), 0.0, 0
    while i < found:
        i = max(i, min(int(recall * to_find) - 3, found - 1))  # nothing nearer lies before
        last = i == found - 1
        here, beyond = (i + 1) / to_find, (i + 1 if last else i + 2) / to_find
        if beyond - recall >= recall - here or last:
            kept.append(i)
            recall += 1 / RECALLS
        i += 1
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


def _is_region(found: KittiObject) -> bool:
    return _same(found.category, REGION)


def _same(one: str, other: str) -> bool:
    return one.casefold() == other.casefold()
