"""Logistic regression of yes and no on one number, as far as a finite sample can tell (Platt 1999)."""

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from models.arrays import Bools, Floats


def targets_of(true: Bools) -> Floats:
    """What to fit (n,) instead of 0 and 1, so that no finite sample makes anything certain (section 2.2)."""
    yes, no = int(true.sum()), int((~true).sum())
    return np.where(true, (yes + 1) / (yes + 2), 1 / (no + 2))


def line(x: Floats, targets: Floats, start: tuple[float, float]) -> tuple[float, float]:
    """Slope, never falling, and offset of the log-odds along x.

    Args:
        x: (n,) finite.
        targets: (n,) probabilities in (0, 1).
        start: the slope and offset that the search begins with.
    """

    def loss(tried: Floats) -> tuple[float, Floats]:
        z = tried[0] * x + tried[1]
        residual = expit(z) - targets
        return float((np.logaddexp(0, z) - targets * z).sum()), np.array([residual @ x, residual.sum()])

    slope, offset = minimize(loss, np.array(start), jac=True, method="L-BFGS-B", bounds=[(0, None), (None, None)]).x
    return float(slope), float(offset)
