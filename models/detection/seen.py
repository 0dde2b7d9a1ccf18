"""All that a detector sees in an image, beside what it answers."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from models.media import Image
from models.records import Box, Prediction


@dataclass(frozen=True)
class Seen:
    """What a detector says of an image, and every box that it considered for it: the faint ones too, and those that
    went into another one because they say the same."""

    said: Prediction
    boxes: tuple[Box, ...]


@runtime_checkable
class Detector(Protocol):
    """Whatever tells all that it sees."""

    def see(self, media: Image) -> Seen:
        """The boxes in an image."""
