"""Shapes of CVAT that follow what they were drawn around, by what the serving detector sees on each frame."""

from collections.abc import Sequence

from models.records import Boxes
from serving.annotator import Annotator
from serving.following import Corners, State, followed


def track(
    annotator: Annotator, frame: bytes, shapes: Sequence[Corners], states: Sequence[State | None]
) -> tuple[list[Corners], list[State]]:
    """The shapes on this frame, and their states, by the detector that serves; the frame is not kept.

    Raises:
        UnreadableMedia, TooLarge: the frame is no picture, or beyond the limits.
        Unavailable: no version serves.
    """
    _, prediction, _ = annotator.prediction("detection", frame, "image")
    assert isinstance(prediction.label, Boxes)
    return followed(shapes, states, prediction.label.boxes, prediction.faint)
