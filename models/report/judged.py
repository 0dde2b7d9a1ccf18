"""A model's answers to labelled items, with all that a report says of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np

from models import tasks
from models.arrays import Floats
from models.errors import InvalidInput
from models.evaluate import Evaluation
from models.figures import Statistics, doubt
from models.records import Prediction
from models.report.document import Model

Calibrate: TypeAlias = Callable[[Sequence[Prediction]], Floats]  # p_error (n,) in [0, 1] of n answers


@dataclass(frozen=True)
class Judged:
    """What one model said of n items; ``p_error`` (n,) is its calibrated doubt."""

    model: Model
    evaluation: Evaluation
    p_error: Floats

    @cached_property
    def max_probability(self) -> Floats | None:
        """Doubt (n,) that looks at the model's probability alone; None where its runtime does not tell it."""
        feature = tasks.results(self.evaluation.task).MAX_PROBABILITY
        told = [said.features.get(feature) for said in self.evaluation.predictions]
        return None if None in told else np.clip(1 - np.array(told, np.float64), 0, 1)

    @cached_property
    def statistics(self) -> Statistics:
        """Every figure, as a function of rows."""
        return {
            **self.evaluation.results.statistics(),
            **doubt(self.p_error, self.max_probability, self.evaluation.errors),
        }

    def worst(self, most: int) -> list[int]:
        """Rows of wrong items, those with most to change first, among equals the surest."""
        items, mistakes = self.evaluation.items, self.evaluation.results.mistakes
        rows = np.flatnonzero(self.evaluation.errors).tolist()
        return sorted(rows, key=lambda row: (-mistakes[row], self.p_error[row], items[row].id))[:most]

    def most_doubtful(self, most: int) -> list[int]:
        """Rows of all items, the most doubtful first."""
        items = self.evaluation.items
        return sorted(range(len(items)), key=lambda row: (-self.p_error[row], items[row].id))[:most]


def judge(model: Model, evaluation: Evaluation, calibrate: Calibrate) -> Judged:
    """The evaluation with the doubt that ``calibrate`` makes of it.

    Raises:
        InvalidInput: there are no items, or calibration gave something else than a probability for each.
    """
    if not evaluation.items:
        raise InvalidInput(f"evaluate {evaluation.task}: expected labelled items, got none")
    p_error = np.asarray(calibrate(evaluation.predictions), np.float64)
    if p_error.shape != evaluation.scores.shape or not ((p_error >= 0) & (p_error <= 1)).all():
        raise InvalidInput(f"{model.name}: expected p_error in [0, 1] for each of {len(evaluation.items)} items")
    return Judged(model, evaluation, p_error)
