"""What matters: which differences between a label and the truth count as an error of the model, task by task."""

from dataclasses import dataclass

from models.counting import percent
from models.errors import InvalidInput
from models.records import Task


@dataclass(frozen=True)
class Matters:
    """The rule; calibration, the promise and its audits all go by the same one.

    ``wer``: a transcript is wrong as a whole above this word error rate; at 0 for any word. ``iou``: a box is badly
    placed below this overlap; ``category``: whether a wrong name matters. ``lane_px``: a line is wrong if more than a
    tenth of its length is farther off, in pixels of an image 512 px wide. What is missed or false always matters.
    """

    wer: float = 0.0
    iou: float = 0.5
    category: bool = True
    lane_px: float = 8.0

    def __post_init__(self) -> None:
        if not (0 <= self.wer < 1 and 0 < self.iou <= 1 and 0 < self.lane_px <= 512):
            raise InvalidInput(f"matters: expected 0 <= wer < 1, 0 < iou <= 1 and 0 < lane_px <= 512, got {self}")

    def told(self, task: Task) -> str:
        """The rule of a task in words."""
        match task:
            case "asr":
                return f"word errors above {percent(self.wer)}" if self.wer else "any word"
            case "detection":
                named = " or wrongly named" if self.category else ""
                return f"an object missed, a box false, placed below IoU {self.iou:.4g}{named}"
            case "lane":
                return f"a line missed, false, or off by more than {self.lane_px:.4g} px of 512"


ANYTHING = Matters()
