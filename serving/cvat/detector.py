"""A frame of CVAT in, its shapes out; the frame becomes an item like every medium that is posted."""

import hashlib
from collections.abc import Sequence

from models.media import Limits, read_image
from models.records import Task
from serving.annotator import Annotator
from serving.cvat.shapes import Shape, kind_of, shapes_of
from serving.label_names import LANE, Names, categories_of, category_names, lane_names
from serving.loop import Actor, Loop
from serving.settings import Settings
from serving.store.cvat import Shown

SETTING = "PRELABEL_CVAT_LABELS"


class Detector:
    """Answers frames with the version that serves. Safe to call from several threads."""

    def __init__(self, loop: Loop, annotator: Annotator, settings: Settings) -> None:
        self._loop = loop
        self._annotator = annotator
        self._aliases = settings.cvat_labels
        self._limits = settings.limits

    def names(self, task: Task, labels: Sequence[str] | None = None) -> Names:
        """How the labels that are asked for and the model's categories are called by each other.

        Where none are asked for, each category has the label that the alias table gives it, or its own name.

        Raises:
            NotFound: the task is none for CVAT.
            InvalidInput: a label that is asked for means no category.
        """
        kind_of(task)
        if labels is None:
            known = (LANE,) if task == "lane" else categories_of(self._loop, task)
            called = {category: label for label, category in reversed(self._aliases.items())}
            labels = [called.get(category, category) for category in known]
        if task == "lane":
            return lane_names(labels, self._aliases, "labels", SETTING)
        return category_names(labels, categories_of(self._loop, task), self._aliases, "labels", SETTING)

    def shapes(
        self,
        task: Task,
        frame: bytes,
        threshold: float,
        labels: Sequence[str] | None,
        actor: Actor,
        group: str | None = None,
    ) -> list[Shape]:
        """The shapes on a frame, with at least a confidence of ``threshold``.

        Raises:
            NotFound, InvalidInput: as ``names``.
            UnreadableMedia, TooLarge: the frame is no picture, or beyond the limits.
            Unavailable: no version serves.
        """
        names = self.names(task, labels)
        said = self._annotator.posted(task, frame, "image", actor, group).preannotation
        self._loop.store.cvat.show(
            task, pixels_of(frame, "image", self._limits), Shown(said.item_id, said.model_version)
        )
        return shapes_of(said.label, names, threshold)


def pixels_of(frame: bytes, name: str, limits: Limits) -> str:
    """The SHA-256 of a picture's size and pixels: the same for the file that CVAT holds, and for what its SDK decoded.

    Raises:
        UnreadableMedia, TooLarge: it is no picture, or beyond the limits.
    """
    image = read_image(frame, name, limits)
    return hashlib.sha256(repr(image.shape).encode() + image.tobytes()).hexdigest()
