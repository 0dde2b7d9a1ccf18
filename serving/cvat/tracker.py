"""Shapes of CVAT that follow what they were drawn around, by what the serving detector sees on each frame."""

from collections.abc import Sequence

from models.records import Boxes
from serving.annotator import Annotator
from serving.following import Corners, State, followed


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
