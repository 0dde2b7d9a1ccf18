"""What is where from frame to frame, by detection: there is no model of motion.

On each frame shapes take the boxes that overlap them most: those that the detector is sure of, and at a closer look
those too faint to be handed out, for an object that was there a frame ago is likely to be there still (as in ByteTrack:
Zhang et al. 2022, arXiv 2110.06864). A shape that finds none stays where it was, and its state counts for how many
frames. What moves farther than its own size between two frames, is hidden, or is nothing that the detector knows, is
not followed.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from scipy.optimize import linear_sum_assignment

from models.detection.overlap import corners_of, pairwise_iou
from models.records import Box

Corners: TypeAlias = tuple[float, float, float, float]  # x1, y1, x2, y2 in pixels
Track: TypeAlias = dict[int, Box]  # an object's box by the frame's number, in order of time

LEAST_IOU = 0.2  # of a shape and the box it may take
LEAST_IOU_FAINT = 0.4


@dataclass(frozen=True)
class State:
    """What is known of a shape: what it is around, once a detection told, for how many frames it found no box, where it
    was last, and whether it was given with its type: CVAT's releases differ in what they bring along."""

    category: str | None = None
    missed: int = 0
    box: Corners | None = None
    typed: bool = False


def followed(
    shapes: Sequence[Corners], states: Sequence[State | None], boxes: Sequence[Box], faint: Sequence[Box] = ()
) -> tuple[list[Corners], list[State]]:
    """The shapes where the boxes of the next frame are.

    A shape without a state was drawn on this very frame: it stays, and learns what it is around.
    """
    moved, known = list(shapes), [state or State() for state in states]
    taken = _pairs(shapes, known, boxes, faint)
    for row, state in enumerate(states):
        if row not in taken:
            known[row] = replace(known[row], missed=known[row].missed + (state is not None))
            continue
        box = taken[row]
        known[row] = replace(known[row], category=known[row].category or box.category, missed=0)
        if state is not None:
            moved[row] = box.xyxy
    return moved, [replace(state, box=shape) for state, shape in zip(known, moved, strict=True)]


def tracks_of(frames: Iterable[tuple[int, Sequence[Box]]], patience: int) -> list[Mapping[int, Box]]:
    """The objects of a video, each as its boxes by the frame's number, from all boxes of each frame in order of time.

    An object keeps its category, and ends where it was not seen on more than ``patience`` frames in a row.
    """
    found, there = list[Track](), list[tuple[Track, int]]()  # those that go on, and when each was seen last
    for index, (number, boxes) in enumerate(frames):
        there = [(track, seen) for track, seen in there if index - seen <= patience + 1]
        last = [next(reversed(track.values())) for track, _ in there]
        taken = _pairs([box.xyxy for box in last], [State(box.category) for box in last], boxes, ())
        same = {row: box for row, box in taken.items() if box.category == last[row].category}
        for row, box in same.items():
            there[row][0][number] = box
            there[row] = there[row][0], index
        known = {id(box) for box in same.values()}
        new: list[Track] = [{number: box} for box in boxes if id(box) not in known]
        found += new
        there += [(track, index) for track in new]
    return [*found]


def _pairs(
    shapes: Sequence[Corners], states: Sequence[State], boxes: Sequence[Box], faint: Sequence[Box]
) -> Mapping[int, Box]:
    """The box that each shape takes: no two the same, those of its category first, then by the largest overlap."""
    there = [*boxes, *faint]
    if not shapes or not there:
        return {}
    iou = pairwise_iou(np.array(shapes), corners_of(there))
    least = np.array([LEAST_IOU] * len(boxes) + [LEAST_IOU_FAINT] * len(faint))
    same = np.array([[state.category in (None, box.category) for box in there] for state in states])
    worth = np.where(iou >= least, iou + same * len(shapes), 0.0)  # (shapes, boxes)
    taking, taken = linear_sum_assignment(worth, maximize=True)
    pairs = zip(taking.tolist(), taken.tolist(), strict=True)
    return {shape: there[box] for shape, box in pairs if worth[shape, box] > 0}
