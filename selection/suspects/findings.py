"""What may be wrong with a label, in words that a person understands."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["overlooked", "badly located", "swapped", "spurious", "misheard"]


@dataclass(frozen=True)
class Finding:
    """One thing that may be wrong: how likely in [0, 1], why, and where.

    ``where`` are pixels: the corners (x1, y1, x2, y2) of a box, or of what encloses a line; None for a whole text.
    """

    kind: Kind
    score: float
    reason: str
    where: tuple[float, float, float, float] | None = None


@dataclass(frozen=True)
class Suspicion:
    """How likely a label is wrong, in [0, 1], with what speaks for it, worst first."""

    score: float
    findings: tuple[Finding, ...] = ()

    @property
    def reason(self) -> str:
        """What speaks most for it."""
        return self.findings[0].reason if self.findings else "nothing speaks against this label"
