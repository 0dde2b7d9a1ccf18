"""Shapes that follow what they were drawn around from frame to frame, by detection: there is no model of motion.

On each frame the serving detector is asked what it sees, and the shapes take the boxes that overlap them most: first
those that it is sure of, then, at a closer look, those too faint to be handed out, for an object that was there a frame
ago is likely to be there still (ByteTrack: Zhang et al. 2022, arXiv 2110.06864). A shape that finds none stays where it
was, and its state counts for how many frames. What moves farther than its own size between two frames, is hidden, or is
nothing that the detector knows, is not followed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from scipy.optimize import linear_sum_assignment

from models.detection.suppression import pairwise_iou
from models.records import Box, Boxes
from serving.annotator import Annotator

Corners: TypeAlias = tuple[float, float, float, float]  # x1, y1, x2, y2 in pixels

LEAST_IOU = 0.2  # of a shape and the box it may take
LEAST_IOU_FAINT = 0.4


@dataclass(frozen=True)
class State:
    """What is known of a shape: what it is around, once a detection told, and for how many frames it found no box."""

    category: str | None = None
    missed: int = 0


class Tracker:
    """Follows shapes with the detector that serves; the frames are not kept. Safe to call from several threads."""

    def __init__(self, annotator: Annotator) -> None:
        self._annotator = annotator

    def track(
        self, frame: bytes, shapes: Sequence[Corners], states: Sequence[State | None]
    ) -> tuple[list[Corners], list[State]]:
        """The shapes on this frame, and their states.

        Raises:
            UnreadableMedia, TooLarge: the frame is no picture, or beyond the limits.
            Unavailable: no version serves.
        """
        _, prediction, _ = self._annotator.prediction("detection", frame, "image")
        assert isinstance(prediction.label, Boxes)
        return followed(shapes, states, prediction.label.boxes, prediction.faint)


def followed(
    shapes: Sequence[Corners], states: Sequence[State | None], boxes: Sequence[Box], faint: Sequence[Box] = ()
) -> tuple[list[Corners], list[State]]:
    """The shapes where the boxes of the next frame are.

    A shape without a state was drawn on this very frame: it stays, and learns what it is around.
    """
    moved, known = list(shapes), [state or State() for state in states]
    taken = _pairs(dict(enumerate(shapes)), known, boxes, LEAST_IOU)
    left = {row: shape for row, shape in enumerate(shapes) if row not in taken}
    taken |= _pairs(left, known, faint, LEAST_IOU_FAINT)
    for row, state in enumerate(states):
        if row not in taken:
            known[row] = replace(known[row], missed=known[row].missed + (state is not None))
            continue
        box = taken[row]
        known[row] = State(known[row].category or box.category)
        if state is not None:
            moved[row] = box.xyxy
    return moved, known


def _pairs(
    shapes: Mapping[int, Corners], states: Sequence[State], boxes: Sequence[Box], least_iou: float
) -> dict[int, Box]:
    """The box that each shape takes: no two the same, those of its category first, then by the largest overlap."""
    if not shapes or not boxes:
        return {}
    rows = list(shapes)
    iou = pairwise_iou(np.array([shapes[row] for row in rows]), np.array([box.xyxy for box in boxes]))
    same = np.array([[states[row].category in (None, box.category) for box in boxes] for row in rows])
    worth = np.where(iou >= least_iou, iou + same * len(rows), 0.0)  # (shapes, boxes)
    taking, taken = linear_sum_assignment(worth, maximize=True)
    pairs = zip(taking.tolist(), taken.tolist(), strict=True)
    return {rows[shape]: boxes[box] for shape, box in pairs if worth[shape, box] > 0}
