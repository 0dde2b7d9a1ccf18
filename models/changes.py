"""What a person does to a label that is shown, counted in its parts: words, boxes, lines."""

from dataclasses import dataclass

from models.errors import InvalidInput


@dataclass(frozen=True)
class Changes:
    """Parts of a shown label that stay as they are, that are put right, that are taken away, and that are added."""

    kept: int = 0
    altered: int = 0
    removed: int = 0
    added: int = 0

    def __post_init__(self) -> None:
        if min(self.kept, self.altered, self.removed, self.added) < 0:
            raise InvalidInput(f"changes: expected counts of at least 0, got {self}")

    @property
    def shown(self) -> int:
        """Parts that the person looked at."""
        return self.kept + self.altered + self.removed

    @property
    def given(self) -> int:
        """Parts of the label that the person gave."""
        return self.kept + self.altered + self.added
