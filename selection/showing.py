"""From which confidence on a box is shown to a person: where that costs the fewest seconds."""

import numpy as np
from numpy.typing import ArrayLike

from models.errors import InvalidInput
from models.reliability import checked_errors, checked_scores
from selection.cost import Costs

STEP = 0.05  # between the confidences that are tried


def least_confidence(confidences: ArrayLike, right: ArrayLike, costs: Costs) -> float:
    """The confidence in [STEP, 1) from which on showing boxes takes people the least time; the highest among equals.

    A box that is shown costs a look, and taking it away where it is false; a right one that is not shown costs drawing
    it. With confidences that are true, and the constants of ``Costs``, both cost the same at one half.

    Args:
        confidences: (n,) of all boxes that a model could show, of one category.
        right: (n,) whether each stands for a true box that no more confident one stands for.
        costs: what people need.

    Raises:
        InvalidInput: no box, or shapes, ranges, a NaN.
    """
    scores, wrong = checked_scores("confidences", confidences), ~checked_errors(right, confidences)
    if not len(scores):
        raise InvalidInput("least confidence: expected boxes, got none")
    shown = costs.box_verify_s + wrong * costs.box_adjust_s
    hidden = ~wrong * costs.box_draw_s
    tried = np.round(np.arange(1, round(1 / STEP)) * STEP, 2)
    spent = [np.where(scores >= least, shown, hidden).sum() for least in tried]
    return float(tried[::-1][np.argmin(spent[::-1])])
